"""CEL, the Common Expression Language: the one module that touches the library behind it.

`compile_expression` reads text once and remembers it; `Expression` evaluates it against an `Activation` and gives back
plain data or raises. The library is Google's C++ implementation; what it is protected from, and what others are
protected from by it, is written beside each rule. Source of the language: the CEL specification, cel.dev.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any

from automations.core.expression.activation import Activation, Measure
from automations.core.expression.failure import (
    EvaluationFailed,
    ExpressionInvalid,
    explain_compile,
    explain_evaluate,
    place,
    undeclared,
    unknown_root,
)
from automations.core.expression.tree import Facts, Node, facts, offsets_of, tree_of, use_before
from automations.core.instant import iso

__all__ = ["BODY_ROOTS", "ROOTS", "Activation", "EvaluationFailed", "Expression", "ExpressionInvalid"]
__all__ += ["compile_expression"]

ROOTS = frozenset({"event", "inputs", "steps", "run", "automation", "vars", "schedule", "item"})
"""The names that an expression in a spec may begin with."""
BODY_ROOTS = frozenset({"body"})
"""The only name in a webhook's `typeTemplate`: the event that the other roots describe does not exist yet."""
MAX_TEXT = 8 * 1024
"""Bytes of UTF-8 in one expression."""
MAX_RESULT_NODES = 100_000
MAX_RESULT_TEXT = 4 * 1024 * 1024
"""Characters of text in one result, keys included."""

_ITERATIONS = 10_000
"""The library's own budget for all loops of one evaluation; its Python interface cannot change it."""
_MAX_GROWTH = 1_000
_MAX_WORK = 100_000_000
_MAX_BUILT = 4_000_000
_TEXT_PER_NODE = 4
"""Characters that cost about as much as visiting one value (measured: 3.4 ns against 8 to 12 ns)."""

_ORDER = {"_<_": "less", "_<=_": "less_equals", "_>_": "greater", "_>=_": "greater_equals"}
_NUMBERS = {"int64": "INT", "uint64": "UINT", "double": "DOUBLE"}
_ORDERED = {"bool": "BOOL", "string": "STRING", "bytes": "BYTES", "timestamp": "TIMESTAMP", "duration": "DURATION"}
_LIBRARY_ERRORS = (RuntimeError, ValueError, LookupError, TypeError, AssertionError)
"""What the library's calls are seen to raise; errors of evaluation mostly come back as values of type ERROR."""


@dataclass(frozen=True, slots=True, eq=False)
class _Engine:
    """The library prepared for one set of roots."""

    env: Any
    error_type: Any

    def convert(self, data: dict[str, Any]) -> Any:
        """Make an activation of the library's. It converts a root when an expression first reads it, then keeps it."""
        return self.env.Activation(data)


@lru_cache(maxsize=16)
def _engine(roots: frozenset[str]) -> _Engine:
    # Imported here: loading the library takes 15 ms that commands which evaluate nothing must not pay.
    from cel_expr_python import cel  # noqa: PLC0415  # see above

    excluded = "".join(f'    - name: "{operator}"\n' for operator in _ORDER)
    env = cel.NewEnv(
        config=cel.NewEnvConfigFromYaml(f"stdlib:\n  exclude_functions:\n{excluded}"),
        variables=dict.fromkeys(sorted(roots), cel.Type.DYN),
        functions=[cel.FunctionDecl(operator, _comparisons(cel, name)) for operator, name in _ORDER.items()],
    )
    return _Engine(env, cel.Type.ERROR)


def _comparisons(cel: Any, name: str) -> list[Any]:
    """Declare what lets the checker pass 92.5 > 90.

    The library's evaluator compares numbers across types, as the CEL specification asks; only its checker leaves the
    mixed overloads out. A function cannot be declared twice, so the order operators are declared anew as a whole.
    """
    pairs = [(left, right) for left in _NUMBERS for right in _NUMBERS]
    kinds = {**_NUMBERS, **_ORDERED}
    pairs += [(kind, kind) for kind in _ORDERED]
    return [
        cel.Overload(
            f"{name}_{left}" if left == right else f"{name}_{left}_{right}",
            return_type=cel.Type.BOOL,
            parameters=[getattr(cel.Type, kinds[left]), getattr(cel.Type, kinds[right])],
        )
        for left, right in pairs
    ]


