"""What is remembered of a good file: enough to see that nothing changed, and the rest when somebody asks.

A plan over thousands of files needs of most of them only who they are and what their digest is. Their documents are read back,
and their models built, when a change, a check or a person looks at one.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from automations.core.canonical import as_written, decode
from automations.core.diagnostic import Diagnostic, Severity, Span
from automations.core.spec import build
from automations.core.spec.catalogue import Advice, Interpreted
from automations.core.spec.document import Document, Marks

if TYPE_CHECKING:
    from automations.core.spec.model import Automation, Manifest

T = TypeVar("T")
Fact = list[Any]
"""`[stamp, id, version, digest, renamedFrom, routes, shelf, advice]` as JSON keeps it; a manifest has a version."""


class RememberedDocument(Document):
    """A document whose value is read when it is first asked for."""

    __slots__ = ("_held", "_read")

    def __init__(self, file: str, read: Callable[[], str], *, locate: Callable[..., Marks], source: Any) -> None:
        super().__init__(file, None, locate, near=locate, source=source)
        self._read = read
        self._held: Any = None

    @property
    def value(self) -> Any:
        """The document's data."""
        if self._held is None:
            self._held = decode(self._read())
        return self._held

    @value.setter
    def value(self, value: Any) -> None:
        """The base class sets it to nothing."""
        self._held = value

    def text(self) -> str:
        """The data as JSON text, in the author's order of keys."""
        return self._read()


def text_of(document: Document) -> str:
    """A document's data as JSON text, in the author's order of keys, so that a plan from memory lists fields as the file does."""
    return document.text() if isinstance(document, RememberedDocument) else as_written(document.value)


class _Late:
    """A model whose few known parts answer at once; anything else builds it."""

    __slots__ = ("_build", "_built", "digest", "id", "renamed_from", "version")

    def __init__(self, fact: Fact, built: Callable[[], Any]) -> None:
        self.id = fact[1]
        self.digest = fact[3]
        self._build = built
        self._built: Any = None
        if fact[2] is None:
            self.renamed_from = fact[4]
        else:
            self.version = fact[2]

    def __getattr__(self, name: str) -> Any:
        if name in _Late.__slots__ and name not in ("version", "renamed_from"):
            raise AttributeError(name)
        return getattr(self.whole(), name)

    def whole(self) -> Any:
        """The model itself."""
        if self._built is None:
            self._built = self._build()
        return self._built


def whole(model: T) -> T:
    """The model itself, where it may be one that is only remembered."""
    return cast("T", model.whole()) if isinstance(model, _Late) else model


def recalled(fact: Fact, document: RememberedDocument) -> Interpreted:
    """The file as it was interpreted, from what is remembered of it."""
    file = document.file
    if fact[2] is not None:
        late = _Late(fact, lambda: build.manifest(document.value))
        return Interpreted(file, document, manifest=cast("Manifest", late))
    late = _Late(fact, lambda: build.automation(document.value))
    routes = tuple((index, identity, path) for index, identity, path in fact[5])
    advice = None if fact[6] is None else Advice(fact[6], tuple(diagnostic_of(each, file) for each in fact[7]))
    return Interpreted(
        file, document, automation=cast("Automation", late), claims=fact[1], routes=routes, advice=advice
    )


def fact_of(stamp: str, each: Interpreted, advice: Advice | None) -> Fact | None:
    """What to remember of a good file; None for what is not worth it (tests)."""
    if each.manifest is not None:
        return [stamp, each.manifest.id, each.manifest.version, each.manifest.digest, None, [], None, []]
    if each.automation is None:
        return None
    automation = each.automation
    said = [] if advice is None else [plain_diagnostic(finding) for finding in advice.findings]
    shelf = None if advice is None else advice.shelf
    routes = [list(route) for route in each.routes]
    return [stamp, automation.id, None, automation.digest, automation.renamed_from, routes, shelf, said]


def plain_diagnostic(finding: Diagnostic) -> list[Any]:
    """A finding as JSON keeps it, without its file."""
    span = finding.span
    place = [span.line, span.column]
    return [finding.code, str(finding.severity), finding.message, place, list(finding.path), finding.hint]


def diagnostic_of(kept: list[Any], file: str) -> Diagnostic:
    """The finding again, in a file."""
    code, severity, message, (line, column), path, hint = kept
    return Diagnostic(code, Severity(severity), message, Span(file, line, column), tuple(path), hint)
