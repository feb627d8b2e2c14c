"""The actions of the scenario: judging, paging, noting. An ordinary module of a team, so it knows nothing of automations."""

import os
from pathlib import Path
from typing import Any


class PagerAwayError(Exception):
    """The pager does not answer; trying again may help."""

    code = "PAGER_AWAY"
    retryable = True


def assess(given: dict[str, Any]) -> dict[str, str]:
    """How bad it is, and a sentence about it."""
    free = given["freePercent"]
    return {
        "severity": "critical" if free < 5 else "warning",
        "text": f"{given['host']} {given['mount']}: {free}% free",
    }


async def page(given: dict[str, str]) -> dict[str, int]:
    """Reach somebody. Raises PagerAwayError while nobody can be reached."""
    attempt = int(os.environ["AUTOMATIONS_ATTEMPT"])
    if _world("pager-is-away").exists():
        raise PagerAwayError(f"no answer to {given['text']!r}")
    _append("pages", f"{os.environ['AUTOMATIONS_IDEMPOTENCY_KEY']} {given['severity']} {given['text']}")
    return {"attempt": attempt}


def note(given: dict[str, str]) -> None:
    """Keep a line."""
    _append("notes", given["text"])


def _world(name: str) -> Path:
    return Path(os.environ["WORLD"]) / name


def _append(name: str, line: str) -> None:
    with _world(name).open("a", encoding="utf-8") as file:
        file.write(line + "\n")
