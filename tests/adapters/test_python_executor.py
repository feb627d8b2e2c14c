"""The python executor with real child processes: what a function gets, what its end means, and what it can reach."""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Event
from typing import Any

import pytest

import samples
from automations.adapters.executors.process import Limits
from automations.adapters.executors.python import Python
from automations.core.instant import SECOND
from automations.core.run.execution import Failed, Outcome, Succeeded

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C", "HASNA_AUTOMATIONS_SECRET_X": "canary"}


def executor(root: Path, **limits: Any) -> Python:
    return Python(root, ENVIRONMENT, interpreter=sys.executable, limits=Limits(**({"grace": 0.3} | limits)))


def run(root: Path, code: str, config: Mapping[str, Any] | None = None, **data: Any) -> Outcome:
    """Call `act` of a module with this code."""
    (root / "acting.py").write_text(code)
    asked = samples.invocation("python", {"ref": "acting:act", **(config or {})}, **data)
    return executor(root).execute(asked, Event())


def failure(result: Outcome) -> Failed:
    assert isinstance(result, Failed), result
    return result


def output(result: Outcome) -> Any:
    assert isinstance(result, Succeeded), result
    return result.output


HOSTILE = ["$(touch x)", "; rm -rf /", "a\nb", "a\0b", "`id`", "\U0001f4a5\u2028", "x" * 1_000_000]


@pytest.mark.parametrize("payload", HOSTILE, ids=range(len(HOSTILE)))
def test_any_text_arrives_and_comes_back_as_it_is(tmp_path: Path, payload: str) -> None:
    code = "def act(given): return given"
    (tmp_path / "acting.py").write_text(code)
    asked = samples.invocation("python", {"ref": "acting:act"}, text=payload)
    roomy = executor(tmp_path, output=4_000_000)
    assert output(roomy.execute(asked, Event())) == {"text": payload}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["acting.py"]


def test_a_coroutine_is_waited_for(tmp_path: Path) -> None:
    code = "import asyncio\nasync def act(given):\n    await asyncio.sleep(0)\n    return [1, None, {'a': 1.5}]"
    assert output(run(tmp_path, code)) == [1, None, {"a": 1.5}]


def test_what_a_function_prints_is_no_output_and_can_be_read(tmp_path: Path) -> None:
    code = (
        "import sys\ndef act(given):\n    print('{\"output\": 7}')\n    print('warned', file=sys.stderr)\n    return 1"
    )
    result = run(tmp_path, code)
    assert isinstance(result, Succeeded)
    assert (result.output, result.metadata["stdout"], result.metadata["stderr"]) == (1, '{"output": 7}', "warned")


def test_it_is_told_who_it_is_and_inherits_no_more_than_it_may(tmp_path: Path) -> None:
    code = "import os\ndef act(given): return dict(os.environ)"
    seen = output(run(tmp_path, code, {"env": {"MINE": "1"}, "inheritEnv": ["LANG"]}))
    assert seen["AUTOMATIONS_ATTEMPT"] == "2"
    assert (seen["AUTOMATIONS_FENCE"], seen["OPEN_ACTIONS_RUN_ID"]) == ("5", "run-1")
    assert (seen["MINE"], seen["LANG"], seen["PATH"]) == ("1", "C", "/usr/bin:/bin")
    assert "canary" not in json.dumps(seen)


def test_any_exception_may_be_tried_again_and_says_where_it_came_from(tmp_path: Path) -> None:
    result = failure(
        run(tmp_path, "def inner(x):\n    raise KeyError(x)\ndef act(given):\n    inner(given['a'])", a="b")
    )
    assert (result.code, result.retryable, result.message) == ("PYTHON_ERROR", True, "acting:act: KeyError: 'b'")
    assert result.metadata["type"] == "KeyError"
    lines = result.metadata["traceback"].splitlines()
    assert lines[0].endswith('acting.py", line 4, in act')
    assert "function_child" not in result.metadata["traceback"]


def test_a_function_says_how_it_failed(tmp_path: Path) -> None:
    told = "ActionFailed('no ticket 7', code='NO_TICKET', retryable=False, retry_after=1.5)"
    result = failure(run(tmp_path, f"from automations import ActionFailed\ndef act(given): raise {told}"))
    assert (result.code, result.message, result.retryable) == ("NO_TICKET", "acting:act: no ticket 7", False)
    assert result.retry_after == 1.5 * SECOND


def test_an_exception_of_its_own_kind_says_it_by_its_attributes(tmp_path: Path) -> None:
    code = "class Never(Exception):\n    retryable = False\n    code = 'odd code'\ndef act(given): raise Never('x')"
    result = failure(run(tmp_path, code))
    assert (result.code, result.retryable) == ("PYTHON_ERROR", False)


