"""The strict reader of specs, manifests and tests: bytes of one file become a document, or findings with their places.

Strict means YAML 1.2's core schema as editors apply it, duplicate keys and foreign tags refused, and bounds on
everything, so that no file can crash, stall or fill the program. Nothing raises: what is wrong is a diagnostic.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from automations.core.diagnostic import Diagnostic, Severity, Span, in_order
from automations.core.spec.composer import Composer, Limits
from automations.core.spec.document import Document
from automations.core.spec.events import foreseen, is_json, open_events
from automations.core.spec.positions import FirstLines, marks

__all__ = ["LIMITS", "Limits", "Reading", "read"]

LIMITS = Limits()

_BOM = b"\xef\xbb\xbf"
_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of a file: a document, or None and at least one error."""

    document: Document | None
    diagnostics: tuple[Diagnostic, ...]


def read(raw: bytes, file: str, *, limits: Limits = LIMITS) -> Reading:
    """Read the bytes of `file`, which is named in every finding.

    JSON's own grammar reads files whose name ends in `.json`, and an object or list of JSON under any other name.
    Values are plain data that parts of a document may share (aliases): treat them as read-only. Never raises.
    """
    try:
        return _read(raw, file, limits=limits)
    except Exception as error:  # noqa: BLE001 - one odd file must not stop the others: it becomes a finding
        message = f"the file could not be read because of a fault in the reader: {type(error).__name__}"
        return _refused(file, "yaml/internal", message=message, hint="Please report this with the file.")


def _read(raw: bytes, file: str, *, limits: Limits) -> Reading:
    if len(raw) > limits.size:
        message = f"the file has {len(raw)} bytes; at most {limits.size} are read"
        return _refused(
            file, "yaml/size", message=message, hint="Split it, or keep large content elsewhere and refer to it."
        )
    raw = raw.removeprefix(_BOM)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        return _not_utf8(raw, file, at=error.start)
    composer = Composer(open_events(raw, file), file, text=text, limits=limits, first_lines=FirstLines(raw, file))
    if not is_json(raw, file) and (fault := foreseen(raw, text)):
        composer.fault(fault)
    else:
        composer.run()
    if composer.findings:
        return Reading(None, in_order(composer.findings))
    if composer.blank or not composer.roots:
        return _refused(
            file, "yaml/empty", message="the file holds no document", hint="Write a document, or delete the file."
        )
    document = placed(raw, file, composer.roots[0])
    document.outline = {
        path: (event.start_mark.line + 1, event.start_mark.column + 1)
        for path, event in composer.outline
        if "<<" not in path
    }
    return Reading(document, ())


def placed(raw: bytes, file: str, value: Any) -> Document:
    """The document of bytes that mean this value."""
    raw = raw.removeprefix(_BOM)
    locate = partial(marks, raw, file)
    return Document(file, value, locate, near=locate, source=lambda: raw)


def _not_utf8(raw: bytes, file: str, *, at: int) -> Reading:
    before = raw[:at].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    line_start = before.rfind(b"\n") + 1
    span = Span(file, before.count(b"\n") + 1, len(before[line_start:].decode()) + 1)
    wide = raw.startswith(_WIDE_BOMS)
    message = "the file is UTF-16 or UTF-32, not UTF-8" if wide else f"the byte 0x{raw[at]:02X} here is not UTF-8"
    finding = Diagnostic("yaml/encoding", Severity.ERROR, message, span, (), "Save the file as UTF-8.")
    return Reading(None, (finding,))


def _refused(file: str, code: str, *, message: str, hint: str) -> Reading:
    return Reading(None, (Diagnostic(code, Severity.ERROR, message, Span(file), (), hint),))
