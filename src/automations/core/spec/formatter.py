"""The one way in which a spec is written: keys in the schema's order, two spaces a level, as few quotes as there can be.

Every comment stays, with what it is about. What comes out is read again: unless it means exactly what the file meant and holds
every comment, the file is left as it is. Objects that are the author's own (`input`, `filter`, `metadata`, a JSON Schema) keep
their order, and so does an object in which an alias would come before its anchor.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from automations.core.canonical import encode
from automations.core.diagnostic import Diagnostic
from automations.core.spec import schemas
from automations.core.spec.commented import Entry, Node, Note, Tree, UnformattableError, commented
from automations.core.spec.events import is_json, open_events
from automations.core.spec.reader import read
from automations.core.spec.scalars import BadScalarError, plain
from automations.core.spec.structure import kind_of

WIDTH: Final = 120
"""Characters of a line up to which a collection in brackets stays on it."""
_STEP: Final = 2
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*\Z")
_ESCAPE: Final = re.compile(r"\\(?:(?P<pair>u[dD][89abAB]..\\u[dD][c-fC-F]..)|.)")
_OLD_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""Words that YAML 1.1 takes for something else."""


KEPT_ORDER: Final = "some keys keep their order, because an alias must stay below its anchor"


class Formatted:
    """What came of a file: its canonical text, or why there is none. `remark` says what that text is less than canonical in."""

    __slots__ = ("diagnostics", "reason", "remark", "text")

    def __init__(
        self, text: str | None = None, *, diagnostics: Sequence[Diagnostic] = (), reason: str = "", remark: str = ""
    ) -> None:
        self.text = text
        self.diagnostics = tuple(diagnostics)
        self.reason = reason
        self.remark = remark


def formatted(raw: bytes, file: str) -> Formatted:
    """Format the bytes of a YAML file. Never raises: a file that cannot be read has diagnostics, another refusal a reason."""
    before = read(raw, file)
    if before.document is None:
        return Formatted(diagnostics=before.diagnostics)
    kind = kind_of(before.document) or "automation"
    try:
        tree = _tree(raw, file)
        writer = _Writer(schemas.schema(kind), anchored=tree.anchored)
        text = writer.file(tree.root, before.document.value)
        after = read(text.encode(), file)
        kept = after.document is not None and encode(before.document.value) == encode(after.document.value)
        if not kept or Counter(_tree(text.encode(), file).comments) != Counter(tree.comments):
            return Formatted(reason="its canonical form would not mean the same")
    except UnformattableError as odd:
        return Formatted(reason=str(odd))
    except Exception as bug:  # noqa: BLE001  # one odd file must not stop the others, and is left as it is
        return Formatted(reason=f"of a fault in the formatter ({type(bug).__name__}); please report this with the file")
    return Formatted(text, remark=KEPT_ORDER if writer.kept_order else "")


def _tree(raw: bytes, file: str) -> Tree:
    text = raw.removeprefix(b"\xef\xbb\xbf").decode().replace("\r\n", "\n").replace("\r", "\n")
    if is_json(text.encode(), file):  # its strings are kept as written, and YAML has no surrogate pairs
        text = _ESCAPE.sub(lambda found: json.loads(f'"{found[0]}"') if found["pair"] else found[0], text)
    return commented(open_events(text.encode(), file), text)


def _referring(entries: Sequence[Entry]) -> list[int]:
    """The entries in which an anchor or an alias stands, each by its identity, in their order."""
    return [id(entry) for entry in entries if _refers(entry.key) or _refers(entry.value)]


def _refers(node: Node | None) -> bool:
    if node is None:
        return False
    if node.kind == "alias" or "&" in node.properties:
        return True
    return any(_refers(each.key) or _refers(each.value) for each in node.entries)


