"""`plan --replay` and `--events`: which recorded events start what before and after a plan; nothing is started by it."""

import json
from typing import Any

import pytest

from command_line import SPEC, CommandLine


def event(identity: str, kind: str = "ticket", **data: Any) -> dict[str, Any]:
    return {"id": identity, "source": "test", "type": kind, "data": data}


def found(plan: dict[str, Any], identity: str) -> dict[str, Any]:
    (mine,) = [each for each in plan["replay"]["automations"] if each["id"] == identity]
    return {side: (mine[side]["count"], mine[side]["samples"]) for side in ("onlyBefore", "both", "onlyAfter")}


@pytest.fixture
def recorded(automations: CommandLine) -> CommandLine:
    """Two automations and thirty events, a third of them tickets, a third builds."""
    automations.applied(["one", "two"])
    for number in range(30):
        kind = ("ticket", "build", "other")[number % 3]
        automations.json("events", "send", "--event-json", json.dumps(event(f"e{number}", kind, number=number)))
    return automations


def test_stored_events_are_played_through_old_and_new_triggers(recorded: CommandLine) -> None:
    recorded.write("one", kind="build")
    recorded.write("three", SPEC.replace("type: {type}", "type: '*', expr: 'event.data.number > 25'"))
    recorded.write("four", kind="nothing")
    runs = len(recorded.json("runs", "list", "--limit", "100"))
    plan = recorded.json("plan", "--replay", "7d")
    assert plan["replay"]["events"] == 30
    builds, tickets = [f"e{number}" for number in range(1, 30, 3)], [f"e{number}" for number in range(0, 30, 3)]
    assert found(plan, "one") == {"onlyBefore": (10, tickets), "both": (0, []), "onlyAfter": (10, builds)}
    assert found(plan, "three")["onlyAfter"] == (4, ["e26", "e27", "e28", "e29"])
    assert [each["id"] for each in plan["replay"]["automations"]] == ["one", "three"]  # two stays, four starts nothing
    assert len(recorded.json("runs", "list", "--limit", "100")) == runs
    shown = recorded("plan", "--replay", "7d").out
    assert (
        "Replay of 30 events (the last 7d), triggers only: 10 only before, 0 before and after, 14 only after" in shown
    )
    assert "    only after: 4 (e26, e27, e28, e29)" in shown
    assert recorded.json("plan", "--replay", "1ms")["replay"] == {
        "origin": "the last 1ms",
        "events": 0,
        "automations": [],
    }
    assert "replay" not in recorded.json("plan")


def test_a_rename_and_a_delete_are_told_apart(recorded: CommandLine) -> None:
    for name in ("one", "two"):
        (recorded.specs / f"{name}.yaml").unlink()
    recorded.write("uno", SPEC + "lifecycle: {{renamedFrom: one}}\n")
    plan = recorded.json("plan", "--replay", "1d")
    assert found(plan, "uno")["both"][0] == 10
    assert found(plan, "two")["onlyBefore"][0] == 10


def test_one_event_is_one_event(automations: CommandLine) -> None:
    automations.write("one")
    text = json.dumps(event("e1", "ticket")).encode()
    assert "Replay of 1 event (standard input)" in automations("plan", "--events", "-", stdin=text).out


@pytest.mark.parametrize("shape", ["lines", "array", "pretty", "one after another"])
def test_a_bundle_of_events_needs_no_history(automations: CommandLine, shape: str) -> None:
    automations.write("one")
    events = [event(f"e{number}", "ticket" if number % 2 else "other", text="ä" * 40_000) for number in range(40)]
    text = {
        "lines": "\n".join(json.dumps(each, ensure_ascii=False) for each in events) + "\n",
        "array": json.dumps(events),
        "pretty": json.dumps(events, indent=2),
        "one after another": "".join(json.dumps(each, indent=1) for each in events),
    }[shape]
    (automations.folder / "events.json").write_text(text)
    plan = automations.json("plan", "--events", "events.json")
    assert (plan["replay"]["events"], plan["replay"]["origin"]) == (40, "events.json")
    assert found(plan, "one")["onlyAfter"] == (20, [f"e{number}" for number in range(1, 20, 2)])
    piped = automations.json("plan", "--events", "-", stdin=text.encode())
    assert found(piped, "one") == found(plan, "one")


