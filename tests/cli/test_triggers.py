"""Events, manual starts and schedules at the command line."""

import json
import os
from typing import Any

import pytest

from automations.core.retention import DAY
from automations.runtime import open_runtime
from automations.settings import load
from command_line import SPEC, CommandLine

MANUAL = """\
schemaVersion: "1.0"
id: {id}
name: {id}
version: 1.0.0
inputs:
  type: object
  required: [ref, count]
  properties:
    ref: {{type: string, description: What to ship.}}
    count: {{type: integer}}
    dry: {{type: boolean, default: true}}
triggers:
  - kind: manual
actions:
  - {{id: only, actionId: x.do, input: {{given: "${{{{ inputs }}}}"}}}}
"""
LIMITED = SPEC.replace(
    "type: {type}}}",
    "type: {type}, debounce: {{quiet: 1h}}}}\n  - {{kind: event, source: test, type: other, filter: {{n: 5}}}}",
)


def event(number: int, **keys: Any) -> dict[str, Any]:
    return {"id": f"e{number}", "source": "test", "type": "ticket", **keys}


def applied(automations: CommandLine, identity: str, text: str = SPEC) -> None:
    automations.write(identity, text)
    assert automations("apply", "--auto-approve").status == 0


def test_several_events_are_answered_one_by_one_and_a_bad_one_stops_no_other(automations: CommandLine) -> None:
    applied(automations, "a")
    lines = "\n".join(json.dumps(each) for each in (event(1), {"id": "x"}, event(2)))
    ended = automations("--json", "events", "send", "-", stdin=lines.encode())
    first, refused, second = ended.document
    assert ended.status == 1
    assert [len(each["materialized"]) for each in (first, second)] == [1, 1]
    assert (refused["index"], refused["error"], refused["ok"]) == (1, "event source is missing", False)
    assert refused["hint"] == "an event needs a source and a type; without an id it gets one"
    shown = automations("events", "send", "-", stdin=lines.encode())
    assert "1: refused: event source is missing" in shown.err
    assert "seen before" in shown.out


def test_cloudevents_are_taken_single_and_batched(automations: CommandLine) -> None:
    applied(automations, "a")
    cloud = {"specversion": "1.0", "id": "c1", "source": "test", "type": "ticket", "data": [1]}
    answer = automations.json("events", "send", "--event-json", json.dumps(cloud))
    assert answer["event"]["data"] == {"value": [1]}
    nameless = {name: value for name, value in cloud.items() if name != "id"}
    refused = automations.refused("events", "send", "--event-json", json.dumps(nameless), status=1)
    assert (refused["error"], refused["hint"]) == ("event id is missing", "an event needs an id, a source and a type")
    batch = automations.json("events", "send", "-", stdin=json.dumps([cloud, {**cloud, "id": "c2"}]).encode())
    assert [each["duplicate"] for each in batch] == [True, False]


def test_an_event_that_waits_says_so_when_sent_shown_and_listed(automations: CommandLine) -> None:
    applied(automations, "a", LIMITED)
    answer = automations.send(1)
    assert answer["materialized"] == []
    (mine,) = answer["automations"]
    assert (mine["automationId"], mine["outcome"]) == ("a", "debounced")
    assert "debounced (until" in automations("events", "show", "e1").out
    assert "~ a trigger 0 (event): debounced" in automations("why", "e1").out
    (listed,) = automations.json("events", "list", "--outcome", "waiting", "--source", "test", "--since", "1h")
    assert listed["id"] == "e1"
    assert automations.json("events", "list", "--type", "nothing") == []


