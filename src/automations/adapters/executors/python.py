"""The `python` binding: a function `module:name`, called in a child process of its own with the input.

Modules are looked for in the binding's `cwd`, in the root, and among what is installed for the interpreter. The function takes
the input and returns plain data, or a coroutine of it. It answers on a pipe of its own, so that it may print as it likes.
"""

from collections.abc import Mapping
from pathlib import Path
from threading import Event

from automations.adapters.executors import answered, binding, child, process
from automations.adapters.executors.child import Surroundings
from automations.adapters.executors.process import Command, Limits
from automations.adapters.redaction import redactor
from automations.core import canonical
from automations.core.run.execution import Cancelled, Invocation, Outcome
from automations.errors import InvalidInput

CHILD = Path(__file__).with_name("function_child.py")
"""The program that calls a function: a file, since the interpreter that runs it may not have this package."""


class Python:
    """Executes `python` bindings below `root` with the interpreter named, see `LocalShell` for the rest."""

    kind = "python"

    def __init__(
        self,
        root: Path,
        environment: Mapping[str, str],
        *,
        interpreter: str,
        known_secrets: binding.KnownSecrets = binding.no_secrets,
        limits: Limits | None = None,
    ) -> None:
        self._root = root
        self._environment = environment
        self._interpreter = interpreter
        self._known_secrets = known_secrets
        self._limits = limits or Limits()

    def execute(self, invocation: Invocation, cancelled: Event) -> Outcome:
        """Call the function to an outcome; `Cancelled` soon after `cancelled` is set, with nothing of its process left.

        Never raises for what the function did.
        """
        if cancelled.is_set():
            return Cancelled("cancelled before it started")
        hide = redactor(tuple(self._known_secrets()))
        try:
            ref = binding.text(invocation.binding.config, "ref")
            command = self._command(invocation, ref)
        except InvalidInput as error:
            return binding.invalid(error)
        try:
            ended = process.run(command, cancelled, limits=self._limits, redactor=hide)
        except (OSError, ValueError) as error:
            return child.not_started(self._interpreter, error)
        return answered.outcome(ended, ref, timeout=command.timeout, hide=hide)

    def _command(self, invocation: Invocation, ref: str) -> Command:
        around = Surroundings.read(invocation.binding.config)
        cwd = child.directory_below(self._root, around.cwd)
        root = str(self._root.resolve())
        request = {"ref": ref, "root": root, "paths": [str(cwd), root], "input": invocation.input}
        return Command(
            # Isolated from the variables and the directory it starts in; compiled modules are not written among specs.
            argv=(self._interpreter, "-I", "-B", "-X", "utf8", str(CHILD)),
            cwd=str(cwd),
            env=around.variables(invocation, self._environment),
            stdin=canonical.encode(request).encode(),
            timeout=binding.timeout_seconds(invocation, default=None),
            answers=True,
            marks=child.marks(invocation),
        )
