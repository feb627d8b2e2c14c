"""The graph of steps: circles are found, and who is over before whom."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from automations.core.spec.graph import ancestors, cycle, succeeded, succeeded_bits
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


def sure(wanted: dict[str, list[Dependency]], loose: str, start: str) -> set[str]:
    """What succeeded before `start`, by the words of the rule; nobody waits in a circle."""
    found: set[str] = set()
    for each in wanted[start]:
        if each.on == "completed":
            continue
        found |= sure(wanted, loose, each.step)
        if each.on == "succeeded" or (each.on == "default" and each.step not in loose):
            found.add(each.step)
    return found


@given(
    st.frozensets(
        st.tuples(
            st.sampled_from(NAMES),
            st.sampled_from(NAMES),
            st.sampled_from(["default", "succeeded", "completed", "failed"]),
        ),
        max_size=12,
    ),
    st.sets(st.sampled_from(NAMES)),
    st.permutations(NAMES),
)
def test_what_has_succeeded_is_the_same_in_any_order_and_as_bits(
    edges: frozenset[tuple[str, str, Any]], loose: set[str], order: list[str]
) -> None:
    wanted = {
        name: [Dependency(on, how) for who, on, how in sorted(edges) if who == name and on < who] for name in NAMES
    }
    made = {
        name: Step(name, "x", depends_on=tuple(wanted[name]), when="w" if name in loose else None) for name in NAMES
    }
    listed = [made[name] for name in order]
    expected = {name: sure(wanted, "".join(loose), name) for name in NAMES}
    assert {name: set(each) for name, each in succeeded(listed).items()} == expected
    places = {name: at for at, name in enumerate(NAMES)}
    bits = succeeded_bits(listed, places)
    assert {name: {each for each in NAMES if bits[name] >> places[each] & 1} for name in NAMES} == expected


def test_a_chain_may_be_as_long_as_one_likes_and_written_from_its_end() -> None:
    chain = [Step(f"s{n}", "x", depends_on=(Dependency(f"s{n - 1}"),) if n else ()) for n in range(5000)]
    places = {step.id: at for at, step in enumerate(chain)}
    assert succeeded_bits(chain[::-1], places)["s4999"] == (1 << 4999) - 1
    assert len(succeeded(chain[:2000][::-1])["s1999"]) == 1999
