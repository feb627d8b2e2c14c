"""The pager of the scenario: pages are lines of a file, answers are files."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path

PATIENCE = 50
"""Seconds; whoever asks may be killed meanwhile, and nobody else would end the asking."""


def page(given: dict[str, str]) -> None:
    """Page somebody."""
    with _world("pages").open("a", encoding="utf-8") as file:
        file.write(f"{given['who']} {given['ticket']} {given['text']}\n")


async def look(given: dict[str, str]) -> dict[str, bool]:
    """Whether somebody answered before patience ended."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while not _world(f"{given['ticket']}.unanswered").exists():
                if _world(f"{given['ticket']}.acknowledged").exists():
                    return {"acknowledged": True}
                await asyncio.sleep(0.02)
    return {"acknowledged": False}


def _world(name: str) -> Path:
    return Path(os.environ["WORLD"]) / name
