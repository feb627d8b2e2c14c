"""`when`, in both forms: a CEL expression, or the original's object of paths and matchers.

`{"steps.build.status": "succeeded", "event.data.priority": ["high", "critical"]}` holds when every path matches; what a
matcher means is the filter's to say, so that `when` and `filter` never disagree.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from automations.core.expression.cel import ROOTS, Activation, ExpressionInvalid, compile_expression
from automations.core.expression.failure import unknown_root
from automations.core.trigger.filter import Filter, check_filter, compile_filter


class When(Protocol):
    """What a compiled `when` answers; an `Expression` is one."""

    def test(self, activation: Activation | Mapping[str, Any]) -> bool:
        """Return whether the condition holds; raises EvaluationFailed when that cannot be said."""

    def roots(self) -> frozenset[str]:
        """Name the roots that it reads."""

    def step_references(self) -> frozenset[str]:
        """Name the steps that it reads."""


class Matcher:
    """The object form; made by `compile_when`."""

    def __init__(self, paths: Iterable[str], compiled: Filter) -> None:
        split = [path.split(".") for path in paths]
        self._filter = compiled
        self._roots = frozenset(parts[0] for parts in split)
        self._steps = frozenset(parts[1] for parts in split if parts[0] == "steps" and len(parts) > 1)

    def test(self, activation: Activation | Mapping[str, Any]) -> bool:
        """Return whether every path matches; a path that leads nowhere is the filter's `missing`, never an error."""
        given = activation if isinstance(activation, Activation) else Activation(activation)
        given.measure(self._roots)
        return self._filter.match(given.data).matches

    def roots(self) -> frozenset[str]:
        """Name the roots that the paths begin with."""
        return self._roots

    def step_references(self) -> frozenset[str]:
        """Name the second parts of paths that begin with `steps`."""
        return self._steps


def compile_when(when: str | Mapping[str, Any], *, roots: Iterable[str] = ROOTS) -> When:
    """Compile either form of `when`.

    Raises ExpressionInvalid for an expression that does not compile or can never be a bool, for a path that does not
    begin with a root, and for what a filter does not take as a matcher.
    """
    known = frozenset(roots)
    if isinstance(when, str):
        expression = compile_expression(when, roots=known)
        if expression.return_type not in {"bool", "dyn"}:
            raise ExpressionInvalid(f"a condition must be true or false; this is {expression.return_type}")
        return expression
    for path in when:
        root = path.split(".", 1)[0]
        if root not in known:
            raise unknown_root(root, known, at=(1, 1)).at((path,))
    for problem, place in check_filter(when):
        raise ExpressionInvalid(problem, path=place)
    return Matcher(when, compile_filter(when))
