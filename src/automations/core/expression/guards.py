"""Guards: which paths are certainly there once an expression has come out true, or false.

`has(a.b)` says so, and so does `"b" in a`; and whatever was read to get at an answer was there to be read.
"""

from dataclasses import dataclass

from automations.core.expression.tree import CALL, CONST, IDENT, LIST, LOOP, SELECT, Node

Path = tuple[str, ...]
Paths = frozenset[Path]
_NONE: Paths = frozenset()
_COMPARED = frozenset({"_==_", "_!=_", "@in"})


def path_of(node: Node) -> Path:
    """A path such as `("event", "data", "x")` for `event.data.x` and `event["data"].x`; empty for anything else."""
    if node.kind == IDENT:
        return (node.name.lstrip("."),)
    if node.kind == SELECT:
        owner = path_of(node.children[0])
        return (*owner, node.name) if owner else ()
    if node.kind == CALL and node.name == "_[_]" and node.children[1].text is not None:
        owner = path_of(node.children[0])
        return (*owner, node.children[1].text) if owner else ()
    return ()


def when_true(node: Node) -> Paths:
    """What is there when the expression came out true."""
    return _Answers(reads=True).true(node)


def when_false(node: Node) -> Paths:
    """What is there when the expression came out false."""
    return _Answers(reads=True).false(node)


def asked_by_true(node: Node) -> Paths:
    """Paths without which the expression comes out false and is no error, so that it guards what stands before it too."""
    return _Answers(reads=False).true(node)


def asked_by_false(node: Node) -> Paths:
    """Paths without which the expression comes out true and is no error."""
    return _Answers(reads=False).false(node)


@dataclass(frozen=True, slots=True)
class _Answers:
    """Gathers paths; with `reads` those too that were merely read, and would have been an error."""

    reads: bool

    def true(self, node: Node) -> Paths:
        if node.kind == SELECT and node.asks:
            return self.read(node.children[0]) | _one(path_of(node))
        if node.kind == CALL:
            if node.name == "_&&_":
                return self.true(node.children[0]) | self.true(node.children[1])
            if node.name == "_||_":
                return self.true(node.children[0]) & self.true(node.children[1])
            if node.name == "!_":
                return self.false(node.children[0])
            if node.name == "@in" and node.children[0].kind == CONST and node.children[0].text is not None:
                owner = path_of(node.children[1])
                return self.read(node.children[1]) | (_one((*owner, node.children[0].text)) if owner else _NONE)
        return self.read(node)

    def false(self, node: Node) -> Paths:
        if node.kind == CALL:
            if node.name == "_||_":
                return self.false(node.children[0]) | self.false(node.children[1])
            if node.name == "_&&_":
                return self.false(node.children[0]) & self.false(node.children[1])
            if node.name == "!_":
                return self.true(node.children[0])
        return self.read(node)

    def read(self, node: Node) -> Paths:
        """Every path that was read whatever the answer is."""
        if node.kind == CALL and node.name in ("_&&_", "_||_"):
            return self.true(node) & self.false(node)
        first_only = node.kind == LOOP or (node.kind == CALL and node.name == "_?_:_")
        children = node.children[:1] if first_only else node.children
        found = _NONE.union(*(self.read(child) for child in children))
        if self.reads and node.kind in (SELECT, CALL) and not node.asks:
            found |= _one(path_of(node))
        return found | _status(node) if node.kind == CALL and node.name in _COMPARED else found


def _status(node: Node) -> Paths:
    """Who asks how a step ended knows that it may have no output: `steps.x.status == "succeeded"` is a guard."""
    asked = [path_of(child) for child in node.children if child.kind != LIST]
    steps = [path[1] for path in asked if len(path) == 3 and path[0] == "steps" and path[2] == "status"]
    return frozenset(("steps", step, what) for step in steps for what in ("output", "error"))


def _one(path: Path) -> Paths:
    return frozenset({path}) if path else _NONE