class _Writer:
    def __init__(self, schema: Mapping[str, Any], *, anchored: bool) -> None:
        self._schema = schema
        self._anchored = anchored
        self.kept_order = False
        """Whether some object could not be brought into the order of the schema."""

    def file(self, root: Node, value: Any) -> str:
        """The whole text of a file. What stands above the first key stays at the top, whichever key that will be."""
        if not root.entries:
            raise UnformattableError("it is empty")
        root.flow = False
        header = _tidy(root.entries[0].leading, first=True)
        root.entries[0].leading = []
        self._arrange(root, self._schema, value)
        lines = [note.text for note in header] + self._block(root, 0)
        while not _open_ended(root) and not lines[-1]:
            lines.pop()
        return "\n".join(lines) + "\n"

    # ---- order

    def _arrange(self, node: Node | None, part: Any, value: Any) -> None:
        """Bring the entries of a node, and of all inside it, into the order of the schema."""
        if node is None or not node.collection:
            return
        part = self._resolved(part)
        if node.kind == "sequence":
            for entry, item in zip(node.entries, value if isinstance(value, list) else (), strict=False):
                self._arrange(entry.value, part.get("items"), item)
            return
        known = self._properties(part, value)
        rank = {key: number for number, key in enumerate(known)}
        for entry in node.entries:
            key = entry.key.value if entry.key else ""
            inner = value.get(key) if isinstance(value, dict) else None
            self._arrange(entry.value, known.get(key, part.get("additionalProperties")), inner)
        if rank:
            self._sort(node, rank)

    def _sort(self, node: Node, rank: Mapping[str, int]) -> None:
        """Sort, unless that would change the order in which anchors and aliases come."""
        ordered = sorted(node.entries, key=lambda entry: rank.get(entry.key.value if entry.key else "", len(rank)))
        if self._anchored and _referring(ordered) != _referring(node.entries):
            self.kept_order = True
        else:
            node.entries[:] = ordered

    def _resolved(self, part: Any) -> Mapping[str, Any]:
        if not isinstance(part, Mapping):
            return {}
        if "$ref" not in part:
            return part
        found: Mapping[str, Any] = self._schema["$defs"].get(part["$ref"].removeprefix("#/$defs/"), {})
        return found

    def _properties(self, part: Mapping[str, Any], value: Any) -> dict[str, Any]:
        """The keys that a mapping may have here, in the schema's order; a `kind` brings its own."""
        known = dict(part.get("properties", {}))
        for each in part.get("allOf", ()):
            if "then" in each and _applies(each.get("if", {}), value):
                then = self._resolved(each["then"])
                known |= {key: inner for key, inner in self._properties(then, value).items() if key not in known}
        return known

    # ---- text

    def _block(self, node: Node, indent: int) -> list[str]:
        pad = " " * indent
        lines: list[str] = []
        open_ended = False
        for number, entry in enumerate(node.entries):
            written = self._pair(entry, indent) if node.kind == "mapping" else self._item(entry, indent)
            notes = _tidy(entry.leading, first=number == 0 or open_ended)
            lines += [pad + note.text if note.text else "" for note in notes] + written
            open_ended = _open_ended(entry.value)
        tail = _tidy(node.tail, first=open_ended)
        return lines + [pad + note.text if note.text else "" for note in tail]

    def _pair(self, entry: Entry, indent: int) -> list[str]:
        assert entry.key is not None  # noqa: S101  # a mapping's entries have keys
        assert entry.value is not None  # noqa: S101  # and values
        entry.leading += [Note(0, each) for each in entry.key.trailing]
        start = " " * indent + _key(entry.key) + ":"
        value = entry.value
        if self._stands_below(value, len(start) + 1):
            head = "".join(f"  {each}" for each in [*entry.head, *value.trailing])
            named = f" {value.properties}" if value.properties else ""
            return [start + named + head, *self._block(value, indent + _STEP)]
        entry.leading += [Note(0, each) for each in entry.head]
        return self._inline(value, start, indent=indent)

    def _item(self, entry: Entry, indent: int) -> list[str]:
        assert entry.value is not None  # noqa: S101  # an item is a value
        start, value = " " * indent + "-", entry.value
        if not self._stands_below(value, len(start) + 1):
            return self._inline(value, start, indent=indent)
        if value.properties:
            entry.leading += [Note(0, each) for each in value.trailing]
            return [f"{start} {value.properties}", *self._block(value, indent + _STEP)]
        first = value.entries[0]
        lines = self._block(value, indent + _STEP)
        above = len(_tidy(first.leading, first=True))
        entry.leading += [*(Note(0, each) for each in value.trailing), *_tidy(first.leading, first=True)]
        return [start + lines[above][len(start) :], *lines[above + 1 :]]

    def _stands_below(self, value: Node, column: int) -> bool:
        """Whether a collection takes lines of its own; an empty one, or a short one in brackets, does not."""
        if not value.collection or (not value.entries and not value.tail):
            return False
        if not value.entries:
            raise UnformattableError("it has a comment inside empty brackets")
        return not (value.flow and column + len(_flow(value)) <= WIDTH)

    def _inline(self, value: Node, start: str, *, indent: int) -> list[str]:
        """What follows a key or a dash on its line, and the lines that go on from there."""
        pad = " " * (indent + _STEP)
        comment = "".join(f"  {each}" for each in value.trailing)
        if value.kind == "scalar" and value.style and value.style[0] in "|>":
            header, lines = _block_scalar(value)
            return [f"{start} {_named(value, header)}{comment}", *(pad + line if line else "" for line in lines)]
        first, *rest = (_flow(value) if value.collection else _named(value, _scalar(value))).split("\n")
        lines = [f"{start} {first}" if first else start]
        lines += [pad + line.lstrip(" \t") if line.strip(" \t") else "" for line in rest]
        lines[-1] += comment
        return lines