def test_an_event_for_a_suspended_automation_says_who_holds_it_back_and_how_to_go_on(automations: CommandLine) -> None:
    applied(automations, "a")
    assert automations("suspend", "a", "--reason", "database migration", "--until", "2h").status == 0
    sent = automations("events", "send", "--event-json", json.dumps(event(1)))
    assert "a: nothing was started; it is suspended by tester, until 20" in sent.out
    assert sent.out.endswith(": database migration\n")
    assert "automations resume a" in sent.err
    assert "matched no trigger" not in sent.out
    lines = "\n".join(json.dumps(event(number)) for number in (2, 3)).encode()
    many = automations("events", "send", "-", stdin=lines)
    assert (many.out.count("it is suspended by tester"), many.err.count("automations resume a")) == (2, 1)
    (told,) = automations.json("events", "send", "--event-json", json.dumps(event(1)))["suspended"]
    assert (told["name"], told["owner"], told["reason"]) == ("a", "tester", "database migration")
    assert automations.json("runs", "list") == []
    assert "suspended by tester, until 20" in automations("why", "e1").out
    assert automations.refused("trigger", "a", status=1)["error"].startswith(
        "automation a is suspended by tester, until"
    )
    assert automations("resume", "a").status == 0
    assert "a: run " in automations("events", "send", "--event-json", json.dumps(event(1))).out


def test_an_event_for_a_paused_automation_names_it_and_its_status(automations: CommandLine) -> None:
    applied(automations, "a", SPEC.replace("version: 1.0.0", "version: 1.0.0\nstatus: paused"))
    sent = automations("events", "send", "--event-json", json.dumps(event(1)))
    assert sent.out == "a: nothing was started; its status is paused\n"
    assert automations("events", "send", "--event-json", json.dumps(event(2, type="other"))).out == (
        "event e2 matched no trigger\n"
    )


def test_near_misses_say_what_was_expected_and_what_was_seen(automations: CommandLine) -> None:
    applied(automations, "a", LIMITED)
    for number in (1, 2):
        automations.json("events", "send", "--event-json", json.dumps(event(number, type="other", data={"n": number})))
    answer = automations.json("events", "near-misses", "a")
    assert answer["looked"] == 2
    debounced, other = answer["triggers"]
    assert (debounced["nearMisses"], other["nearMisses"], other["byPredicate"]) == (0, 2, {"filter.n": 2})
    assert (other["latest"]["expected"], other["latest"]["value"]) == (5, 2)
    assert "filter.n is 2, not 5" in automations("events", "near-misses", "a").out
    assert "filter.n is 2, not 5" in automations("why", "e2").out
    assert "2 near misses" in automations("show", "a").out


def test_why_is_capped_and_counts_the_rest(automations: CommandLine) -> None:
    for name in "abc":
        automations.write(name, kind="other")
    applied(automations, "d")
    automations.send(1)
    answer = automations.json("why", "e1", "--limit", "2")
    assert answer["triggers"][0]["automationId"] == "d"
    assert (len(answer["triggers"]), answer["more"]) == (2, {"no_match": 2})
    assert "and 2 no_match" in automations("why", "e1", "--limit", "2").out


