"""The binding table: what an event could fire, what it does fire, and the first reason why not."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.core.spec.model import Route, RouteMapping
from automations.core.trigger.bindings import Bound, BoundRoute, Table, build_table, judge, match
from automations.core.trigger.envelope import Envelope
from samples import automation, event_trigger, webhook_trigger


def bound(identity: str, *triggers: Any, **keys: Any) -> Bound:
    return Bound(f"uid-{identity}", 1, automation(identity, triggers=list(triggers) or [event_trigger()], **keys), {})


def table(*automations: Bound, routes: tuple[BoundRoute, ...] = ()) -> Table:
    return build_table(1, automations, routes=routes)


def event(**keys: Any) -> Envelope:
    return Envelope(**{"id": "e1", "source": "tickets", "type": "ticket.created", **keys})


def fired(made: Table, envelope: Envelope) -> list[str]:
    return [each.candidate.bound.automation.id for each in match(made, envelope) if each.outcome == "match"]


def only(made: Table, envelope: Envelope) -> tuple[Any, ...]:
    (candidate,) = next(iter(made.bound.values())).by_events
    verdict = judge(candidate, envelope, activation=None)
    return verdict.outcome, verdict.predicate, verdict.value


def test_automations_fire_in_the_order_in_which_they_were_made_however_they_are_indexed() -> None:
    wild, half, exact = event_trigger(source="*", type="*"), event_trigger(type="ticket.*"), event_trigger()
    made = table(
        bound("z", wild), bound("y", exact), bound("x", half), bound("w", event_trigger(source=["a", "tickets"]))
    )
    assert fired(made, event()) == ["z", "y", "x", "w"]


def test_an_automation_fires_by_the_first_of_its_triggers_in_its_author_s_order() -> None:
    made = table(bound("a", event_trigger(id="wide", type="*"), event_trigger(id="exact")))
    (verdict,) = match(made, event())
    assert verdict.candidate.trigger.id == "wide"


def test_a_later_trigger_fires_when_the_earlier_ones_do_not() -> None:
    made = table(bound("a", event_trigger(id="no", filter={"x": "y"}), event_trigger(id="yes")))
    assert [(each.candidate.trigger.id, each.outcome) for each in match(made, event())] == [
        ("no", "no_match"),
        ("yes", "match"),
    ]


def test_a_trigger_that_nothing_holds_up_fires_before_those_with_a_limit_or_a_debounce() -> None:
    limit, debounce = {"rateLimit": {"limit": 1, "per": "1h"}}, {"debounce": {"quiet": "1h"}}
    plain = event_trigger(id="plain")
    made = table(bound("a", event_trigger(id="rare", **limit), event_trigger(id="slow", **debounce), plain))
    assert [each.candidate.trigger.id for each in match(made, event())] == ["plain"]


def test_where_every_trigger_that_matches_is_limited_all_of_them_may_take_the_event() -> None:
    limit = {"rateLimit": {"limit": 1, "per": "1h"}}
    made = table(bound("a", event_trigger(id="one", **limit), event_trigger(id="two", **limit)), bound("b"))
    assert [each.candidate.trigger.id for each in match(made, event())] == ["one", "two", "0"]


@pytest.mark.parametrize(
    ("trigger", "envelope", "verdict"),
    [
        (event_trigger(type="ticket.c*"), event(type="ticket.changed"), ("match", None, None)),
        (event_trigger(type="ticket.c*"), event(type="other"), ("no_match", "type", "other")),
        (event_trigger(source="t*"), event(source="x"), ("no_match", "source", "x")),
        (event_trigger(subject="a/*"), event(subject="b"), ("no_match", "subject", "b")),
        (event_trigger(subject="*"), event(), ("no_match", "subject", None)),
        (event_trigger(filter={"p": "high"}), event(data={"p": "low"}), ("no_match", "filter.p", "low")),
        (event_trigger(filter={"p": "high"}), event(data={"p": "high"}), ("match", None, None)),
        (event_trigger(expr="event.data.n > 1"), event(data={"n": 1}), ("no_match", "expr", False)),
        (event_trigger(expr="event.data.n > 1"), event(data={"n": 2}), ("match", None, None)),
        (event_trigger(expr="vars.least < event.data.n"), event(data={"n": 2}), ("match", None, None)),
        (event_trigger(expr="automation.id == 'a'"), event(), ("match", None, None)),
        (event_trigger(filter={"p": "high"}, expr="event.data.missing"), event(), ("no_match", "filter.p", None)),
    ],
)
def test_the_first_predicate_that_fails_is_named_with_the_value_seen(
    trigger: Any, envelope: Envelope, verdict: tuple[Any, ...]
) -> None:
    assert only(table(bound("a", trigger, vars={"least": 1})), envelope) == verdict


def test_a_verdict_says_what_was_expected() -> None:
    def expected(trigger: Any) -> Any:
        (candidate,) = bound("a", trigger).by_events
        return judge(candidate, event(data={"n": 1}), activation=None).expected

    assert expected(event_trigger(type=["a", "b.*"])) == ["a", "b.*"]
    assert expected(event_trigger(filter={"n": {"not": 1}})) == {"not": 1}
    assert expected(event_trigger(expr="event.data.n == 2")) == "event.data.n == 2"


def test_data_that_does_not_conform_to_the_triggers_schema_is_an_error_with_its_path() -> None:
    schema = {"properties": {"n": {"type": "integer"}}}
    made = table(bound("a", event_trigger(eventSchema=schema, filter={"for": "a"}, expr="event.data.n > 0")))
    (verdict,) = match(made, event(data={"for": "a", "n": "many"}))
    assert (verdict.outcome, verdict.predicate) == ("error", "eventSchema")
    assert "n: " in str(verdict.reason)
    assert only(made, event(data={"for": "b", "n": "many"})) == ("no_match", "filter.for", "b")
    assert fired(made, event(data={"for": "a", "n": 1})) == ["a"]


@pytest.mark.parametrize(
    "key", ["${{ event.data.gone }}", "${{ event.data.none }}", "${{ event.data }}", "${{ event.data.long }}"]
)
@pytest.mark.parametrize("word", ["rateLimit", "debounce"])
def test_a_key_that_is_no_key_is_an_error(word: str, key: str) -> None:
    kinds: dict[str, dict[str, Any]] = {"rateLimit": {"limit": 1, "per": "1s"}, "debounce": {"quiet": "1s"}}
    made = table(bound("a", event_trigger(**{word: {"key": key, **kinds[word]}})))
    (verdict,) = match(made, event(data={"none": None, "long": "x" * 1025}))
    assert (verdict.outcome, verdict.predicate) == ("error", f"{word}.key")


@pytest.mark.parametrize(("value", "key"), [("a", "a"), (7, "7"), (True, "true"), (1.5, "1.5"), ("", "")])
def test_a_key_is_text_whatever_it_was_rendered_from(value: Any, key: str) -> None:
    made = table(bound("a", event_trigger(debounce={"key": "${{ event.data.k }}", "quiet": "1s"})))
    (verdict,) = match(made, event(data={"k": value}))
    assert verdict.keys == {"debounce": key}


_TEXTS = st.text("ab.*", min_size=1, max_size=4)
_PATTERNS = st.one_of(_TEXTS, st.lists(_TEXTS, min_size=1, max_size=3))


@given(st.lists(st.tuples(_PATTERNS, _PATTERNS), max_size=12), _TEXTS, _TEXTS)
def test_the_index_finds_exactly_what_a_look_at_every_trigger_finds(
    patterns: list[tuple[Any, Any]], source: str, kind: str
) -> None:
    automations = [bound(f"a{at}", event_trigger(source=one, type=two)) for at, (one, two) in enumerate(patterns)]
    envelope = event(source=source, type=kind)
    wanted = [
        each.automation.id
        for each in automations
        if judge(each.by_events[0], envelope, activation=None).outcome == "match"
    ]
    assert fired(table(*automations), envelope) == wanted


def test_ten_thousand_patterns_for_other_events_leave_no_candidates() -> None:
    made = table(*(bound(f"a{at}", event_trigger(source=f"s{at}/*", type=f"t{at}.*")) for at in range(10_000)))
    assert [each.bound.automation.id for each in made.candidates(event(source="s77/x", type="t77.y"))] == ["a77"]


@pytest.mark.parametrize("expr", ["event.data.missing", "event.data.text > 1", "event.data.text"])
def test_an_expression_that_fails_or_is_no_bool_is_an_error_and_never_fires(expr: str) -> None:
    (verdict,) = match(table(bound("a", event_trigger(expr=expr))), event(data={"text": "true"}))
    assert (verdict.outcome, verdict.predicate, bool(verdict.reason)) == ("error", "expr", True)


def test_one_event_is_judged_for_each_automation_by_its_own_variables() -> None:
    trigger = event_trigger(expr="vars.team == event.data.team")
    made = table(bound("a", trigger, vars={"team": "red"}), bound("b", trigger, vars={"team": "blue"}))
    assert fired(made, event(data={"team": "blue"})) == ["b"]


@pytest.mark.parametrize("status", ["paused", "archived"])
def test_an_automation_that_is_not_active_is_known_but_never_a_candidate(status: str) -> None:
    made = table(bound("a", status=status))
    assert (match(made, event()), list(made.bound)) == ((), ["a"])


@pytest.mark.parametrize("kind", ["manual", "api", "schedule"])
def test_only_event_and_webhook_triggers_look_at_events(kind: str) -> None:
    assert (
        match(table(bound("a", {"kind": kind, "every": "1h"} if kind == "schedule" else {"kind": kind})), event()) == ()
    )


# Where an event came from


def delivered(route: str, owner: str, **keys: Any) -> Envelope:
    return event(source="github", type="push", origin="webhook", route_id=route, route_automation_id=owner, **keys)


@pytest.mark.parametrize(
    ("envelope", "fires"),
    [
        (delivered("a.0", "a"), True),
        (delivered("b.0", "b"), False),
        (delivered("by-hand", "a"), False),
        (event(source="github", type="push"), False),
        (event(source="github", type="push", route_id="a.0", route_automation_id="a"), False),
        (event(source="github", type="push", metadata={"origin": "webhook", "routeId": "a.0"}), False),
    ],
)
def test_a_webhook_trigger_with_a_route_fires_only_for_that_route(envelope: Envelope, fires: bool) -> None:
    assert bool(fired(table(bound("a", webhook_trigger())), envelope)) is fires


@pytest.mark.parametrize(("owner", "fires"), [("a", True), ("b", False)])
def test_a_webhook_trigger_without_a_route_fires_for_routes_registered_for_its_automation(
    owner: str, fires: bool
) -> None:
    made = table(bound("a", {"kind": "webhook", "source": "github", "type": "push"}))
    assert bool(fired(made, delivered("any", owner))) is fires


def test_an_event_trigger_sees_events_from_webhooks_too() -> None:
    made = table(bound("a", event_trigger(source="github", type="push")))
    assert fired(made, delivered("r", "elsewhere")) == ["a"]


# Routes


def route(identity: str, path: str = "/x", *, gone: bool = False) -> BoundRoute:
    return BoundRoute(Route(identity, "a", path, RouteMapping("s", "t")), gone=gone)


@pytest.mark.parametrize(
    ("routes", "answers"),
    [
        ([route("one")], ("one", False)),
        ([route("one", gone=True)], ("one", True)),
        ([route("one", gone=True), route("two")], ("two", False)),
        ([route("two"), route("one", gone=True)], ("two", False)),
        ([route("one", gone=True), route("two", gone=True)], ("two", True)),
    ],
)
def test_a_live_route_has_its_path_before_any_that_is_gone(routes: list[BoundRoute], answers: tuple[str, bool]) -> None:
    found = table(routes=tuple(routes)).routes["/x"]
    assert (found.route.id, found.gone) == answers


# The index never loses or invents a candidate.

words = st.sampled_from(["a", "b", "a*", "*", "a.b"])
patterns = st.none() | words | st.lists(words, min_size=1, max_size=2)


def trigger(source: Any, type_: Any) -> Any:
    given_keys = {key: value for key, value in (("source", source), ("type", type_)) if value is not None}
    return {"kind": "event", **given_keys}


@given(
    st.lists(st.tuples(patterns, patterns), min_size=1, max_size=4),
    st.sampled_from("abc"),
    st.sampled_from(["a", "a.b", "c"]),
)
def test_what_fires_through_the_index_is_what_fires_one_by_one(
    wanted: list[tuple[Any, Any]], source: str, type_: str
) -> None:
    automations = [bound(f"n{index}", trigger(*each)) for index, each in enumerate(wanted)]
    envelope = event(source=source, type=type_)
    assert fired(table(*automations), envelope) == [
        name for each in automations for name in fired(table(each), envelope)
    ]


def test_a_table_keeps_what_it_compiled_and_shares_it_with_later_tables() -> None:
    one = bound("a")
    program = one.program
    assert build_table(2, [one]).bound["a"].program is program
    assert replace(one, generation=2).program is not program


_WAYS_IN: tuple[dict[str, Any], ...] = (
    {},
    {"source": "*"},
    {"type": "ticket.*"},
    {"source": ["tickets", "mail*"]},
    {"type": ["a", "ticket.created"]},
)
_makes = st.dictionaries(
    st.sampled_from([f"a{number:02}" for number in range(12)]),
    st.tuples(st.sampled_from(_WAYS_IN), st.integers(1, 3), st.booleans()),
    max_size=12,
)


def _generations(kept: dict[Any, Bound], wanted: dict[str, Any]) -> list[Bound]:
    """What is wanted, as the same objects where it was wanted like this before; in the order of their names."""
    found = []
    for identity, (way, generation, active) in sorted(wanted.items()):
        known = (identity, repr(way), generation, active)
        if known not in kept:
            made = bound(identity, event_trigger(**way), status="active" if active else "paused")
            kept[known] = replace(made, generation=generation)
        found.append(kept[known])
    return found


@given(st.lists(_makes, min_size=2, max_size=8))
def test_a_table_made_from_the_one_before_finds_what_one_made_anew_finds(steps: list[dict[str, Any]]) -> None:
    kept: dict[Any, Bound] = {}
    made = build_table(0, ())
    for serial, wanted in enumerate(steps):
        standing = _generations(kept, wanted)
        made, anew = build_table(serial, standing, before=made), build_table(serial, standing)
        for source in ("tickets", "mailbox", "x"):
            for kind in ("ticket.created", "a", "b"):
                asked = event(source=source, type=kind)
                assert list(made.candidates(asked)) == list(anew.candidates(asked))