def _applies(condition: Mapping[str, Any], value: Any) -> bool:
    """Whether a condition of a schema holds as far as constants go, which is how kinds are told apart."""
    constants = {key: part["const"] for key, part in condition.get("properties", {}).items() if "const" in part}
    return (
        isinstance(value, dict) and bool(constants) and all(value.get(key) == each for key, each in constants.items())
    )


def _tidy(notes: Sequence[Note], *, first: bool) -> list[Note]:
    """Notes with at most one blank line in a row, and none at the beginning of a collection."""
    kept: list[Note] = []
    for note in notes:
        if note.text or (kept[-1].text if kept else not first):
            kept.append(note)
    return kept


def _open_ended(node: Node | None) -> bool:
    """Whether blank lines after a node would belong to it: its last line is of a text that keeps them."""
    while node is not None and node.collection:
        if any(note.text for note in node.tail) or node.flow or not node.entries:
            return False
        node = node.entries[-1].value
    return node is not None and bool(node.style) and str(node.style)[0] in "|>" and _chomping(node) == "+"


def _named(node: Node, text: str) -> str:
    return f"{node.properties} {text}".rstrip() if node.properties else text


def _key(key: Node) -> str:
    if key.kind == "alias":
        return f"{key.text} "
    if "\n" in key.text or (key.style and key.style[0] in "|>"):
        raise UnformattableError("it has a key of several lines")
    text = _scalar(key)
    if key.style in ("'", '"') and _PLAIN_KEY.match(key.value) and key.value.lower() not in _OLD_WORDS:
        text = key.value if _means_itself(key.value) else text
    if not text:
        raise UnformattableError("it has an empty key")
    return _named(key, text)


def _means_itself(text: str) -> bool:
    try:
        return plain(text) == text
    except BadScalarError:
        return False


def _scalar(node: Node) -> str:
    """A scalar as it was written; single quotes become double ones where nothing in between would change its meaning."""
    if node.style == "'" and "\n" not in node.text and not set('"\\') & set(node.value):
        return f'"{node.value}"'
    if node.style is None or node.style == "":
        return "\n".join(line.rstrip(" \t") for line in node.text.split("\n"))
    return node.text


def _flow(node: Node) -> str:
    """A collection on one line."""
    parts = list(_flow_parts(node))
    if node.kind == "mapping":
        return _named(node, "{" + ", ".join(parts) + "}")
    return _named(node, "[" + ", ".join(parts) + "]")


def _flow_parts(node: Node) -> Iterator[str]:
    for entry in node.entries:
        value = entry.value
        assert value is not None  # noqa: S101  # the reader gave every key a value
        text = _flow(value) if value.collection else _named(value, _scalar(value)) or "null"
        if "\n" in text:
            raise UnformattableError("it has a text of several lines inside brackets")
        yield text if entry.key is None else f"{_key(entry.key)}: {text}"


def _chomping(node: Node) -> str:
    """`-`, nothing or `+`: what its final line ends ask for."""
    ends = len(node.value) - len(node.value.rstrip("\n"))
    if ends == len(node.value):
        return "+" if "+" in str(node.style) else "-" if not ends else ""
    return "-" if ends == 0 else "" if ends == 1 else "+"


def _block_scalar(node: Node) -> tuple[str, list[str]]:
    """The header and the lines, not indented, of a text written as a block."""
    style = str(node.style)
    chomping = _chomping(node)
    if style[0] == "|":
        lines = node.value.removesuffix("\n").split("\n") if node.value else []
    else:
        lines = _folded(node, style)
        while lines and not lines[-1]:
            lines.pop()
        ends = len(node.value) - len(node.value.rstrip("\n"))
        lines += [""] * (ends - 1)
    first = next((line for line in lines if line), "")
    indicator = str(_STEP) if first.startswith((" ", "\t")) else ""
    return style[0] + indicator + chomping, lines


def _folded(node: Node, style: str) -> list[str]:
    """The source lines of a folded text without their indentation, which the first line (or the header) tells."""
    lines = node.text.split("\n")
    digit = re.search(r"[1-9]", style)
    first = next((line for line in lines if line.strip(" ")), "")
    depth = node.column + int(digit.group()) if digit else len(first) - len(first.lstrip(" "))
    return [line[depth:] if line[:depth].strip(" ") == "" else line.lstrip(" ") for line in lines]
