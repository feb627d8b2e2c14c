"""The systems of the scenario: a directory, a mailbox that knows fences, badges, and the people team's inbox.

A file `hold-<what>` in the world keeps the first attempt waiting, so that its worker can be stopped or killed meanwhile.
"""

import fcntl
import os
import time
from pathlib import Path


class StaleError(Exception):
    """Somebody with a higher fence was here."""

    code = "STALE_FENCE"
    retryable = False


class BadgesDownError(Exception):
    """The badge system says no for good."""

    code = "BADGES_DOWN"
    retryable = False


def lock(given: dict[str, str]) -> None:
    """Lock the account."""
    _append("locked", given["person"])


def archive(given: dict[str, str]) -> dict[str, int]:
    """Archive the mailbox, unless a later attempt did. Raises StaleError."""
    fence = int(os.environ["AUTOMATIONS_FENCE"])
    _waits_while_held("mail", fence)
    with _world("mail.fence").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        if fence < int(file.read() or 0):
            _append("refused", f"{given['person']} fence {fence}")
            raise StaleError(f"fence {fence} is not the newest")
        file.truncate(0)
        file.write(str(fence))
        _append("archived", f"{given['person']} fence {fence}")
    return {"fence": fence}


def revoke(given: dict[str, str]) -> None:
    """Revoke the badge. Raises BadgesDownError while there is a file `badges-are-down`."""
    _waits_while_held("badge", int(os.environ["AUTOMATIONS_FENCE"]))
    if _world("badges-are-down").exists():
        raise BadgesDownError("the badge system is switched off")
    _append("revoked", given["person"])


def report(given: dict[str, str]) -> None:
    """Tell the people team."""
    _append("reports", given["text"])


def _waits_while_held(what: str, fence: int) -> None:
    if fence > 1 or not _world(f"hold-{what}").exists():
        return
    draft = _world(f"{what}.pid.draft")
    draft.write_text(str(os.getpid()))
    draft.rename(_world(f"{what}.pid"))
    until = time.monotonic() + 50  # whoever waits for the answer may be killed, and nobody else would end this
    while _world(f"hold-{what}").exists() and time.monotonic() < until:
        time.sleep(0.02)


def _world(name: str) -> Path:
    return Path(os.environ["WORLD"]) / name


def _append(name: str, line: str) -> None:
    with _world(name).open("a", encoding="utf-8") as file:
        file.write(line + "\n")
