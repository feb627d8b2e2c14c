"""`list`, `show`, `runs`, `schema`, `spec`: what is printed for programs and for people."""

import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from automations.core.spec.schemas import PRINTED
from command_line import SPEC, CommandLine

AUTOMATION = {
    "id", "spec", "status", "createdAt", "updatedAt", "generation", "digest", "owner", "file", "conditions", "health",
    "sync",
}  # fmt: skip
SCHEMAS = Path(__file__).parents[2] / "schemas"


def test_the_list_is_of_records_oldest_first(automations: CommandLine) -> None:
    assert automations.json("list") == []
    automations.applied(["later"])
    automations.applied(["earlier"])
    records = automations.json("list")
    assert [each["id"] for each in records] == ["later", "earlier"]
    assert all(set(each) == AUTOMATION for each in records)
    assert records[0]["owner"] == "source:default"
    assert records[0]["file"] == "later.yaml"


def test_the_list_for_people_is_a_table_or_the_next_step(automations: CommandLine) -> None:
    assert "automations apply" in automations("list").out
    automations.applied(["one"])
    header, row = automations("list").out.splitlines()
    assert header.split() == ["ID", "STATUS", "SYNC", "HEALTH", "GENERATION", "OWNER", "FILE"]
    assert row.split() == ["one", "active", "Unknown", "Healthy", "1", "source:default", "one.yaml"]


def test_show_gives_the_record_and_any_of_its_generations(automations: CommandLine) -> None:
    automations.applied(["one"])
    first = automations.json("show", "one")
    automations.write("one", SPEC.replace("name: {id}", "name: Another"))
    automations.json("apply", "--auto-approve")
    second = automations.json("show", "one")
    assert (first["generation"], second["generation"]) == (1, 2)
    assert automations.json("show", "one", "--revision", "1")["spec"] == first["spec"]
    assert automations.json("show", "one", "--revision=2")["spec"] == second["spec"]
    for wrong in ("0", "3", "-1", "9" * 18):
        error = automations.refused("show", "one", "--revision", wrong, status=1)
        assert (error["code"], error["hint"]) == ("not_found", "it has generations 1 to 2")


def test_show_for_people_names_triggers_and_steps(automations: CommandLine) -> None:
    automations.applied(["one"])
    shown = automations("show", "one").out
    assert shown.startswith("one  one 1.0.0\n")
    assert "    event test ticket\n" in shown
    assert "    only: x.do\n" in shown


def test_what_is_deleted_while_runs_of_it_go_on_is_shown_with_what_it_waits_for(automations: CommandLine) -> None:
    automations.applied(["one"])
    run = automations.send(1)["materialized"][0]["run"]["id"]
    action = automations.json("queue", "claim", "--runner", "r1")
    automations.folder.joinpath("automations.d", "one.yaml").unlink()
    automations.json("apply", "--auto-approve", "--allow-deletes", "1")
    shown = automations.json("show", "one")
    said = shown["conditions"]["Terminating"]
    assert (said["status"], said["reason"], said["since"]) == ("True", "Draining", shown["deletedAt"])
    (waits,) = shown["waitsFor"]
    assert (waits["runId"], waits["steps"]) == (run, [{"stepId": "only", "status": "claimed", "claimedBy": "r1"}])
    (listed,) = automations.json("list")
    assert (listed["id"], listed["runs"], listed["conditions"]) == ("one", 1, {"Terminating": said})
    assert automations("list").out.splitlines()[1].split()[:3] == ["one", "terminating", "Progressing"]
    card = automations("show", "one").out
    assert f"terminating: deleted at {shown['deletedAt']}, starts nothing new\n" in card
    assert f"  waits for\n    run {run}: running since " in card
    assert "      only: claimed by r1\n" in card
    automations.json("queue", "complete", action["id"], "--runner", "r1", "--fence", "1")
    assert automations.json("list") == []
    error = automations.refused("show", "one", status=1)
    assert error["error"] == "automation not found: one"
    assert error["hint"].startswith(f"it was deleted at {shown['deletedAt']}, and nothing of it runs")


def test_lists_by_an_id_that_is_no_longer_used_say_what_became_of_it(automations: CommandLine) -> None:
    automations.applied(["one"])
    run = automations.send(1)["materialized"][0]["run"]["id"]
    file = automations.specs / "one.yaml"
    file.write_text(file.read_text().replace("id: one\n", "id: two\nlifecycle: {renamedFrom: one}\n", 1))
    automations.json("apply", "--auto-approve")
    listed = automations("runs", "list", "--automation", "one")
    assert (run in listed.out, listed.err) == (True, "one is called two now\n")
    assert automations("runs", "list", "--automation", "two").err == ""
    assert [each["id"] for each in automations.json("runs", "list", "--automation", "one")] == [run]
    assert automations("dlq", "list", "--automation", "one").err == "one is called two now\n"
    assert automations("runs", "list", "--automation", "nothing").err == "automation not found: nothing\n"
    said = automations.refused("history", "one", status=1)
    assert said["hint"] == "one is called two now; see: automations history two"


def test_paging_shows_every_run_exactly_once(automations: CommandLine) -> None:
    automations.applied(["one", "two"])
    sent = [made["run"]["id"] for number in range(6) for made in automations.send(number)["materialized"]]
    pages: list[list[str]] = []
    cursor: list[str] = []
    while True:
        page = [each["id"] for each in automations.json("runs", "list", "--limit", "5", *cursor)]
        if not page:
            break
        pages.append(page)
        cursor = ["--cursor", page[-1]]
    assert [len(page) for page in pages] == [5, 5, 2]
    listed = [run for page in pages for run in page]
    assert sorted(listed) == sorted(sent)
    assert listed == [each["id"] for each in automations.json("runs", "list")]