def test_what_was_listed_can_be_played_elsewhere_webhooks_too(automations: CommandLine) -> None:
    hook = SPEC.replace("{{kind: event, source: test, type: {type}}}", "{{kind: webhook, route: {{path: /in}}}}")
    automations.write("hook", hook)
    automations.json("apply", "--auto-approve")
    route = automations.json("webhooks", "list")[0]["id"]
    given = automations.json("webhooks", "event", route, "--body-json", json.dumps({"data": {"n": 1}}))
    (automations.folder / "events.json").write_text(json.dumps([given]))
    elsewhere = ("--dir", "fresh", "plan", "--events", "events.json")
    assert found(automations.json(*elsewhere), "hook")["onlyAfter"][0] == 1
    automations.write("hook", hook.replace("/in", "/elsewhere"))
    assert found(automations.json("plan", "--events", "events.json"), "hook")["onlyBefore"][0] == 1
    automations.write(
        "hook", hook.replace("kind: webhook", "id: other, kind: webhook")
    )  # another route id, the same path
    assert found(automations.json("plan", "--events", "events.json"), "hook")["both"][0] == 1


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b"{", ":1: event 1 cannot be read"),
        (b'{"id":"a","source":"s","type":"t"}\nnope', ":2: event 2 cannot be read"),
        (b'[{"id":"a","source":"s","type":"t"}] {"id":"b"}', ":1: event 2 is none: event source is missing"),
        (b"\n[", ":2: event 1 cannot be read: the array has no end"),
        (b'[{"id":"a","source":"s","type":"t"},', "event 2 cannot be read: the array has no end"),
        (b'[{"id":"a","source":"s","type":"t"}', "event 2 cannot be read: the array has no end"),
        (b"[" * 100_000, "event 1 cannot be read"),
        (
            b'{"id":"a","source":"s","type":"t"}\n' * 9_000 + b'{"id":"a"}',
            ":9001: event 9001 is none: event source is missing",
        ),
        (
            b'[{"id":"a",\n"source":"s","type":"t"},\n{"id":"a",\n"source":5}]',
            ":3: event 2 is none: event source must be",
        ),
        (b'\n{"a":1,"a":2}', ":2: event 1 cannot be read: "),
        (b"\n\xff", ":2: event 1 cannot be read: it is not UTF-8"),
        (b'"' + b"x" * 5_000_000, ":1: event 1 cannot be read"),
    ],
)
def test_a_bad_bundle_is_one_line_that_says_where(automations: CommandLine, text: bytes, error: str) -> None:
    automations.write("one")
    ended = automations("plan", "--events", "-", stdin=text)
    assert ended.status == 1, ended
    assert "Traceback" not in ended.err
    assert ended.err.startswith("automations: standard input:")
    assert error in ended.err
    (automations.folder / "events.json").write_bytes(text)
    assert automations("plan", "--events", "events.json").err == ended.err.replace("standard input", "events.json")


@pytest.mark.parametrize("words", [["--replay", "x"], ["--replay", "7d", "--events", "-"]])
def test_what_is_not_a_replay_is_a_usage_error(automations: CommandLine, words: list[str]) -> None:
    automations.write("one")
    assert automations("plan", *words).status == 2


@pytest.mark.parametrize("form", ["markdown", "github", "sarif"])
def test_every_format_tells_of_the_replay(recorded: CommandLine, form: str) -> None:
    recorded.write("one", kind="build")
    shown = recorded("plan", "--replay", "7d", "--format", form).out
    assert "10" in shown
    assert "eplay" in shown
    assert len(shown.encode()) < 65_000