@pytest.mark.parametrize(
    ("code", "retryable"),
    [
        ("sys.exit(75)", True),
        ("sys.exit(65)", False),
        ("sys.exit(78)", False),
        ("os._exit(3)", True),
        ("os.abort()", True),
    ],
)
def test_a_process_that_ends_itself_means_what_its_status_means(tmp_path: Path, code: str, retryable: bool) -> None:
    result = failure(run(tmp_path, f"import os, sys\ndef act(given): {code}"))
    assert (result.code in {"COMMAND_FAILED", "COMMAND_KILLED"}, result.retryable) == (True, retryable)


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("import no_such_module_here", "no_such_module_here"),
        ("def act(given) return", "SyntaxError"),
        ("other = 1", "no attribute 'act'"),
        ("raise RuntimeError('at import')", "at import"),
    ],
)
def test_what_cannot_be_imported_fails_for_good(tmp_path: Path, code: str, word: str) -> None:
    result = failure(run(tmp_path, code))
    assert (result.code, result.retryable) == ("CANNOT_START", False)
    assert word in result.message


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("act = 5", "'int' object is not callable"),
        ("def act(): return 1", "takes 0 positional arguments"),
        ("def act(one, two): return 1", "missing 1 required positional argument: 'two'"),
        ("async def act(*, named): return 1", "takes 0 positional arguments"),
        ("class act:\n    def __init__(self): pass", "takes 1 positional argument"),
    ],
)
def test_what_cannot_be_called_with_the_input_fails_for_good(tmp_path: Path, code: str, word: str) -> None:
    result = failure(run(tmp_path, code))
    assert (result.code, result.retryable) == ("CANNOT_START", False)
    assert "acting:act cannot be called with the input" in result.message
    assert word in result.message


@pytest.mark.parametrize(
    "code",
    [
        "def act(given): return given + 1",
        "def act(given): return other()\ndef other(one): return one",
        "async def act(given): return len(1)",
    ],
)
def test_a_wrong_type_inside_of_a_function_may_be_tried_again(tmp_path: Path, code: str) -> None:
    result = failure(run(tmp_path, code))
    assert (result.code, result.retryable) == ("PYTHON_ERROR", True)


@pytest.mark.parametrize("value", ["{1, 2}", "float('nan')", "b'x'", "'\\ud800'", "object()"])
def test_a_result_that_is_not_json_fails_for_good(tmp_path: Path, value: str) -> None:
    result = failure(run(tmp_path, f"def act(given): return {value}"))
    assert (result.code, result.retryable) == ("OUTPUT_INVALID", False)


def test_modules_are_found_in_its_directory_then_in_the_root_and_nothing_is_written_there(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "acting.py").write_text("import shared\ndef act(given): return [shared.NAME, __file__]")
    (tmp_path / "shared.py").write_text("NAME = 'of the root'")
    asked = samples.invocation("python", {"ref": "acting:act", "cwd": "lib"})
    name, file = output(executor(tmp_path).execute(asked, Event()))
    assert (name, Path(file)) == ("of the root", tmp_path / "lib" / "acting.py")
    assert not list(tmp_path.rglob("__pycache__"))


@pytest.mark.parametrize("inside", ["outer.py", "package"])
def test_a_link_does_not_lead_out_of_the_root(tmp_path: Path, inside: str) -> None:
    root, out = tmp_path / "root", tmp_path / "out"
    root.mkdir()
    (out / "package").mkdir(parents=True)
    (out / "outer.py").write_text("FOUND = True")
    (out / "package" / "__init__.py").write_text("FOUND = True")
    (root / inside).symlink_to(out / inside)
    result = failure(run(root, f"import {Path(inside).stem}\ndef act(given): return 1"))
    assert (result.code, result.retryable) == ("CANNOT_START", False)
    assert "leads out of" in result.message


@pytest.mark.parametrize("cwd", ["..", "/", "nowhere"])
def test_a_directory_elsewhere_is_refused(tmp_path: Path, cwd: str) -> None:
    result = failure(run(tmp_path, "def act(given): return 1", {"cwd": cwd}))
    assert (result.code, result.retryable) == ("BINDING_INVALID", False)


def test_installed_packages_are_there_and_tell_of_themselves(tmp_path: Path) -> None:
    code = "import importlib.metadata as m\ndef act(given): return bool(m.version('pytest'))"
    assert output(run(tmp_path, code)) is True


def test_another_interpreter_needs_nothing_of_ours(tmp_path: Path) -> None:
    (tmp_path / "acting.py").write_text("import sys\ndef act(given): return sys.flags.no_site")
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    asked = samples.invocation("python", {"ref": "acting:act"})
    assert output(Python(tmp_path, ENVIRONMENT, interpreter=str(bare)).execute(asked, Event())) == 1


def test_an_interpreter_that_is_not_there_fails_for_good(tmp_path: Path) -> None:
    asked = samples.invocation("python", {"ref": "acting:act"})
    result = failure(Python(tmp_path, ENVIRONMENT, interpreter="no-such-python").execute(asked, Event()))
    assert (result.code, result.retryable) == ("COMMAND_NOT_FOUND", False)


def test_a_grandchild_that_holds_the_pipes_and_left_the_session_is_gone_after_the_time(tmp_path: Path) -> None:
    code = """
import os, subprocess, sys, time
def act(given):
    child = subprocess.Popen([sys.executable, "-S", "-E", "-c", "import time; time.sleep(60)"], start_new_session=True)
    with open("pid.new", "w") as file:
        file.write(str(child.pid))
    os.rename("pid.new", "pid")
    time.sleep(60)
"""
    result = failure(run(tmp_path, code, {"timeoutMs": 3000}))
    assert result.code == "TIMEOUT"
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 2
    while (Path(f"/proc/{pid}")).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text()
