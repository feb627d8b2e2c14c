"""What every check returns: a finding with its place and the next step.

Nothing in the core prints or raises for bad input it was asked to judge; it returns diagnostics, all of them, in a stable
order.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Path = tuple[str | int, ...]
"""Keys and indexes from the document's root to a value."""


class Severity(StrEnum):
    """How bad a finding is: only errors stop a plan (warnings too, under --strict)."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A place in a file: line and column count from 1; column counts characters, not bytes."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. `code` is stable and documented (`docs/reference/diagnostics.md`), such as `spec/unknown-key`."""

    code: str
    severity: Severity
    message: str
    span: Span
    path: Path = ()
    hint: str = ""

    def document(self) -> dict[str, Any]:
        """The finding as JSON: `{code, severity, message, file, line, column, path, hint}`."""
        return {
            "code": self.code,
            "severity": str(self.severity),
            "message": self.message,
            "file": self.span.file,
            "line": self.span.line,
            "column": self.span.column,
            "path": dotted(self.path),
            "hint": self.hint,
        }

    def __str__(self) -> str:
        return f"{self.span}: {self.severity}: {self.message} [{self.code}]"


def dotted(path: Path) -> str:
    """A path as people write it: `triggers[0].route.path`; a key that is not a plain word is quoted."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.replace("_", "").replace("-", "").isalnum():
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text


def in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Stable order, each once: by file, then line, then column, then code, then message."""
    found: dict[tuple[str, int, int, str, str], list[Diagnostic]] = {}
    for each in diagnostics:
        span = each.span
        alike = found.setdefault((span.file, span.line, span.column, each.code, each.message), [])
        if each not in alike:
            alike.append(each)
    return tuple(each for key in sorted(found) for each in found[key])


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether anything in here stops a plan."""
    return any(d.severity is Severity.ERROR for d in diagnostics)
