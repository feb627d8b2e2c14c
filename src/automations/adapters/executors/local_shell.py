"""The `local-shell` binding: one process, started without a shell, with its input on stdin or in a variable.

`command` is the program itself; event data reaches it only as argv items, variables or stdin. Unless the manifest asks
for more it inherits PATH, HOME, TMPDIR, TEMP and TMP alone. Exit 0 is success; 75 and any status without a meaning of
its own may be tried again; 65 and 78 may not (sysexits: EX_DATAERR, EX_CONFIG, EX_TEMPFAIL).
"""

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from threading import Event
from typing import Any

from automations.adapters.executors import binding, process
from automations.adapters.executors.bounded import plain_data
from automations.adapters.executors.process import Command, Ended, Limits
from automations.adapters.executors.redaction import Redactor, redactor
from automations.adapters.secrets import PREFIXES
from automations.core import canonical
from automations.core.run.execution import Cancelled, Failed, Invocation, Outcome, Succeeded
from automations.errors import InvalidInput

INHERITED = ("PATH", "HOME", "TMPDIR", "TEMP", "TMP")
"""Variables that every process gets, when they are set here."""

_INPUT_MODES = ("stdin-json", "env-json", "stdin-and-env-json", "none")
_OUTPUT_MODES = ("json", "text", "shell-result")
_PERMANENT_STATUSES = frozenset({os.EX_DATAERR, os.EX_CONFIG})
_SHORT_OF_RESOURCES = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ETXTBSY})


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
        """Run the process to an outcome; `Cancelled` soon after `cancelled` is set, with nothing of its group left.

        Never raises for what the process did or could not do.
        """
        if cancelled.is_set():
            return Cancelled("cancelled before it started")
        hide = redactor(tuple(self._known_secrets()))
        try:
            plan = _Plan.read(invocation)
            command = Command(
                argv=(plan.program, *plan.args),
                cwd=str(directory_below(self._root, plan.cwd)),
                env=self._variables(invocation, plan),
                stdin=_input_line(invocation) if plan.input_mode.startswith("stdin") else None,
                timeout=binding.timeout_seconds(invocation, default=None),
            )
        except InvalidInput as error:
            return binding.invalid(error)
        try:
            ended = process.run(command, cancelled, limits=self._limits, redactor=hide)
        except (OSError, ValueError) as error:
            return _not_started(hide.text(plan.program), error)
        return _outcome(ended, plan, command=command, hide=hide)

    def _variables(self, invocation: Invocation, plan: "_Plan") -> dict[str, str]:
        wanted = {*INHERITED, *plan.inherit}
        variables = {
            **{
                name: value
                for name, value in self._environment.items()
                # "Everything" is not meant to hand our own keys to every program; a name that is listed is passed.
                if name in wanted or (plan.inherit_all and not name.startswith(PREFIXES))
            },
            **plan.env,
            "OPEN_ACTIONS_RUN_ID": invocation.run_id,
            "OPEN_ACTIONS_ACTION_ID": invocation.action_id,
            "OPEN_ACTIONS_ACTION_VERSION": invocation.manifest_version,
            "OPEN_ACTIONS_DRY_RUN": "true" if invocation.dry_run else "false",
            "AUTOMATIONS_FENCE": str(invocation.fence),
            "AUTOMATIONS_IDEMPOTENCY_KEY": invocation.idempotency_key,
            "AUTOMATIONS_ATTEMPT": str(invocation.attempt),
        }
        if "env" in plan.input_mode:
            variables["OPEN_ACTIONS_INPUT"] = canonical.encode(dict(invocation.input))
        return variables


@dataclass(frozen=True, slots=True)
class _Plan:
    """The binding's fields, read and judged."""

    program: str
    args: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    inherit: tuple[str, ...]
    inherit_all: bool
    input_mode: str
    output_mode: str

    @classmethod
    def read(cls, invocation: Invocation) -> "_Plan":
        config = invocation.binding.config
        inherit = config.get("inheritEnv", False)
        return cls(
            program=binding.text(config, "command"),
            args=binding.texts(config, "args"),
            cwd=binding.text(config, "cwd", default="."),
            env=binding.named_texts(config, "env"),
            inherit=() if isinstance(inherit, bool) else binding.texts(config, "inheritEnv"),
            inherit_all=inherit is True,
            input_mode=binding.choice(config, "inputMode", choices=_INPUT_MODES),
            output_mode=binding.choice(config, "outputMode", choices=_OUTPUT_MODES),
        )


def directory_below(root: Path, cwd: str) -> Path:
    """Find the directory `cwd` under `root`, links followed.

    Raises InvalidInput when it is missing, is no directory, or leads out of `root`.
    """
    try:
        base = root.resolve(strict=True)
        path = (base / cwd).resolve(strict=True)
        inside, usable = path.is_relative_to(base), path.is_dir()
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError is a loop of links before Python 3.13
        raise InvalidInput(
            f"The binding's cwd {cwd!r} does not exist under {root}.", hint="Create it there."
        ) from error
    if not inside:
        raise InvalidInput(f"The binding's cwd {cwd!r} leads out of {root}.", hint="Name a directory below it.")
    if not usable:
        raise InvalidInput(f"The binding's cwd {cwd!r} is not a directory.", hint="Name a directory.")
    return path


def _input_line(invocation: Invocation) -> bytes:
    return canonical.encode(dict(invocation.input)).encode() + b"\n"


def _not_started(program: str, error: OSError | ValueError) -> Failed:
    if isinstance(error, FileNotFoundError):
        return Failed("COMMAND_NOT_FOUND", f"{program}: not found. Install it or correct the PATH.", retryable=False)
    if isinstance(error, OSError):
        hint = " Use inputMode stdin-json: the input is too long for a variable." if error.errno == errno.E2BIG else ""
        retryable = error.errno in _SHORT_OF_RESOURCES
        return Failed("CANNOT_START", f"{program}: cannot start: {error.strerror}.{hint}", retryable=retryable)
    return Failed("CANNOT_START", f"{program}: an argument or variable holds a NUL or a bad name.", retryable=False)


def _outcome(ended: Ended, plan: _Plan, *, command: Command, hide: Redactor) -> Outcome:
    if ended.stopped == "cancelled":
        return Cancelled("the process group was stopped")
    metadata = _metadata(ended)
    program = hide.text(plan.program)
    if ended.stopped == "timeout":
        message = f"{program}: still running after {command.timeout:g} s; its process group was stopped."
        return Failed("TIMEOUT", message, retryable=True, metadata=metadata)
    if ended.status < 0:
        message = f"{program}: ended by signal {metadata['signal']}."
        return Failed("COMMAND_KILLED", message, retryable=True, metadata=metadata)
    if ended.status:
        retryable = ended.status not in _PERMANENT_STATUSES
        return Failed("COMMAND_FAILED", f"{program}: exit {ended.status}.", retryable=retryable, metadata=metadata)
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


def _metadata(ended: Ended) -> dict[str, Any]:
    metadata: dict[str, Any] = {"exitCode": ended.status} if ended.status >= 0 else {"signal": _name(-ended.status)}
    if ended.stderr.size:
        metadata["stderr"] = ended.stderr.excerpt()
    return metadata


def _name(number: int) -> str:
    try:
        return Signals(number).name
    except ValueError:  # real-time signals have no names
        return str(number)