@pytest.mark.parametrize("listed", ["runs list", "events list", "queue list", "dlq list"])
def test_a_cursor_that_is_no_id_is_refused(automations: CommandLine, listed: str) -> None:
    automations.applied(["a"])
    run = automations.send(1)["materialized"][0]["run"]["id"]
    for cursor in ("nonsense", "0", f"{run}x", run.upper()):
        refused = automations.refused(*listed.split(), "--cursor", cursor, status=1)
        assert refused["error"].endswith(f"not found: {cursor}")
    assert "printed under a full page" in automations.refused(*listed.split(), "--cursor", "", status=1)["hint"]
    gone = "01900000-0000-7000-8000-000000000000"  # as what was deleted between two pages
    assert isinstance(automations.json(*listed.split(), "--cursor", gone), list)


def test_the_page_after_an_event_may_be_asked_for_by_its_own_id(automations: CommandLine) -> None:
    for number in range(3):
        automations.send(number)
    newest, *rest = automations.json("events", "list")
    assert automations.json("events", "list", "--cursor", newest["id"]) == rest


def test_the_command_under_a_full_page_leads_to_the_next_with_the_same_filters(automations: CommandLine) -> None:
    automations.applied(["one", "two"])
    for number in range(3):
        automations.send(number)
    ended = automations("runs", "list", "--automation", "two", "--limit", "2")
    program, *words = ended.err.removeprefix("more: ").split()
    assert program == "automations"
    following = automations(*words)
    assert following.err == ""
    rows = ended.out.splitlines()[1:] + following.out.splitlines()[1:]
    assert len({row.split()[0] for row in rows}) == len(rows) == 3
    assert {row.split()[1] for row in rows} == {"two"}


def test_runs_can_be_chosen_by_automation_and_status(automations: CommandLine) -> None:
    automations.applied(["one", "two"])
    automations.send(1)
    action = automations.json("queue", "claim", "--runner", "r")
    name = action["invocation"]["automationId"]
    running = automations.json("runs", "list", "--status", "running")
    assert [each["automationId"] for each in running] == [name]
    assert [each["id"] for each in automations.json("runs", "list", "--automation", name)] == [running[0]["id"]]
    assert automations("runs", "list", "--automation", "none").out == "no such runs\n"


def test_no_runs_yet_is_said(automations: CommandLine) -> None:
    assert automations("runs", "list").out == "no runs yet\n"
    assert automations.json("runs", "list") == []


def test_a_run_tells_its_event_its_steps_and_their_attempts(automations: CommandLine) -> None:
    automations.applied(["one"])
    automations.send(1)
    action = automations.json("queue", "claim", "--runner", "r")
    automations.json("queue", "fail", action["id"], "--runner", "r", "--message", "\x1b[31mbroke\nbadly")
    record = automations.json("runs", "show", action["automationRunId"])
    assert record["event"]["id"] == "e1"
    (step,) = record["actions"]
    (attempt,) = step["attempts"]
    assert set(attempt) == {"attempt", "runner", "fence", "startedAt", "endedAt", "outcome", "error"}
    shown = automations("runs", "show", action["automationRunId"]).out
    assert "event       test ticket e1" in shown
    assert "attempt 1 begins at r\n" in shown
    assert "attempt 1 failed after" in shown
    assert "ACTION_FAILED: \\x1b[31mbroke\\nbadly" in shown


@pytest.mark.parametrize("name", PRINTED)
def test_a_schema_is_printed_as_it_is_shipped(automations: CommandLine, name: str) -> None:
    shipped = (SCHEMAS / f"{name}.schema.json").read_text()
    assert automations("schema", name).out == shipped
    assert json.loads(automations("--json", "schema", name).out)["$schema"].endswith("2020-12/schema")


def test_the_example_is_the_original_one_and_valid(automations: CommandLine) -> None:
    spec = automations.json("spec", "example")
    assert spec["id"] == "tickets.escalate-critical"
    (trigger,) = spec["triggers"]
    assert (trigger["source"], trigger["type"], trigger["filter"]) == (
        "open-events", "ticket.created", {"priority": "critical"},
    )  # fmt: skip
    assert [(step["id"], step["actionId"]) for step in spec["actions"]] == [("create-escalation-task", "todos.create")]
    assert automations.json("validate", "-", stdin=automations("spec", "example").out.encode())["spec"] == spec


def test_reading_a_file_or_a_schema_needs_no_store(automations: CommandLine) -> None:
    for words in (["schema"], ["spec", "example"], ["version"], ["runtimes"], ["help"]):
        assert automations(*words).status == 0
    assert not automations.root.exists()


def test_a_catalogue_has_an_entry_for_each_schema_that_editors_can_use(automations: CommandLine) -> None:
    catalogue = automations.json("schema", "--catalog")
    assert catalogue["$schema"] == "https://json.schemastore.org/schema-catalog.json"
    for entry, name in zip(catalogue["schemas"], ("automation", "action", "test"), strict=True):
        assert set(entry) == {"name", "description", "fileMatch", "url"}
        assert Path(unquote(urlsplit(entry["url"]).path)).read_text() == (SCHEMAS / f"{name}.schema.json").read_text()
        assert entry["fileMatch"]
    (entry,) = automations.json("schema", "action", "--catalog", "--base", "https://example.com/v1/")["schemas"]
    assert entry["url"] == "https://example.com/v1/action.schema.json"
    assert automations.refused("schema", "--base", "x", status=2)["hint"] == "give --catalog as well"
