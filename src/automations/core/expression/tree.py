"""What an expression reads and how it loops, from the library's own checked tree.

The library hands its tree out only as a serialized protobuf message (`cel.expr.CheckedExpr` or, unchecked,
`cel.expr.ParsedExpr`, inside an `Any`). The wire format is small and stable, so it is read here directly: a second
parser of CEL's text would sooner or later disagree with the one that evaluates. Sources: protobuf's encoding document;
field numbers from `cel/expr/syntax.proto` and `cel/expr/checked.proto`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

_EXPR_OF = {b"CheckedExpr": (4, 5), b"ParsedExpr": (2, 3)}
"""Field numbers of the tree and of the source information, by message."""
_ID, CONST, IDENT, SELECT, CALL, LIST, STRUCT, LOOP = 2, 3, 4, 5, 6, 7, 8, 9
_STRING_CONST, _POSITIONS, _TEST_ONLY = 6, 4, 3
_CONSTANTS = {1: "null", 2: "bool", 3: "int", 4: "uint", 6: "string", 7: "bytes", 8: "duration", 9: "timestamp"}
"""By field number; a double, the only one of fixed width, has none here."""
_COPIERS = frozenset({"_+_", "string", "bytes"})


@dataclass(slots=True)
class Node:
    """One node. `name` is an identifier, a field, a function, or a loop's variable; `text` a text constant's value.

    `constant` is a constant's type in CEL's words; `asks` marks a field that `has()` only asks about. A map's children are its
    keys and values in turn, a loop's its range, start, condition, step and result, a method's the object it is called on first.
    """

    kind: int
    id: int
    name: str = ""
    text: str | None = None
    constant: str = ""
    asks: bool = False
    children: "list[Node]" = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Facts:
    """What an expression reads and how much it can grow.

    `loops` counts its loops, `depth` how deep they nest, `literal` is the length of its longest list literal; `builds`
    says whether a loop makes a list, `copies` whether evaluation can allocate more than its own result; `growth` bounds
    how often one value can be repeated by loop variables that are used more than once.
    """

    roots: frozenset[str]
    steps: frozenset[str]
    loops: int = 0
    depth: int = 0
    literal: int = 0
    builds: bool = False
    copies: bool = False
    growth: int = 1


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _fields(raw: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Field number, integer value, and bytes of every field; fixed-width numbers are passed over."""
    at, end = 0, len(raw)
    while at < end:
        key, at = _varint(raw, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(raw, at)
            yield key >> 3, value, b""
        elif wire == 2:
            size, at = _varint(raw, at)
            yield key >> 3, 0, raw[at : at + size]
            at += size
        else:
            at += 8 if wire == 1 else 4


def _message(serialized: bytes) -> tuple[bytes, bytes]:
    """Take the bytes of the tree and of the source information out of the `Any`."""
    tree = source = b""
    kind, body = b"", b""
    for number, _, raw in _fields(serialized):
        if number == 1:
            kind = raw.rsplit(b".", 1)[-1]
        else:
            body = raw
    tree_field, source_field = _EXPR_OF[kind]
    for number, _, raw in _fields(body):
        if number == tree_field:
            tree = raw
        elif number == source_field:
            source = raw
    return tree, source


def _node(raw: bytes) -> Node:
    node = Node(0, 0)
    for number, value, body in _fields(raw):
        if number == _ID:
            node.id = value
        else:
            node.kind = number
            _fill(node, body)
    return node


def _fill(node: Node, body: bytes) -> None:
    """Read one variant. A loop's children are always (range, start, condition, step, result)."""
    if node.kind == LOOP:
        parts = {number: raw for number, _, raw in _fields(body)}
        node.name = parts[1].decode()
        node.text = parts[3].decode()
        node.children = [_node(parts[number]) for number in (2, 4, 5, 6, 7)]
        return
    if node.kind == CONST:
        node.constant = "double"
    for number, value, raw in _fields(body):
        if node.kind == CONST:
            node.constant = _CONSTANTS.get(number, "double")
            node.text = raw.decode() if number == _STRING_CONST else None
        elif (node.kind, number) == (SELECT, _TEST_ONLY):
            node.asks = bool(value)
        elif node.kind == IDENT or (node.kind, number) in {(SELECT, 2), (CALL, 2)}:
            node.name = raw.decode()
        elif node.kind == STRUCT and number == 2:
            node.children += [_node(part) for entry, _, part in _fields(raw) if entry in {3, 4}]
        elif (node.kind, number) in {(SELECT, 1), (CALL, 1), (CALL, 3), (LIST, 1)}:
            node.children.append(_node(raw))


@dataclass(slots=True)
class _Survey:
    """Gathers facts on one walk; `uses` counts free uses of loop variables by name."""

    names: set[str] = field(default_factory=set)
    steps: set[str] = field(default_factory=set)
    loops: int = 0
    depth: int = 0
    literal: int = 0
    builds: bool = False
    copies: bool = False
    uses: dict[str, int] = field(default_factory=dict)

    def walk(self, node: Node, bound: frozenset[str], *, depth: int) -> int:
        """Walk `node` and return its growth."""
        if node.kind == LOOP:
            return self._loop(node, bound, depth=depth)
        if node.kind == IDENT:
            if node.name in bound:
                self.uses[node.name] = self.uses.get(node.name, 0) + 1
            else:
                self.names.add(node.name.lstrip("."))
        elif node.kind in {SELECT, CALL}:
            self._step(node, bound)
            self.copies = self.copies or (node.kind == CALL and node.name in _COPIERS)
        elif node.kind == LIST:
            self.literal = max(self.literal, len(node.children))
        return max((self.walk(child, bound, depth=depth) for child in node.children), default=1)

    def _loop(self, node: Node, bound: frozenset[str], *, depth: int) -> int:
        source, start, condition, step, result = node.children
        self.loops += 1
        self.depth = max(self.depth, depth + 1)
        self.copies = True
        self.builds = self.builds or start.kind == LIST
        growth = self.walk(source, bound, depth=depth)
        outer = self.uses.pop(node.name, 0)
        inner = bound | {node.name, node.text or ""}
        body = max(self.walk(part, inner, depth=depth + 1) for part in (condition, step, result))
        growth *= max(1, self.uses.pop(node.name, 0)) * body
        self.uses[node.name] = outer
        return growth

    def _step(self, node: Node, bound: frozenset[str]) -> None:
        owner = node.children[0] if node.children else None
        if owner is None or owner.kind != IDENT or owner.name.lstrip(".") != "steps" or owner.name in bound:
            return
        if node.kind == SELECT:
            self.steps.add(node.name)
        elif node.name == "_[_]" and node.children[1].text is not None:
            self.steps.add(node.children[1].text)


def facts(serialized: bytes, roots: frozenset[str]) -> Facts:
    """Tell what a serialized checked expression reads, given the names that are roots."""
    survey = _Survey()
    growth = survey.walk(_node(_message(serialized)[0]), frozenset(), depth=0)
    return Facts(
        roots=frozenset(survey.names) & roots,
        steps=frozenset(survey.steps),
        loops=survey.loops,
        depth=survey.depth,
        literal=survey.literal,
        builds=survey.builds,
        copies=survey.copies,
        growth=growth,
    )


def tree_of(serialized: bytes) -> Node:
    """The tree of a serialized expression."""
    return _node(_message(serialized)[0])


def offsets_of(serialized: bytes) -> dict[int, int]:
    """For the ids of an expression's nodes their offsets in characters."""
    return dict(_offsets(_message(serialized)[1]))


def _offsets(source: bytes) -> Iterator[tuple[int, int]]:
    for number, _, raw in _fields(source):
        if number == _POSITIONS:
            entry = {key: value for key, value, _ in _fields(raw)}
            yield entry.get(1, 0), entry.get(2, 0)


def use_before(serialized: bytes, name: str, *, offset: int) -> int | None:
    """Offset in characters of the last identifier `name` at or before `offset`; None when there is none."""
    ids: set[int] = set()
    pending = [tree_of(serialized)]
    while pending:
        node = pending.pop()
        pending += node.children
        if node.kind == IDENT and node.name.lstrip(".") == name:
            ids.add(node.id)
    return max((at for node, at in offsets_of(serialized).items() if node in ids and at <= offset), default=None)
