"""What every executor that starts a process shares: where it runs, which variables it gets, and what its end means.

A process inherits PATH, HOME, TMPDIR, TEMP and TMP alone unless the manifest asks for more, and runs below the root. Exit 0
is success; 75 and any status without a meaning of its own may be tried again; 65 and 78 may not (sysexits: EX_DATAERR,
EX_CONFIG, EX_TEMPFAIL).
"""

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from typing import Any

from automations.adapters.executors import binding
from automations.adapters.executors.process import Ended
from automations.adapters.secrets import PREFIXES
from automations.core import canonical
from automations.core.run.execution import Cancelled, Failed, Invocation, Outcome
from automations.errors import InvalidInput

INHERITED = ("PATH", "HOME", "TMPDIR", "TEMP", "TMP")
"""Variables that every process gets, when they are set here."""

_PERMANENT_STATUSES = frozenset({os.EX_DATAERR, os.EX_CONFIG})
_SHORT_OF_RESOURCES = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ETXTBSY})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A binding's `cwd`, `env` and `inheritEnv`, read and judged."""

    cwd: str
    env: Mapping[str, str]
    inherit: tuple[str, ...]
    inherit_all: bool

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> "Surroundings":
        """Read them. Raises InvalidInput."""
        inherit = config.get("inheritEnv", False)
        return cls(
            cwd=binding.text(config, "cwd", default="."),
            env=binding.named_texts(config, "env"),
            inherit=() if isinstance(inherit, bool) else binding.texts(config, "inheritEnv"),
            inherit_all=inherit is True,
        )

    def variables(self, invocation: Invocation, environment: Mapping[str, str]) -> dict[str, str]:
        """Give what an attempt's process gets: what it inherits, what the manifest sets, and what tells it who it is."""
        wanted = {*INHERITED, *self.inherit}
        inherited = {
            name: value
            for name, value in environment.items()
            # "Everything" is not meant to hand our own keys to every program; a name that is listed is passed.
            if name in wanted or (self.inherit_all and not name.startswith(PREFIXES))
        }
        return {
            **inherited,
            **self.env,
            "OPEN_ACTIONS_RUN_ID": invocation.run_id,
            "OPEN_ACTIONS_ACTION_ID": invocation.action_id,
            "OPEN_ACTIONS_ACTION_VERSION": invocation.manifest_version,
            "OPEN_ACTIONS_DRY_RUN": "true" if invocation.dry_run else "false",
            "AUTOMATIONS_IDEMPOTENCY_KEY": invocation.idempotency_key,
            "AUTOMATIONS_ATTEMPT": str(invocation.attempt),
            "AUTOMATIONS_CAUSE": invocation.cause,
            **marks(invocation),
        }


def marks(invocation: Invocation) -> dict[str, str]:
    """Give the variables that no other attempt's processes have: the queued action, and the fence of this claim."""
    return {"AUTOMATIONS_QUEUED_ACTION": invocation.action_row_id, "AUTOMATIONS_FENCE": str(invocation.fence)}


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


def input_line(invocation: Invocation) -> bytes:
    """Spell the input as one line of JSON."""
    return canonical.encode(dict(invocation.input)).encode() + b"\n"


def not_started(program: str, error: OSError | ValueError) -> Failed:
    """Tell why a process could not be started."""
    if isinstance(error, FileNotFoundError):
        return Failed("COMMAND_NOT_FOUND", f"{program}: not found. Install it or correct the PATH.", retryable=False)
    if isinstance(error, OSError):
        hint = " Use inputMode stdin-json: the input is too long for a variable." if error.errno == errno.E2BIG else ""
        retryable = error.errno in _SHORT_OF_RESOURCES
        return Failed("CANNOT_START", f"{program}: cannot start: {error.strerror}.{hint}", retryable=retryable)
    return Failed("CANNOT_START", f"{program}: an argument or variable holds a NUL or a bad name.", retryable=False)


def stopped(ended: Ended, program: str, *, timeout: float | None) -> Outcome | None:
    """Tell an end that we made; None when the process ended by itself. `timeout` in seconds."""
    if ended.stopped == "cancelled":
        return Cancelled("the process group was stopped")
    if ended.stopped == "timeout":
        message = f"{program}: still running after {timeout:g} s; its process group was stopped."
        return Failed("TIMEOUT", message, retryable=True, metadata=metadata(ended))
    return None


def unsuccessful(ended: Ended, program: str) -> Failed | None:
    """Tell what a status other than 0 means; None for 0."""
    told = metadata(ended)
    if ended.status < 0:
        return Failed("COMMAND_KILLED", f"{program}: ended by signal {told['signal']}.", retryable=True, metadata=told)
    if ended.status:
        retryable = ended.status not in _PERMANENT_STATUSES
        return Failed("COMMAND_FAILED", f"{program}: exit {ended.status}.", retryable=retryable, metadata=told)
    return None


def metadata(ended: Ended) -> dict[str, Any]:
    """Give the exit status or signal, and the end of what was written to stderr."""
    told: dict[str, Any] = {"exitCode": ended.status} if ended.status >= 0 else {"signal": _name(-ended.status)}
    if ended.stderr.size:
        told["stderr"] = ended.stderr.excerpt()
    return told


def _name(number: int) -> str:
    try:
        return Signals(number).name
    except ValueError:  # real-time signals have no names
        return str(number)
