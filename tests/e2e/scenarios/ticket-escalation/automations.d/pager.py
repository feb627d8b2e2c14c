"""The pager of the scenario: pages are lines of a file, answers are files."""

import asyncio
import os
from pathlib import Path


def page(given: dict[str, str]) -> None:
    """Page somebody."""
    with _world("pages").open("a", encoding="utf-8") as file:
        file.write(f"{given['who']} {given['ticket']} {given['text']}\n")


async def look(given: dict[str, str]) -> dict[str, bool]:
    """Whether somebody answered before patience ended."""
    while True:
        for ending in ("acknowledged", "unanswered"):
            if _world(f"{given['ticket']}.{ending}").exists():
                return {"acknowledged": ending == "acknowledged"}
        await asyncio.sleep(0.02)


def _world(name: str) -> Path:
    return Path(os.environ["WORLD"]) / name
