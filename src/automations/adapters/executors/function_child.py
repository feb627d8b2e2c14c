"""The program that a `python` binding's child process runs: import the module, call the function, answer on the pipe.

It runs in the interpreter that the action needs (3.10 or newer), where this package may not be installed, so it uses the
standard library alone. The request comes on stdin; the answer goes to the descriptor named by the last argument, so that
stdout is the function's own.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import traceback
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

FRAMES = 10
CODE = re.compile(r"[A-Z][A-Z0-9_]{0,63}\Z")


class Confined:
    """Finds modules as usual, but none that lies below the root by name and elsewhere in truth: links do not lead out."""

    def __init__(self, root: str, installed: list[str]) -> None:
        self._root = Path(root)
        self._installed = [Path(path).absolute() for path in installed]

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Find a module. Raises ImportError for one that a link leads out of the root."""
        spec = PathFinder.find_spec(name, path, target)
        if spec and spec.origin and self._leads_out(Path(spec.origin).absolute()):
            raise ImportError(f"{name} leads out of {self._root}", name=name)
        return spec

    def __getattr__(self, name: str) -> Any:
        """Be the usual finder in all else: whoever looks for the metadata of what is installed asks it."""
        return getattr(PathFinder, name)

    def _leads_out(self, path: Path) -> bool:
        ours = path.is_relative_to(self._root) and not any(path.is_relative_to(each) for each in self._installed)
        return ours and not path.resolve().is_relative_to(self._root)


def main() -> None:
    """Do what the request says, and answer."""
    answers = int(sys.argv[1])
    os.set_inheritable(answers, False)  # noqa: FBT003  # its only form; what the function starts must not hold the pipe
    request = json.load(sys.stdin)
    finder: Any = Confined(request["root"], list(sys.path))
    sys.meta_path[:] = [finder if each is PathFinder else each for each in sys.meta_path]
    sys.path[:0] = list(dict.fromkeys(request["paths"]))
    text = json.dumps(answer(request)).encode()
    try:
        while text:
            text = text[os.write(answers, text) :]
        os.close(answers)
    except BrokenPipeError:
        pass  # nobody waits for it any more


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Call the function: `{"output": …}`, or `{"error": {code, message, retryable, type?, retryAfter?, traceback?}}`."""
    module, _, name = request["ref"].partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
    except Exception as error:  # noqa: BLE001  # whatever a module does when it is imported, its action fails
        return {"error": failure(error) | {"code": "CANNOT_START", "retryable": False}}
    try:
        output = call(function, request["input"])
    except Exception as error:  # noqa: BLE001  # whatever the function raises is how its attempt ended
        if isinstance(error, TypeError) and not frames(error):  # raised by the call itself: nothing of the function ran
            message = f"{request['ref']} cannot be called with the input as its one argument: {error}"
            return {"error": {"code": "CANNOT_START", "message": message, "retryable": False}}
        return {"error": failure(error)}
    try:
        # Spelled once to see that it can be: what is not JSON must not be found out half-way down the pipe.
        spelled = json.dumps({} if output is None else output, allow_nan=False, ensure_ascii=False)
        spelled.encode()
        return {"output": json.loads(spelled)}
    except (TypeError, ValueError, RecursionError) as error:
        message = f"its result is not JSON: {error}"
        return {"error": {"code": "OUTPUT_INVALID", "message": message, "retryable": False}}


def call(function: Any, given: Any) -> Any:
    """Call it with the input, and wait for what it awaits."""
    result = function(given)
    if not hasattr(result, "__await__"):
        return result
    import asyncio  # noqa: PLC0415  # half of the start-up time of a child that does not need it

    async def waited() -> Any:
        return await result

    return asyncio.run(waited())


def failure(error: BaseException) -> dict[str, Any]:
    """Tell an exception; its own `code`, `retryable` and `retry_after` (seconds) count where they are what they should be."""
    code, retryable, wait = (getattr(error, name, None) for name in ("code", "retryable", "retry_after"))
    spoken = isinstance(code, str) and CODE.match(code)
    described = "".join(traceback.format_exception_only(type(error), error)).strip()
    told: dict[str, Any] = {"code": code, "message": str(error) or described}
    if not spoken:  # nobody meant it to be told: where it came from is most of what there is to say
        trace = "".join(traceback.format_list(frames(error)))
        told = {"code": "PYTHON_ERROR", "message": described, "type": type(error).__qualname__, "traceback": trace}
    told["retryable"] = retryable if isinstance(retryable, bool) else True
    if isinstance(wait, (int, float)) and not isinstance(wait, bool) and 0 <= wait < 1e9:
        told["retryAfter"] = wait
    return told


def frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Give the last frames of where it was raised, without those of this file and of the import machinery."""
    found = traceback.extract_tb(error.__traceback__)
    theirs = [each for each in found if each.filename != __file__ and not each.filename.startswith("<frozen importlib")]
    return [each for each in theirs if os.sep + "importlib" + os.sep + "__init__" not in each.filename][-FRAMES:]


if __name__ == "__main__":
    main()
