"""Test files as values: what was expected, held against what came of it; and JUnit's form of a report."""

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from automations.core.diagnostic import Diagnostic, Severity, Span, dotted
from automations.core.fixture.case import DEFAULT_NOW, fixture
from automations.core.fixture.check import check_fixture
from automations.core.fixture.expectation import Mismatch, RunSeen, Seen, StepSeen, mismatches, same
from automations.core.fixture.junit import junit
from automations.core.fixture.report import Played, Report, Unmet, tree
from automations.core.instant import SECOND, parse_iso
from automations.core.spec.document import Document
from automations.core.spec.reader import read
from samples import automation, event_trigger, raw

DEAD = StepSeen("dead", {"a": 1}, error={"code": "X", "message": "no"}, attempts=3)
SEEN = Seen(
    runs=(
        RunSeen("succeeded", {"s": StepSeen("succeeded", {"a": [1, {"b": 2}]}, attempts=1)}),
        RunSeen("failed", {"s": DEAD}),
    ),
    ticks=(parse_iso("2026-01-01T00:00:00Z"),),
    fires=True,
)


def document(value: Any) -> Document:
    found = read(raw(value), "a.test.yaml").document
    assert found is not None
    return found


def cases(*given: Any, of: str = "tickets.escalate") -> Document:
    return document({"automation": of, "cases": [{"name": "n", "expect": {}, **each} for each in given]})


@pytest.mark.parametrize(
    ("expect", "unmet"),
    [
        ({}, []),
        ({"fires": True, "runs": 2, "run": "failed", "ticks": ["2026-01-01T01:00:00+01:00"], "skipped": []}, []),
        ({"runs": [{"run": "succeeded"}, {"steps": {"s": {"status": "dead", "error": "X", "attempts": 3}}}]}, []),
        ({"fires": False}, ["fires"]),
        ({"runs": 1}, ["runs"]),
        ({"runs": [{"run": "succeeded"}]}, ["runs"]),
        ({"runs": [{"run": "failed"}, {"run": "failed"}]}, ["runs[0].run"]),
        ({"run": "succeeded"}, ["run"]),
        ({"steps": {"s": {"status": "dead", "input": {"a": 2}, "attempts": 1}}}, ["steps.s.input", "steps.s.attempts"]),
        ({"steps": {"s": {"reason": "when"}}}, ["steps.s.reason"]),
        ({"ticks": []}, ["ticks"]),
        ({"skipped": ["2026-01-01T00:00:00Z"]}, ["skipped"]),
    ],
)
def test_what_was_not_met_is_told_by_its_path(expect: Any, unmet: list[str]) -> None:
    assert [dotted(each.path) for each in mismatches(expect, SEEN)] == unmet


def test_where_nothing_started_only_that_is_told() -> None:
    expect = {"fires": True, "runs": 1, "run": "succeeded", "steps": {"s": {}}}
    (fires, runs) = mismatches(expect, Seen(refused="trigger 0: type saw 'x'"))
    assert (fires.path, runs.path, fires.note) == (("fires",), ("runs",), "trigger 0: type saw 'x'")
    assert [each.path for each in mismatches({"run": "succeeded"}, Seen())] == [("run",)]


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        ([1, {"a": 1.0}], [1.0, {"a": 1}], True),
        ({"a": None}, {}, False),
        ([1], [1, 1], False),
        ("1", 1, False),
        (None, None, True),
    ],
)
def test_values_are_compared_as_json(one: Any, other: Any, equal: bool) -> None:
    assert same(one, other) is equal
    assert same(other, one) is equal


def test_results_say_what_every_attempt_answers_and_who_approves() -> None:
    results = {"a": [{"error": "X"}, {"output": 1}], "b": {"approve": "ada", "attempts": [{"error": "Y"}]}, "c": {}}
    (case,) = fixture(cases({"inputs": {}, "results": results})).cases
    assert [case.answers["a"].of_attempt(number) for number in range(3)] == [
        {"error": "X"},
        {"output": 1},
        {"output": 1},
    ]
    assert (case.answers["b"].approvers, case.answers["b"].of_attempt(0)) == (("ada",), {"error": "Y"})
    assert case.answers["c"].of_attempt(0) == {}
    assert case.now == DEFAULT_NOW


def test_a_tick_is_looked_at_when_it_is_due_or_when_the_clock_says() -> None:
    tick = parse_iso("2026-01-01T00:00:00Z")
    made = fixture(
        cases(
            {"schedule": "2026-01-01T00:00:00Z"},
            {"schedule": "2026-01-01T00:00:00Z", "now": "2025-12-31T00:00:00Z"},
            {"schedule": "2026-01-01T00:00:00Z", "now": "2026-01-01T01:00:00Z"},
        )
    )
    spans = [case.span for case in made.cases]
    assert [(each.start, each.until, each.jump) for each in spans if each] == [
        (tick - SECOND, tick, False),
        (tick - 86_400 * SECOND, tick, False),
        (tick - SECOND, tick + 3600 * SECOND, True),
    ]


# What a schema cannot say


def findings(given: Document, **keys: Any) -> list[tuple[str, str, str]]:
    known = {"tickets.escalate": automation(triggers=[event_trigger()])}
    return [(each.code, dotted(each.path), each.hint) for each in check_fixture(given, automations=known, **keys)]


