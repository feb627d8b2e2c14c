"""The mail provider of the scenario: it sends once for each idempotency key, as real ones do.

A file `hold-<customer>` in the world keeps an answer back after the mail is sent, so that whoever waits for it can be killed.
"""

import fcntl
import os
import time
from pathlib import Path


def send(given: dict[str, str]) -> dict[str, bool]:
    """Send, unless this key was sent before; whether it was sent now."""
    world, key = Path(os.environ["WORLD"]), os.environ["AUTOMATIONS_IDEMPOTENCY_KEY"]
    with (world / "keys").open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        new = key not in file.read().splitlines()
        if new:
            file.write(f"{key}\n")
            with (world / "mails").open("a", encoding="utf-8") as mails:
                mails.write(f"{given['customer']}: {given['text']}\n")
    held = world / f"hold-{given['customer']}"
    if held.exists():
        draft = world / "pid.draft"
        draft.write_text(str(os.getpid()))
        draft.rename(world / f"pid-{given['customer']}")
    until = time.monotonic() + 50  # whoever waits for the answer may be killed, and nobody else would end this
    while held.exists() and time.monotonic() < until:
        time.sleep(0.02)
    return {"new": new}
