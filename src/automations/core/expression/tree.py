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
_ID, _CONST, _IDENT, _SELECT, _CALL, _LIST, _STRUCT, _LOOP = 2, 3, 4, 5, 6, 7, 8, 9
_STRING_CONST, _POSITIONS = 6, 4
_COPIERS = frozenset({"_+_", "string", "bytes"})


@dataclass(slots=True)
class Node:
    """One node. `name` is an identifier, a field, a function, or a loop's variable; `text` a text constant's value."""

    kind: int
    id: int
    name: str = ""
    text: str | None = None
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
    if node.kind == _LOOP:
        parts = {number: raw for number, _, raw in _fields(body)}
        node.name = parts[1].decode()
        node.text = parts[3].decode()
        node.children = [_node(parts[number]) for number in (2, 4, 5, 6, 7)]
        return
    for number, _, raw in _fields(body):
        if node.kind == _CONST:
            node.text = raw.decode() if number == _STRING_CONST else None
        elif node.kind == _IDENT or (node.kind, number) in {(_SELECT, 2), (_CALL, 2)}:
            node.name = raw.decode()
        elif node.kind == _STRUCT and number == 2:
            node.children += [_node(part) for entry, _, part in _fields(raw) if entry in {3, 4}]
        elif (node.kind, number) in {(_SELECT, 1), (_CALL, 1), (_CALL, 3), (_LIST, 1)}:
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
        if node.kind == _LOOP:
            return self._loop(node, bound, depth=depth)
        if node.kind == _IDENT:
            if node.name in bound:
                self.uses[node.name] = self.uses.get(node.name, 0) + 1
            else:
                self.names.add(node.name.lstrip("."))
        elif node.kind in {_SELECT, _CALL}:
            self._step(node, bound)
            self.copies = self.copies or (node.kind == _CALL and node.name in _COPIERS)
        elif node.kind == _LIST:
            self.literal = max(self.literal, len(node.children))
        return max((self.walk(child, bound, depth=depth) for child in node.children), default=1)

    def _loop(self, node: Node, bound: frozenset[str], *, depth: int) -> int:
        source, start, condition, step, result = node.children
        self.loops += 1
        self.depth = max(self.depth, depth + 1)
        self.copies = True
        self.builds = self.builds or start.kind == _LIST
        growth = self.walk(source, bound, depth=depth)
        outer = self.uses.pop(node.name, 0)
        inner = bound | {node.name, node.text or ""}
        body = max(self.walk(part, inner, depth=depth + 1) for part in (condition, step, result))
        growth *= max(1, self.uses.pop(node.name, 0)) * body
        self.uses[node.name] = outer
        return growth

    def _step(self, node: Node, bound: frozenset[str]) -> None:
        owner = node.children[0] if node.children else None
        if owner is None or owner.kind != _IDENT or owner.name.lstrip(".") != "steps" or owner.name in bound:
            return
        if node.kind == _SELECT:
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


def use_before(serialized: bytes, name: str, *, offset: int) -> int | None:
    """Offset in characters of the last identifier `name` at or before `offset`; None when there is none."""
    tree, source = _message(serialized)
    ids: set[int] = set()
    pending = [_node(tree)]
    while pending:
        node = pending.pop()
        pending += node.children
        if node.kind == _IDENT and node.name.lstrip(".") == name:
            ids.add(node.id)
    found = []
    for number, _, raw in _fields(source):
        if number == _POSITIONS:
            entry = {key: value for key, value, _ in _fields(raw)}
            if entry.get(1, 0) in ids:
                found.append(entry.get(2, 0))
    return max((at for at in found if at <= offset), default=None)
