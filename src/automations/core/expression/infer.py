"""What an expression comes to before there is data, and what in it can never work on data of the shapes that are known.

A walk over the checked tree, of which CEL's own checker sees only `dyn`. A finding is about one part of the expression that no
data of the given shape evaluates (a field that cannot be there, operands that no operator takes), or that fails whenever an
optional field is missing and nothing beside it asks whether it is there. `&&` and `||` forgive an error of one side when the
other decides, whichever stands first (CEL specification, "Logical Operators"), so a guard counts for its whole conjunction.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Literal, NamedTuple

from automations.core.expression import operators
from automations.core.expression.cel import Expression
from automations.core.expression.guards import Paths, asked_by_false, asked_by_true, path_of, when_false, when_true
from automations.core.expression.shape import ANY, BOOL, TEXT, Reading, Shape, either, fields, of_kind, overlap
from automations.core.expression.tree import CALL, CONST, IDENT, LIST, LOOP, SELECT, STRUCT, Node

Fault = Literal["unknown-field", "undeclared-field", "optional-field", "operand-type", "never-equal", "never-there"]
"""What can be wrong; the last two and an undeclared field are worth a warning, for the expression still evaluates."""


_MOST_NAMES = 12
"""Fields that a hint lists."""


class Found(NamedTuple):
    """One finding about a node of the tree: the field at `path`, as far as it has one."""

    fault: Fault
    node: int
    message: str
    hint: str = ""
    path: tuple[str, ...] = ()


class Inferred(NamedTuple):
    """What is known of the result, and all that was found."""

    shape: Shape
    found: tuple[Found, ...]


def infer(expression: Expression, roots: Mapping[str, Shape], *, present: Paths = frozenset()) -> Inferred:
    """Walk an expression over the shapes of its roots (others are open). `present` are the paths that are known to be there."""
    walk = _Walk()
    shape = walk.visit(expression.tree(), roots, present)
    return Inferred(shape, tuple(dict.fromkeys(walk.found)))


def plainly(kinds: frozenset[str]) -> str:
    """Kinds as people call them: `a number or null`."""
    words = {
        "int": "a number",
        "double": "a number",
        "uint": "a number",
        "string": "text",
        "map": "an object",
        "list": "a list",
    }
    words |= {"bool": "true or false", "null": "null"}
    return " or ".join(dict.fromkeys(words.get(each, f"a {each}") for each in sorted(kinds)))


@dataclass(slots=True)
class _Walk:
    """One walk; `visit` gives the shape of a node and notes what is wrong with it once."""

    found: list[Found] = field(default_factory=list)

    def visit(self, node: Node, env: Mapping[str, Shape], present: Paths) -> Shape:
        """The shape of a node. What is wrong is noted, and open from there on, so that one slip is told once."""
        if node.kind == CONST:
            return replace(of_kind(node.constant), values=None if node.text is None else frozenset({node.text}))
        if node.kind == IDENT:
            return env.get(node.name.lstrip("."), ANY)
        if node.kind == SELECT:
            return self._select(node, env, present)
        if node.kind == CALL:
            return self._call(node, env, present)
        if node.kind == LOOP:
            return self._loop(node, env, present)
        parts = [self.visit(child, env, present) for child in node.children]
        if node.kind == LIST:
            return Shape(frozenset({"list"}), item=lambda: reduce(either, parts) if parts else ANY)
        return _literal(node, parts) if node.kind == STRUCT else ANY

    def _select(self, node: Node, env: Mapping[str, Shape], present: Paths) -> Shape:
        owner = self.visit(node.children[0], env, present)
        path = path_of(node)
        if not overlap(owner.kinds, {"map"}):
            return self._wrong(node, f"{_said(node.children[0])} is {plainly(owner.kinds)}, which has no fields")
        reading = owner.read(node.name)
        if not node.asks:
            return self._field(node, reading, owner, there=path in present, path=path)
        if reading.shape is None:
            self._note(
                "never-there", node, f"{_said(node)} is never there", hint=nearest_field(node.name, owner), path=path
            )
        return BOOL

    def _field(self, node: Node, reading: Reading, owner: Shape, *, there: bool, path: tuple[str, ...]) -> Shape:
        if there:
            return reading.shape or ANY
        name = path[-1] if path else node.name
        said = ".".join(path) or name
        if reading.known == "no":
            hint, where = nearest_field(name, owner), _said(_owner(node))
            if reading.shape is not None:
                hint = "; ".join(filter(None, (hint, f"if it may be there all the same, guard it: has({said}) && …")))
            if reading.shape is None or reading.presence == "maybe":
                self._note("unknown-field", node, f"there is no field {name} in {where}", hint=hint, path=path)
            else:
                message = f"{owner.by} does not declare {name} in {where}"
                self._note("undeclared-field", node, message, hint=hint, path=path)
        elif reading.presence == "maybe":
            message = f"{said} is optional and may be missing"
            self._note(
                "optional-field",
                node,
                message,
                hint=f"guard it: has({said}) && …, or has({said}) ? {said} : …",
                path=path,
            )
        return reading.shape or ANY

    def _call(self, node: Node, env: Mapping[str, Shape], present: Paths) -> Shape:
        logical = _LOGICAL.get(node.name)
        if logical is not None:
            return logical(self, node, env, present)
        parts = [self.visit(child, env, present) for child in node.children]
        if node.name == "_[_]":
            return self._index(node, parts, present)
        if node.name in ("_==_", "_!=_"):
            return self._equal(node, parts)
        kinds = operators.result(node.name, [each.kinds for each in parts])
        if kinds is None:
            return ANY
        if not kinds:
            given = ", ".join(plainly(each.kinds) for each in parts)
            return self._wrong(node, f"`{operators.symbol(node.name)}` does not work on ({given})")
        return Shape(kinds)

    def _index(self, node: Node, parts: list[Shape], present: Paths) -> Shape:
        owner, key = parts
        if not overlap(owner.kinds, {"map", "list"}):
            return self._wrong(node, f"{_said(node.children[0])} is {plainly(owner.kinds)}, which has no items")
        text = node.children[1].text
        if text is not None and "list" not in owner.kinds:
            path = path_of(node)
            return self._field(node, owner.read(text), owner, there=path in present, path=path or (text,))
        if owner.kinds == {"list"}:
            if not overlap(key.kinds, {"int", "uint", "double"}):
                return self._wrong(node, f"an item of a list goes by its number, not by {plainly(key.kinds)}")
            return owner.item()
        return ANY

    def _equal(self, node: Node, parts: list[Shape]) -> Shape:
        left, right = (_comparable(each.kinds) for each in parts)
        if not overlap(left, right):
            message = f"{plainly(parts[0].kinds)} is never equal to {plainly(parts[1].kinds)}"
            self._note("never-equal", node, message, hint="write both sides in the same type")
        elif parts[0].values is not None and parts[1].values is not None and not parts[0].values & parts[1].values:
            known, other = sorted(parts, key=lambda each: -len(each.values or ()))
            message = f"{_said_values(other.values)} is none of the values that there are: {_said_values(known.values)}"
            self._note("never-equal", node, message)
        return BOOL

    def _loop(self, node: Node, env: Mapping[str, Shape], present: Paths) -> Shape:
        source, start, condition, step, result = node.children
        range_ = self.visit(source, env, present)
        if not overlap(range_.kinds, {"list", "map"}):
            return self._wrong(
                source, f"{_said(source)} is {plainly(range_.kinds)}, and only lists and objects are looped over"
            )
        each = range_.item() if "map" not in range_.kinds else TEXT if "list" not in range_.kinds else ANY
        begun = self.visit(start, env, present)
        kept = frozenset(path for path in present if path[0] not in (node.name, node.text))
        inner = {**env, node.name: each, node.text or "": begun if begun.kinds == {"bool"} else ANY}
        for part in (condition, step):
            self.visit(part, inner, kept)
        return of_kind("list") if begun.kinds == {"list"} else self.visit(result, inner, kept)

    def _condition(self, node: Node, env: Mapping[str, Shape], present: Paths) -> None:
        """A part that must be able to be true or false."""
        shape = self.visit(node, env, present)
        if not overlap(shape.kinds, {"bool"}):
            self._wrong(node, f"{_said(node)} is {plainly(shape.kinds)}, where true or false is needed")

    def _and(self, node: Node, env: Mapping[str, Shape], present: Paths) -> Shape:
        left, right = node.children
        self._condition(left, env, present | asked_by_true(right))
        self._condition(right, env, present | when_true(left))
        return BOOL

    def _or(self, node: Node, env: Mapping[str, Shape], present: Paths) -> Shape:
        left, right = node.children
        self._condition(left, env, present | asked_by_false(right))
        self._condition(right, env, present | when_false(left))
        return BOOL

    def _not(self, node: Node, env: Mapping[str, Shape], present: Paths) -> Shape:
        self._condition(node.children[0], env, present)
        return BOOL

    def _choice(self, node: Node, env: Mapping[str, Shape], present: Paths) -> Shape:
        condition, one, other = node.children
        self._condition(condition, env, present)
        return either(
            self.visit(one, env, present | when_true(condition)),
            self.visit(other, env, present | when_false(condition)),
        )

    def _wrong(self, node: Node, message: str) -> Shape:
        self._note("operand-type", node, message)
        return ANY

    def _note(self, fault: Fault, node: Node, message: str, *, hint: str = "", path: tuple[str, ...] = ()) -> None:
        self.found.append(Found(fault, node.id, message, hint, path))


_Logical = Callable[[_Walk, Node, Mapping[str, Shape], Paths], Shape]
_LOGICAL: Mapping[str, _Logical] = {
    "_&&_": _Walk._and,  # noqa: SLF001  # the walk's own methods
    "_||_": _Walk._or,  # noqa: SLF001  # the same
    "!_": _Walk._not,  # noqa: SLF001  # the same
    "_?_:_": _Walk._choice,  # noqa: SLF001  # the same
}


def _literal(node: Node, parts: list[Shape]) -> Shape:
    """The shape of an object that is written out."""
    keys = [key.text for key in node.children[::2]]
    if any(key is None for key in keys):
        return of_kind("map")
    known = {str(key): Reading(shape, "always", "yes") for key, shape in zip(keys, parts[1::2], strict=True)}
    return fields(known, closed=True)


def _owner(node: Node) -> Node:
    return node.children[0]


def _said(node: Node) -> str:
    """A part of an expression as it is written, where it is a path."""
    path = path_of(node)
    return ".".join(path) if path else "this"


def _said_values(values: frozenset[str] | None) -> str:
    return ", ".join(f'"{each}"' for each in sorted(values or ()))


def _comparable(kinds: frozenset[str]) -> frozenset[str]:
    """Numbers of all types can be equal."""
    return kinds | {"int", "uint", "double"} if overlap(kinds, {"int", "uint", "double"}) else kinds


def nearest_field(name: str, owner: Shape) -> str:
    """What may have been meant by a field that is not there, and which there are; empty where none is known."""
    from difflib import get_close_matches  # noqa: PLC0415  # only where something is wrong

    near = get_close_matches(name, owner.names, n=1)
    meant = f"did you mean `{near[0]}`? " if near else ""
    more = ", …" if len(owner.names) > _MOST_NAMES else ""
    there = f"the fields are: {', '.join(owner.names[:_MOST_NAMES])}{more}" if owner.names else ""
    return (meant + there).strip()