def test_an_automation_that_does_not_exist_brings_the_near_ones() -> None:
    near = findings(cases({"event": {}}, of="ticket.escalate"))
    assert near == [("test/unknown-automation", "automation", 'did you mean "tickets.escalate"?')]
    assert findings(cases({"event": {}}, of="zzz"))[0][2] == "the automations here are: tickets.escalate"
    assert findings(cases({"event": {}}, of="zzz"), claimed=["zzz"]) == []  # its file is bad, and says so itself


def test_steps_that_do_not_exist_are_told_wherever_they_are_named() -> None:
    expect = {"steps": {"wrok": {}}, "runs": [{"steps": {"b": {}}}]}
    found = findings(cases({"event": {}, "results": {"a": {}, "work": {}}, "expect": expect}))
    assert found == [
        ("test/unknown-step", "cases[0].results.a", "its steps are: work"),
        ("test/unknown-step", "cases[0].expect.steps.wrok", 'did you mean "work"?'),
        ("test/unknown-step", "cases[0].expect.runs[0].steps.b", "its steps are: work"),
    ]


def test_a_cause_that_never_starts_the_automation_is_told() -> None:
    found = findings(cases({"event": {}}, {"inputs": {}}, {"schedule": "2026-01-01T00:00:00Z"}))
    assert [each[:2] for each in found] == [("test/cause", "cases[1].inputs"), ("test/cause", "cases[2].schedule")]


def test_a_day_that_no_calendar_has_is_told() -> None:
    span = {"from": "2026-02-30T00:00:00Z", "until": "2026-03-01T00:00:00Z"}
    event = {"time": "2026-02-30T00:00:00Z", "data": {"time": "2026-02-30T00:00:00Z"}}
    found = findings(
        cases(
            {"event": event, "now": "2026-13-01T00:00:00Z"},
            {"event": {}, "expect": {"ticks": ["2026-01-32T00:00:00Z"]}},
        )
    )
    assert [each[:2] for each in found] == [
        ("test/instant", "cases[0].event.time"),
        ("test/instant", "cases[0].now"),
        ("test/instant", "cases[1].expect.ticks[0]"),
    ]
    assert ("test/instant", "cases[0].schedule.from") in [each[:2] for each in findings(cases({"schedule": span}))]


# Reports


def report() -> Report:
    place = Span("a&b.test.yaml", 3, 5)
    unmet = Unmet(Span("a&b.test.yaml", 9, 7), Mismatch(("steps", "s", "input"), {"a": "\x1b<b>"}, None, 'saw "x"'))
    long = Unmet(place, Mismatch(("run",), [f"line {number}" for number in range(200)], []))
    played = (
        Played("a", "good ✓ \x00 one", place, seconds=0.25),
        Played("a", "bad <one>", place, unmet=(unmet, long), notes=("step s: no",), seconds=0.5),
        Played("b", "cannot", Span("b.test.yaml"), error="an event needs\na type"),
    )
    return Report(
        played, (Diagnostic("test/cause", Severity.ERROR, "it's wrong", Span("c.test.yaml", 2), (), "mend it"),)
    )


def parsed() -> ET.Element:
    return ET.fromstring(junit(report()))  # noqa: S314  # our own


def test_junit_is_well_formed_and_counts_right_whatever_names_hold() -> None:
    root = parsed()
    assert root.tag == "testsuites"
    assert {key: root.get(key) for key in ("tests", "failures", "errors", "time")} == {
        "tests": "4",
        "failures": "2",
        "errors": "1",
        "time": "0.750",
    }
    suites = root.findall("testsuite")
    assert [suite.get("name") for suite in suites] == ["a&b.test.yaml", "b.test.yaml", "c.test.yaml"]
    for suite in suites:
        assert int(suite.get("tests", "")) == len(suite.findall("testcase"))
        assert int(suite.get("failures", "")) == len(suite.findall("testcase/failure"))
        assert int(suite.get("errors", "")) == len(suite.findall("testcase/error"))
    good, bad = suites[0].findall("testcase")
    assert (good.get("name"), good.get("classname"), len(good)) == ("good ✓ � one", "a", 0)
    failure = bad.find("failure")
    assert failure is not None
    assert "a&b.test.yaml:9  steps.s.input" in (failure.text or "")


JUNIT = {
    "testsuites": ({"name"}, {"tests", "failures", "errors", "time", "disabled"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests"},
        {"failures", "errors", "time", "disabled", "skipped", "timestamp", "hostname", "id", "package", "file"},
        {"properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": (
        {"name", "classname"},
        {"assertions", "time", "status", "class", "file", "line", "score"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "failure": (set(), {"message", "type"}, set()),
    "error": (set(), {"message", "type"}, set()),
}
"""Elements with their required and allowed attributes and children, as the Jenkins xUnit plugin's junit-10.xsd has them."""


def test_junit_holds_only_what_its_readers_know() -> None:
    for element in parsed().iter():
        required, allowed, children = JUNIT[element.tag]
        assert required <= set(element.keys()) <= required | allowed
        assert {child.tag for child in element} <= children


def test_a_person_reads_what_was_expected_instead_and_where_that_is_written() -> None:
    lines = list(tree(report()))
    assert lines[:3] == ["a&b.test.yaml  a", "  ✓ good ✓ \x00 one", "  ✗ bad <one>"]
    assert "      a&b.test.yaml:9  steps.s.input" in lines
    assert '        - {"a": "\\u001b<b>"}' in lines
    assert "        + null" in lines
    assert any("lines more" in line for line in lines)
    assert report().document()["counts"] == {"cases": 3, "passed": 1, "failed": 2}
