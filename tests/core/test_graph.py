"""The graph of steps: circles are found, and who is over before whom."""

from hypothesis import given
from hypothesis import strategies as st

from automations.core.spec.graph import ancestors, cycle
from automations.core.spec.model import Dependency, Step

NAMES = "abcdef"
edges = st.frozensets(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=12)


def steps(wanted: frozenset[tuple[str, str]], *, final: str = "") -> tuple[Step, ...]:
    """One step a name; (a, b) means that a waits for b."""
    return tuple(
        Step(
            name,
            "x",
            depends_on=tuple(Dependency(on) for who, on in sorted(wanted) if who == name),
            final=name in final,
        )
        for name in NAMES
    )


def reachable(wanted: frozenset[tuple[str, str]], start: str) -> set[str]:
    """What `start` waits for, by closing the relation step by step."""
    found: set[str] = set()
    while True:
        more = {on for who, on in wanted if who == start or who in found} - found
        if not more:
            return found
        found |= more


@given(edges)
def test_a_circle_is_found_exactly_when_a_step_waits_for_itself_in_the_end(wanted: frozenset[tuple[str, str]]) -> None:
    assert bool(cycle(steps(wanted))) == any(name in reachable(wanted, name) for name in NAMES)


@given(edges)
def test_a_reported_circle_is_one(wanted: frozenset[tuple[str, str]]) -> None:
    loop = cycle(steps(wanted))
    for index, name in enumerate(loop):
        assert (name, loop[(index + 1) % len(loop)]) in wanted


def test_a_circle_is_told_in_the_order_of_waiting() -> None:
    loop = cycle(steps(frozenset({("a", "b"), ("b", "c"), ("c", "a")})))
    assert "".join((*loop, *loop)).find("abc") >= 0


@given(edges)
def test_ancestors_are_all_that_a_step_waits_for_however_far(wanted: frozenset[tuple[str, str]]) -> None:
    found = ancestors(steps(wanted))
    assert {name: found[name] for name in NAMES} == {name: reachable(wanted, name) - {name} for name in NAMES}


@given(edges)
def test_a_finally_step_comes_after_every_action(wanted: frozenset[tuple[str, str]]) -> None:
    found = ancestors(steps(wanted, final="ef"))
    for name in "ef":
        assert set("abcd") <= found[name]
        assert name not in found[name]


def test_an_unknown_dependency_is_passed_over() -> None:
    assert ancestors((Step("a", "x", depends_on=(Dependency("ghost"),)),)) == {"a": frozenset()}
