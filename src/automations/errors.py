"""The one tree of errors.

Every error names the thing, the place and the next step. The command line and the server each have one boundary that
turns these into text or a status; everything else just raises. Expected failures *inside* a run (a step that failed) are
values, not exceptions.

    AutomationsError
    ├── UsageError               exit 2   the command was not understood
    ├── InvalidInput             exit 1   a spec, event, option value or payload is not acceptable
    │   └── SpecInvalid                   ... with a list of diagnostics
    ├── NotFound                 exit 1
    ├── Conflict                 exit 1   the thing is in a state, or another's hands, that forbids it
    │   └── RouteMoved                    ... and will not be when it is tried again
    ├── Refused                  exit 4   a safety rule said no
    ├── StalePlan                exit 5
    ├── LockNotHeld              exit 6
    ├── StoreError               exit 1
    │   ├── StoreUnavailable              busy, locked, full or gone: try again
    │   └── StoreIncompatible             foreign, newer or tampered schema
    └── SecretUnavailable        exit 1
"""

from typing import Any, ClassVar


class AutomationsError(Exception):
    """An expected failure, told to a person or a program.

    `code` is stable and lower_snake_case; `message` is one sentence without a trailing newline; `hint` is the next step;
    `exit_status` is what the command line exits with.
    """

    code: ClassVar[str] = "error"
    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.stable_code = code or type(self).code

    def document(self) -> dict[str, Any]:
        """The error as the JSON document of the contract."""
        body: dict[str, Any] = {"ok": False, "error": self.message, "code": self.stable_code}
        if self.hint:
            body["hint"] = self.hint
        return body


class UsageError(AutomationsError):
    """The command line was not understood."""

    code = "usage"
    exit_status = 2


class InvalidInput(AutomationsError):
    """Something handed in is not acceptable as it stands."""

    code = "invalid_input"


class EventRejected(InvalidInput):
    """An event was recorded and goes no further: it came through too many runs."""

    code = "event_rejected"


class SpecInvalid(InvalidInput):
    """Specs have errors; `diagnostics` lists all of them (values of `core.diagnostic.Diagnostic`)."""

    code = "spec_invalid"

    def __init__(self, message: str, diagnostics: tuple[Any, ...] = (), *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.diagnostics = diagnostics

    def document(self) -> dict[str, Any]:
        """The error with every diagnostic, where there are some."""
        found = [diagnostic.document() for diagnostic in self.diagnostics]
        return {**super().document(), "diagnostics": found} if found else super().document()


class ConfigInvalid(SpecInvalid):
    """The settings file cannot be read or has errors; `diagnostics` lists all of them."""

    code = "config_invalid"


class NotFound(AutomationsError):
    """A named thing does not exist."""

    code = "not_found"


class Conflict(AutomationsError):
    """The named thing exists but its state or its owner forbids the operation."""

    code = "conflict"


class RouteMoved(Conflict):
    """A webhook's route was changed between its check and its commit; the same request again meets the new definitions."""

    code = "route_moved"


class Refused(AutomationsError):
    """A safety rule refused the operation; the hint names the exact override."""

    code = "refused"
    exit_status = 4


class StalePlan(AutomationsError):
    """The state moved on since the plan was made."""

    code = "stale_plan"
    exit_status = 5


class LockNotHeld(AutomationsError):
    """Another holder has the lock."""

    code = "lock_not_held"
    exit_status = 6


class StoreError(AutomationsError):
    """The database did not do what was asked."""

    code = "store_error"


class StoreUnavailable(StoreError):
    """Busy, locked, full or gone; nothing was written and the same call may succeed later."""

    code = "store_unavailable"


class StoreIncompatible(StoreError):
    """The database is foreign, newer than this program, or its migrations were altered."""

    code = "store_incompatible"


class StoreDamaged(StoreError):
    """A row holds JSON that cannot be read."""

    code = "store_damaged"

    def __init__(self, text: str, *, place: str = "") -> None:
        begins = text if len(text) <= 40 else f"{text[:40]} …"
        super().__init__(
            f"the store is damaged: {place or 'a row'} holds what is no JSON: {begins!r}",
            hint="every such row is named by: automations doctor",
        )
        self.text = text
        """What cannot be read."""


class SecretUnavailable(AutomationsError):
    """A secret reference resolves to nothing here."""

    code = "secret_unavailable"


class ActionFailed(Exception):
    """What a function behind a `python` binding raises to say how its attempt failed; not an error of this program.

    `code` is a word such as `NO_SUCH_TICKET`; `retryable` says whether trying again can help; `retry_after` (seconds) only
    lengthens the wait. Any other exception may be tried again, and its code is `PYTHON_ERROR`.
    """

    def __init__(
        self, message: str, *, code: str = "ACTION_FAILED", retryable: bool = True, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable
        self.retry_after = retry_after