class Expression:
    """A compiled expression; made by `compile_expression`, shared freely."""

    def __init__(self, text: str, *, roots: frozenset[str]) -> None:
        self.text = text
        self._roots = roots
        self._engine = _engine(roots)
        self._program = _compiled(text, self._engine, roots=roots)
        # Only macros loop, and a macro is a call.
        if "(" in text and self._facts.growth > _MAX_GROWTH:
            raise ExpressionInvalid("the loops repeat their variables so often that the result could grow without end")

    @cached_property
    def _facts(self) -> Facts:
        """Worked out when first asked for: a plan compiles thousands of expressions and evaluates none."""
        return facts(self._program.serialize(), self._roots)

    @cached_property
    def return_type(self) -> str:
        """What the checker knows of the result: `bool`, `int`, `uint`, `double`, `string`, `list`, `map`, `null`, ...

        `dyn` when it depends on the data.
        """
        name: str = self._program.return_type().name()
        return name.split("<", 1)[0].lower()

    def tree(self) -> Node:
        """Read the checked tree anew."""
        return tree_of(self._program.serialize())

    def offsets(self) -> dict[int, int]:
        """Where in the text the nodes of the tree stand: characters from its beginning, by node id."""
        return offsets_of(self._program.serialize())

    def roots(self) -> frozenset[str]:
        """Name the roots that the expression reads."""
        return self._facts.roots

    def step_references(self) -> frozenset[str]:
        """Name the ids that appear as `steps.x` or `steps["x"]`; computed indexes cannot be known and are left out."""
        return self._facts.steps if "steps" in self.text else frozenset()

    def evaluate(self, activation: Activation | Mapping[str, Any]) -> Any:
        """Return the result as plain data, with object keys in order of code points.

        An unsigned integer becomes an int, a timestamp ISO text in milliseconds, a duration text in seconds (`90s`).
        Raises EvaluationFailed for an error, for a result that is not plain data (bytes, types, NaN), and past the
        bounds on work and size.
        """
        value = self._run(activation)
        answer = value.value()
        if answer is None or isinstance(answer, int):
            return answer
        return _Result(self._engine.error_type).plain(value, answer)

    def test(self, activation: Activation | Mapping[str, Any]) -> bool:
        """Return the result, which must be exactly true or false; anything else raises EvaluationFailed."""
        answer = self._run(activation).value()
        if answer is True or answer is False:
            return bool(answer)
        result = self.evaluate(activation)
        raise EvaluationFailed(f"the result is {_kind(result)}, not true or false")

    def _run(self, activation: Activation | Mapping[str, Any]) -> Any:
        reads = self._facts
        given = activation.narrowed(reads.roots) if isinstance(activation, Activation) else Activation(activation)
        if reads.loops:
            self._afford(given.measure(reads.roots))
        elif not reads.roots <= given.plain:
            given.measure(reads.roots)
        engine = self._engine
        # What an evaluation allocates lives as long as the activation that it used; one that may allocate much gets its
        # own, so that a thousand expressions over one event do not add up.
        native = engine.convert(given.data) if reads.copies else given.native(engine, engine.convert)
        try:
            return self._program.eval(native)
        except _LIBRARY_ERRORS as error:
            raise explain_evaluate(str(error)) from None

    def _afford(self, data: Measure) -> None:
        """Refuse loops over so much data that they could hold everything else up.

        The library's budget counts iterations, not their cost: one step may compare all the data there is, and lists
        are built by copying them for every item. Nothing can interrupt an evaluation, so its cost is bounded before.
        """
        reads = self._facts
        width = max(data.widest, reads.literal)
        iterations = min(_ITERATIONS, reads.loops * width**reads.depth)
        heaviest = max(data.nodes, data.longest // _TEXT_PER_NODE)
        if max(iterations, reads.growth) * heaviest > _MAX_WORK or (reads.builds and iterations * width > _MAX_BUILT):
            raise EvaluationFailed(
                f"the loops could do too much work over this data ({data.nodes} values, longest list {data.widest})"
            )


def _compiled(text: str, engine: _Engine, *, roots: frozenset[str]) -> Any:
    try:
        return engine.env.compile(text)
    except _LIBRARY_ERRORS as error:
        message = str(error)
    problem = explain_compile(message)
    name = (undeclared(message) or "").split(".", 1)[0]
    if name:
        # Unchecked, the same text still has its tree, which knows whether the name is read or called, and where.
        tree = engine.env.compile(text, disable_check=True).serialize()
        lines = text.split("\n")
        offset = sum(len(line) + 1 for line in lines[: problem.line - 1]) + problem.column - 1
        found = use_before(tree, name, offset=offset)
        if found is not None:
            raise unknown_root(name, roots, at=place(text, found))
    raise problem


@dataclass(slots=True)
class _Result:
    """Turns one result into plain data within bounds; shared parts of a value count each time they appear."""

    error_type: Any
    nodes: int = MAX_RESULT_NODES
    text: int = MAX_RESULT_TEXT

    def plain(self, value: Any, answer: Any) -> Any:
        """Plain data for a value of the library and what it unwraps to, one level deep."""
        self.nodes -= 1
        if self.nodes < 0:
            raise EvaluationFailed(f"the result holds more than {MAX_RESULT_NODES} values")
        if isinstance(answer, str):
            if value.type() == self.error_type:
                raise explain_evaluate(answer)
            return self._spent(answer)
        if isinstance(answer, list):
            return [self.plain(item, item.value()) for item in answer]
        if isinstance(answer, dict):
            return self._object(answer)
        return _scalar(answer)

    def _object(self, answer: dict[Any, Any]) -> dict[str, Any]:
        for key in answer:
            if not isinstance(key, str):
                raise EvaluationFailed("the result is an object with keys that are not text")
            self._spent(key)
        return {key: self.plain(answer[key], answer[key].value()) for key in sorted(answer)}

    def _spent(self, text: str) -> str:
        self.text -= len(text)
        if self.text < 0:
            raise EvaluationFailed(f"the result holds more than {MAX_RESULT_TEXT} characters of text")
        return text


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def _scalar(answer: Any) -> Any:
    if answer is None or isinstance(answer, int):
        return answer
    if isinstance(answer, float):
        if answer - answer != 0:
            raise EvaluationFailed("the result is a number that is not finite")
        return answer
    if isinstance(answer, datetime):
        return iso((answer - _EPOCH) // _MICROSECOND)
    if isinstance(answer, timedelta):
        return _seconds(answer // _MICROSECOND)
    kind = "bytes" if isinstance(answer, bytearray | bytes) else f"a {type(answer).__name__.lower()}"
    raise EvaluationFailed(f"the result is {kind}, which is not plain data")


def _seconds(microseconds: int) -> str:
    """Write a duration as CEL and protobuf's JSON write it: `90s`, `-1.5s`."""
    whole, fraction = divmod(abs(microseconds), 1_000_000)
    sign = "-" if microseconds < 0 else ""
    digits = f".{fraction:06d}".rstrip("0") if fraction else ""
    return f"{sign}{whole}{digits}s"


def _kind(result: Any) -> str:
    names = {int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return "null" if result is None else names[type(result)]


def compile_expression(text: str, *, roots: Iterable[str] = ROOTS) -> Expression:
    """Compile bare CEL text, or find it compiled before.

    Raises ExpressionInvalid, with the place inside `text`, for syntax, unknown names and functions, operators on types
    that they never take, `${{` (which belongs to templates), and text past the bounds on size and nesting.
    """
    return _remembered(text, frozenset(roots))


@lru_cache(maxsize=4096)
def _remembered(text: str, roots: frozenset[str]) -> Expression:
    if not text.strip():
        raise ExpressionInvalid("the expression is empty")
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        line, column = place(text, error.start)
        raise ExpressionInvalid("a lone surrogate is no character", line=line, column=column) from None
    if size > MAX_TEXT:
        raise ExpressionInvalid(f"the expression has {size} bytes; the limit is {MAX_TEXT}")
    template = text.find("${{")
    if template >= 0:
        line, column = place(text, template)
        hint = "write the expression without `${{` and `}}`"
        raise ExpressionInvalid("`${{` does not belong inside an expression", line=line, column=column, hint=hint)
    return Expression(text, roots=roots)
