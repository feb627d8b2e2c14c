"""The `local-shell` binding: one process, started without a shell, with its input on stdin or in a variable.

`command` is the program itself; event data reaches it only as variables or on stdin. What it inherits and what its exit
status means is every process's, see `child`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from automations.adapters.executors import binding, child, process
from automations.adapters.executors.bounded import plain_data
from automations.adapters.executors.child import Surroundings
from automations.adapters.executors.process import Command, Ended, Limits
from automations.adapters.redaction import Redactor, redactor
from automations.core import canonical
from automations.core.run.execution import Cancelled, Failed, Invocation, Outcome, Succeeded
from automations.errors import InvalidInput

_INPUT_MODES = ("stdin-json", "env-json", "stdin-and-env-json", "none")
_OUTPUT_MODES = ("json", "text", "shell-result")


class LocalShell:
    """Executes `local-shell` bindings below `root`, the only place where a binding's `cwd` may lie.

    `environment` is what processes may inherit from; `known_secrets` gives the values to redact from captured output.
    """

    kind = "local-shell"

    def __init__(
        self,
        root: Path,
        environment: Mapping[str, str],
        *,
        known_secrets: binding.KnownSecrets = binding.no_secrets,
        limits: Limits | None = None,
    ) -> None:
        self._root = root
        self._environment = environment
        self._known_secrets = known_secrets
        self._limits = limits or Limits()

    def execute(self, invocation: Invocation, cancelled: Event) -> Outcome:
        """Run the process to an outcome; `Cancelled` soon after `cancelled` is set, with nothing of it left.

        Never raises for what the process did or could not do.
        """
        if cancelled.is_set():
            return Cancelled("cancelled before it started")
        hide = redactor(tuple(self._known_secrets()))
        try:
            plan = _Plan.read(invocation.binding.config)
            command = self._command(invocation, plan)
        except InvalidInput as error:
            return binding.invalid(error)
        try:
            ended = process.run(command, cancelled, limits=self._limits, redactor=hide)
        except (OSError, ValueError) as error:
            return child.not_started(hide.text(plan.program), error)
        return _outcome(ended, plan, timeout=command.timeout, hide=hide)

    def _command(self, invocation: Invocation, plan: "_Plan") -> Command:
        env = plan.around.variables(invocation, self._environment)
        if "env" in plan.input_mode:
            env["OPEN_ACTIONS_INPUT"] = canonical.encode(dict(invocation.input))
        return Command(
            argv=(plan.program, *plan.args),
            cwd=str(child.directory_below(self._root, plan.around.cwd)),
            env=env,
            stdin=child.input_line(invocation) if plan.input_mode.startswith("stdin") else None,
            timeout=binding.timeout_seconds(invocation, default=None),
            marks=child.marks(invocation),
        )


@dataclass(frozen=True, slots=True)
class _Plan:
    """The binding's fields, read and judged."""

    program: str
    args: tuple[str, ...]
    around: Surroundings
    input_mode: str
    output_mode: str

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> "_Plan":
        return cls(
            program=binding.text(config, "command"),
            args=binding.texts(config, "args"),
            around=Surroundings.read(config),
            input_mode=binding.choice(config, "inputMode", choices=_INPUT_MODES),
            output_mode=binding.choice(config, "outputMode", choices=_OUTPUT_MODES),
        )


def _outcome(ended: Ended, plan: _Plan, *, timeout: float | None, hide: Redactor) -> Outcome:
    program = hide.text(plan.program)
    failed = child.stopped(ended, program, timeout=timeout) or child.unsuccessful(ended, program)
    if failed:
        return failed
    metadata = child.metadata(ended)
    if plan.output_mode == "json":
        return _json_outcome(ended, program, metadata=metadata, hide=hide)
    if ended.stdout.cut:
        metadata["truncated"] = True
    output = ended.stdout.text() if plan.output_mode == "text" else _shell_result(ended, plan, hide=hide)
    return Succeeded(output, metadata)


def _json_outcome(ended: Ended, program: str, *, metadata: dict[str, Any], hide: Redactor) -> Outcome:
    if ended.stdout.cut:
        message = f"{program}: wrote {ended.stdout.size} bytes of output, more than is kept. Write less, or use text."
        return Failed("OUTPUT_TOO_LARGE", message, retryable=False, metadata=metadata)
    written = ended.stdout.data().strip()
    try:
        return Succeeded(plain_data(written, hide) if written else {}, metadata)
    except InvalidInput as error:
        message = f"{program}: exit 0, but its output is {error.message}."
        metadata["stdout"] = ended.stdout.excerpt()
        return Failed("OUTPUT_INVALID", message, retryable=False, metadata=metadata)


def _shell_result(ended: Ended, plan: _Plan, *, hide: Redactor) -> dict[str, Any]:
    """Tell the whole process, in open-actions' own keys and with `exitCode`, the word that our contract uses."""
    result = {
        "status": "success",
        "command": plan.program,
        "args": list(plan.args),
        "code": ended.status,
        "exitCode": ended.status,
        "signal": None,
        "stdout": ended.stdout.text(),
        "stderr": ended.stderr.text(),
    }
    redacted: dict[str, Any] = hide.plain(result)
    return redacted