def test_an_event_that_came_around_too_often_is_refused_and_on_record(
    automations: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied(automations, "a")
    monkeypatch.setenv("AUTOMATIONS_CAUSE", "run=r1;hops=15")
    assert automations.send(1)["event"]["metadata"] == {"automations": {"causedBy": "r1", "hops": 16}}
    monkeypatch.setenv("AUTOMATIONS_CAUSE", "run=r2;hops=16")
    refused = automations.refused("events", "send", "--event-json", json.dumps(event(2)), status=1)
    assert refused["code"] == "event_rejected"
    shown = automations.json("events", "show", "e2")
    assert (shown["outcome"], shown["materialized"]) == ("rejected", [])
    assert "17 runs" in shown["reason"]
    assert automations.refused("events", "send", "--event-json", json.dumps(event(2)), status=1) == refused


def test_missing_inputs_are_asked_for_on_a_terminal_and_never_elsewhere(automations: CommandLine) -> None:
    applied(automations, "m", MANUAL)
    assert "count" in automations.refused("trigger", "m", "--input", "ref=main", status=1)["error"]
    asked = automations("trigger", "m", "--input", "ref=main", stdin=b"many\n7\n", terminal=True)
    assert asked.status == 0, asked
    assert "count (integer): " in asked.err
    (run,) = automations.json("runs", "list")
    shown = automations.json("runs", "show", run["id"])
    assert shown["actions"][0]["invocation"]["input"] == {"given": {"ref": "main", "count": 7, "dry": True}}
    assert automations("trigger", "m", stdin=b"", terminal=True).status == 130


def test_inputs_by_name_take_the_schemas_types_and_go_beside_the_document(automations: CommandLine) -> None:
    applied(automations, "m", MANUAL)
    run = automations.json("trigger", "m", "--input-json", '{"ref": "a"}', "--input", "count=2", "--input", "dry=no")
    assert run["actions"][0]["invocation"]["input"] == {"given": {"ref": "a", "count": 2, "dry": False}}
    assert "name=value" in automations.refused("trigger", "m", "--input", "oops", status=2)["error"]


def test_an_input_is_given_once(automations: CommandLine) -> None:
    applied(automations, "m", MANUAL)
    for words in (["--input", "count=1", "--input", "count=2"], ["--input-json", '{"count": 1}', "--input", "count=1"]):
        refused = automations.refused("trigger", "m", "--input", "ref=a", *words, status=2)
        assert refused["error"] == "input count is given twice"
    assert automations.json("runs", "list") == []


def test_an_input_that_the_spec_does_not_list_is_told_with_what_was_meant(automations: CommandLine) -> None:
    applied(automations, "m", MANUAL)
    passed = automations("trigger", "m", "--input", "ref=a", "--input", "count=1", "--input", "dyr=no")
    assert passed.status == 0
    assert "lists no input dyr" in passed.err
    assert "did you mean dry? the inputs are: ref, count, dry" in passed.err
    lacking = automations.refused("trigger", "m", "--input", "rfe=a", "--input", "count=1", status=1)
    assert lacking["hint"].startswith("rfe: did you mean ref?")
    applied(automations, "m", MANUAL.replace("type: object\n", "type: object\n  additionalProperties: false\n", 1))
    closed = automations.refused(
        "trigger", "m", "--input", "ref=a", "--input", "count=1", "--input", "dyr=no", status=1
    )
    assert closed["hint"].startswith("dyr: did you mean dry?")
    assert len(automations.json("runs", "list")) == 1


def test_the_next_slots_of_schedules_that_will_not_fire_come_with_the_reason(automations: CommandLine) -> None:
    schedule = SPEC.replace("{{kind: event, source: test, type: {type}}}", "{{kind: schedule, id: t, every: 1h}}")
    applied(automations, "s", schedule)
    assert automations("schedules", "next", "s").err == ""
    automations.json("suspend", "s", "--reason", "holidays")
    told = automations("schedules", "next", "s").err
    assert told.startswith("as things are, trigger t will not fire then: s is suspended by tester: holidays")
    assert told.endswith("to go on: automations resume s\n")
    automations.json("resume", "s")
    assert automations("schedules", "next", "s").err == ""
    applied(automations, "s", schedule + "status: paused\n")
    paused = automations("schedules", "next", "s")
    assert paused.err == "as things are, trigger t will not fire then: the status of s is paused\n"
    assert len(paused.out.splitlines()) > 1


def test_an_event_whose_content_was_deleted_is_shown_as_that(automations: CommandLine) -> None:
    automations.json("events", "send", "--event-json", json.dumps(event(1, data={"ref": "main"})))
    assert 'data      {"ref": "main"}' in automations("events", "show", "e1").out
    runtime = open_runtime(load({**os.environ, "AUTOMATIONS_RETENTION_EVENTS": "1d"}))
    runtime.janitor.tick(runtime.clock.now() + 2 * DAY)
    runtime.close()
    shown = automations("events", "show", "e1").out
    assert "data      what it said is kept no longer" in shown
    assert "{" not in shown
    record = automations.json("events", "show", "e1")
    assert (record["contentKept"], "data" in record) == (False, False)


def test_a_simulated_event_needs_no_more_than_a_sent_one(automations: CommandLine) -> None:
    file = automations.write("a")
    given = {"source": "test", "type": "ticket"}
    simulated = automations.json("simulate", str(file), "--event-json", json.dumps(given))
    assert simulated["fires"]
    assert simulated["event"]["id"]


def test_a_backfill_asks_with_the_count_and_needs_a_yes_elsewhere(automations: CommandLine) -> None:
    trigger = "{{kind: schedule, every: 1h, overlap: parallel}}"
    applied(automations, "s", SPEC.replace("{{kind: event, source: test, type: {type}}}", trigger))
    words = ("schedules", "backfill", "s", "--from", "3h", "--to", "1m")
    planned = automations.json(*words, "--dry-run")
    assert {each["outcome"] for each in planned} == {"would_start"}
    assert f"{len(planned)} runs" in automations.refused(*words, status=1)["error"]
    assert automations(*words, stdin=b"n\n", terminal=True).status == 1
    assert automations.json("runs", "list") == []
    asked = automations(*words, stdin=b"y\n", terminal=True)
    assert (asked.status, asked.out.count("started")) == (0, len(planned)), asked
    assert {each["outcome"] for each in automations.json(*words, "--yes")} == {"fired_before"}
    (listed,) = automations.json("schedules", "list")
    assert listed["lastRun"]["status"] == "materialized"
    assert "nextLocal" in listed
    assert automations.json("schedules", "misfires", "s") == []


def test_a_backfill_of_several_schedules_counts_each_and_can_be_of_one(automations: CommandLine) -> None:
    triggers = "{{kind: schedule, every: 1h}}\n  - {{kind: schedule, id: half, every: 30m}}"
    applied(automations, "s", SPEC.replace("{{kind: event, source: test, type: {type}}}", triggers))
    words = ("schedules", "backfill", "s", "--from", "2026-06-01T00:30:00Z", "--to", "2026-06-01T02:00:00Z")
    shown = automations(*words, "--dry-run")
    assert shown.err == "6 would start (by trigger: half 4, 0 2)\n"
    refused = automations.refused(*words, status=1)
    assert refused["error"] == "this would start 6 runs of s (by trigger: half 4, 0 2)"
    assert "--trigger" in refused["hint"]
    one = automations(*words, "--trigger", "half", "--dry-run")
    assert (one.err, one.out.count("would_start")) == ("4 would start\n", 4)
    assert "its schedules with --trigger (0, half)" in automations.refused(*words, "--max", "2", status=1)["hint"]
    unknown = automations.refused(*words, "--trigger", "hlaf", status=1)
    assert unknown["error"] == "automation s has no schedule hlaf"
    assert unknown["hint"] == "did you mean half? its schedules are: 0, half"


def test_the_list_of_schedules_says_who_suspended_one_and_when_it_goes_on(automations: CommandLine) -> None:
    trigger = "{{kind: schedule, every: 1h}}"
    applied(automations, "s", SPEC.replace("{{kind: event, source: test, type: {type}}}", trigger))
    automations.json("suspend", "s", "--reason", "a migration")
    (listed,) = automations.json("schedules", "list")
    assert (listed["status"], listed["suspended"]["owner"], listed["suspended"]["reason"]) == (
        "active", "tester", "a migration",
    )  # fmt: skip
    assert listed["suspended"]["resume"] == "automations resume s"
    assert not {"nextDue", "nextLocal"} & set(listed)
    shown = automations("schedules", "list").out
    assert "  suspended" in shown.splitlines()[1]
    assert "s is suspended by tester: a migration; to go on: automations resume s" in shown
    automations.json("suspend", "s", "--reason", "a migration", "--until", "2100-01-01T00:30:00Z")
    (listed,) = automations.json("schedules", "list")
    assert (listed["suspended"]["until"], listed["nextDue"]) == ("2100-01-01T00:30:00.000Z", "2100-01-01T01:00:00.000Z")
    automations.json("resume", "s")
    (listed,) = automations.json("schedules", "list")
    assert "suspended" not in listed
    assert listed["nextDue"] < "2100"
    assert "suspended" not in automations("schedules", "list").out


def test_a_suspended_source_lets_its_schedules_fire(automations: CommandLine) -> None:
    trigger = "{{kind: schedule, every: 1h}}"
    applied(automations, "s", SPEC.replace("{{kind: event, source: test, type: {type}}}", trigger))
    automations.json("suspend", "source:default", "--reason", "a freeze")
    (listed,) = automations.json("schedules", "list")
    assert ("suspended" in listed, "nextDue" in listed) == (False, True)
