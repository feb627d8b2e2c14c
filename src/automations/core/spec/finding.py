"""A finding: what a check says about a place in a document, before it is known where in the file that stands."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from automations.core.diagnostic import Diagnostic, Path, Severity
from automations.core.spec.document import Document


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem at a path in the document."""

    code: str
    path: Path
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR


def place(document: Document, finding: Finding) -> Diagnostic:
    """A finding as a diagnostic at its path's position."""
    span = document.at(finding.path)
    return Diagnostic(finding.code, finding.severity, finding.message, span, finding.path, finding.hint)


def paths_of_steps(spec: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Every step with its path, `finally` steps last (the order of `Automation.steps`)."""
    for section in ("actions", "finally"):
        for index, raw in enumerate(spec.get(section, ())):
            yield (section, index), raw
