"""Plain tables and phrases for terminals: columns as wide as their widest cell, control characters made visible."""

from collections.abc import Mapping, Sequence
from typing import Any

from automations.core.reason import shown


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns two spaces apart, without trailing space."""
    cells = [list(header), *([clean(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells)
    return "\n".join(lines)


def counted(number: int, word: str, several: str = "") -> str:
    """`1 file`, `2 files`; `several` where the plural is another word."""
    return f"{number} {word if number == 1 else several or f'{word}s'}"


def suspension(record: Mapping[str, Any]) -> str:
    """Who suspended something, until when, and why: what follows "suspended"."""
    until = f", until {record['until']}" if "until" in record else ""
    return f"by {record['owner']}{until}: {shown(record['reason'])}"


def clean(text: str) -> str:
    """Text that cannot move a cursor or ring a bell."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
