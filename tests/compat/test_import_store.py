"""import-store, on every store: nothing is lost, twice does no harm, and work goes on here where it stood there."""

from collections.abc import Callable, Iterator
from itertools import count
from os import getpid
from pathlib import Path
from typing import Any

import pytest

from automations.adapters.original_store import OriginalStore
from automations.core.audit import broken_at
from automations.core.canonical import decode
from automations.core.instant import SECOND, iso
from automations.errors import Conflict
from automations.services.import_store import BATCH, ImportStore, Report
from automations.services.run import replay
from automations.services.run.approval import Approvals, Parts
from automations.store import audit
from automations.store.actions import Which
from automations.store.database import Database
from automations.store.migrate import migrate
from automations.store.open import open_database
from automations.store.sqlite import SqliteDatabase
from automations.store.sqlite_file import APPLICATION_ID
from control_plane import START, ControlPlane
from original_database import BEGAN, TOUCHED, OriginalDatabase, built, gate
from postgres_server import fresh_schema, postgres_server
from samples import action, spec

__all__ = ["postgres_server"]

Fill = Callable[[OriginalDatabase], Any]
_schemas = count(1)


class Importing(ControlPlane):
    """A store, and originals to bring into it."""

    def __init__(self, database: Database, folder: Path) -> None:
        super().__init__(database)
        self.folder = folder
        parts = Parts(database, self.programs, self.clock, self.ids, self.telemetry)
        self.approvals = Approvals(parts)
        self.replay = replay.Replay(
            replay.Parts(database, self.bindings, self.programs, self.clock, self.ids, self.telemetry)
        )
        self._made = count(1)

    def bring(self, *fill: Fill) -> Report:
        """Build a store of the original's and import it."""
        return self.again(built(self.folder / f"original{next(self._made)}.db", *fill))

    def again(self, path: Path) -> Report:
        """Import a file."""
        with OriginalStore.open(path, ours=APPLICATION_ID) as original:
            return ImportStore(self.database, clock=self.clock, ids=self.ids).bring(original, actor="tester")

    def action(self, identity: str) -> dict[str, Any]:
        """An action as the contract shows it."""
        shown = self.inspect.run(identity.split(".", maxsplit=1)[0])
        found: dict[str, Any] = next(each for each in shown["actions"] if each["id"] == identity)
        return found

    def table(self, name: str) -> list[dict[str, Any]]:
        """All rows of a table."""
        with self.database.read() as tx:
            return tx.all(f"SELECT * FROM {name} ORDER BY 1, 2")  # noqa: S608  # a fixed name


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Importing]:
    """A migrated store of each kind."""
    if request.param == "sqlite":
        database: Database = SqliteDatabase.memory()
        migrate(database, now=START, lineage="lineage")
        yield Importing(database, tmp_path)
        database.close()
        return
    name = f"import_{getpid()}_{next(_schemas)}"
    with fresh_schema(request.getfixturevalue("postgres_server"), name) as url:
        database = open_database(url)
        migrate(database, now=START, lineage="lineage")
        yield Importing(database, tmp_path)
        database.close()


def everything(there: OriginalDatabase) -> None:
    """One of each that the original is known to leave behind."""
    steps: list[dict[str, Any]] = [
        {"id": "a", "actionId": "x.one", "input": {"n": 1}},
        {"id": "b", "actionId": "x.two", "dependsOn": ["a"]},
        {"id": "c", "actionId": "x.three", "approval": {"requiresApproval": True, "reason": "money"}},
    ]
    there.automation("q", *steps)
    there.automation("resting", status="paused")
    there.route("signed", "q", signature_json={"algorithm": "hmac-sha256", "secretRef": "secret://a"})
    there.route("open", "q", status="archived", mapping={"dataPath": "data"})
    there.run("r1", "q")
    there.action("r1", "a", status="succeeded", given={"n": 1}, result_json={"ok": True, "output": {"n": 1}},
                 claimed_by="w1", claimed_at=BEGAN)  # fmt: skip
    error = {"code": "E1", "message": "m", "retryable": True}
    letter = {
        "reason": "max attempts exceeded",
        "failedAt": TOUCHED,
        "lastError": error,
        "attempts": 3,
        "replayable": True,
    }
    there.action("r1", "b", status="dead", attempt=3, error_json=error, dead_letter_json=letter, claimed_by="w1",
                 claimed_at=BEGAN)  # fmt: skip
    there.action("r1", "c", approval_gate_json=gate("pending"), metadata_json={"team": "sre"})
    there.put("automation_replay_requests", id="p1", automation_run_id="r1", requested_at=TOUCHED, mode="dead-actions",
              reason="requeue dead action r1.b", metadata_json={"actionId": "r1.b"})  # fmt: skip


def test_everything_is_there_afterwards_under_its_own_id(here: Importing) -> None:
    report = here.bring(everything).document()
    assert report["imported"] == {
        "automations": 2,
        "runs": 1,
        "actions": 3,
        "replayRequests": 1,
        "webhookRoutes": 2,
    }
    assert (report["skipped"], report["notes"]) == ([], [])
    first, second = here.inspect.automations()
    assert (first["id"], first["owner"], first["generation"], first["status"]) == ("q", "api", 1, "active")
    assert (first["createdAt"], first["updatedAt"], second["status"]) == (BEGAN, TOUCHED, "paused")
    assert here.routes() == {"/webhooks/open": "q", "/webhooks/signed": "q"}
    assert here.inspect.status()["counts"] == {
        "automations": 2, "runs": 1, "queuedActions": 1, "deadActions": 1, "replayRequests": 1, "webhookRoutes": 2,
    }  # fmt: skip
    (request,) = here.table("replay_requests")
    assert (request["id"], request["run_id"], request["action_row_id"]) == ("p1", "r1", "r1.b")


def test_a_run_and_its_actions_read_as_they_did_there(here: Importing) -> None:
    here.bring(everything)
    run = here.inspect.run("r1")
    assert (run["idempotencyKey"], run["triggerEventId"], run["createdAt"]) == ("q:e1", "e1", BEGAN)
    assert run["metadata"] == {"eventSource": "tickets", "eventType": "ticket.created"}
    a, b, c = run["actions"]
    assert (a["status"], a["result"], a["invocation"]["input"]) == (
        "succeeded",
        {"ok": True, "output": {"n": 1}},
        {"n": 1},
    )
    assert (b["status"], b["attempt"], b["error"]["code"], b["deadLetter"]["reason"]) == (
        "dead", 3, "E1", "max attempts exceeded",
    )  # fmt: skip
    (ended,) = b["attempts"]
    assert (ended["runner"], ended["attempt"], ended["startedAt"], ended["endedAt"]) == ("w1", 3, BEGAN, TOUCHED)
    assert (c["status"], c["state"], c["approvalGate"]["decision"]["id"]) == (
        "queued", "waiting_approval", "decision-pending",
    )  # fmt: skip
    assert c["invocation"]["metadata"]["original"]["metadata"] == {"team": "sre"}
    assert c["invocation"]["metadata"]["original"]["invocation"]["id"] == "invocation-3"


def test_a_second_import_changes_nothing_and_says_what_was_here_already(here: Importing) -> None:
    here.bring(everything)
    tables = (
        "automations",
        "generations",
        "routes",
        "runs",
        "actions",
        "attempts",
        "events",
        "replay_requests",
        "audit",
    )
    before = {name: here.table(name) for name in tables}
    report = here.again(here.folder / "original1.db").document()
    assert set(report["imported"].values()) == {0}
    assert report["already"] == {"automations": 2, "runs": 1, "actions": 3, "replayRequests": 1, "webhookRoutes": 2}
    assert {name: here.table(name) for name in tables} == before


def test_what_went_on_here_since_the_first_import_stands(here: Importing) -> None:
    here.bring(everything)
    here.approvals.approve("r1.c", actor="boss")
    here.again(here.folder / "original1.db")
    assert here.action("r1.c")["approvalGate"]["decision"]["status"] == "approved"
    (row,) = here.claim()
    assert row["id"] == "r1.c"


def test_a_queued_action_is_claimed_and_completed_here_and_its_run_advances(here: Importing) -> None:
    def fill(there: OriginalDatabase) -> None:
        there.automation("q", {"id": "a", "actionId": "x.one"}, {"id": "b", "actionId": "x.two", "dependsOn": ["a"]})
        there.run("r1", "q")
        there.action("r1", "a", given={"text": "a ${{ event.id }} and a $${{"})
        there.action("r1", "b", given=["${{ steps.a.output }}"])

    here.bring(fill)
    assert here.steps("r1") == {"a": "queued", "b": "blocked"}
    (a,) = here.claim(limit=5)
    assert decode(a["input_json"]) == {"text": "a ${{ event.id }} and a $${{"}
    here.done(a)
    (b,) = here.claim(limit=5)
    assert decode(b["input_json"]) == ["${{ steps.a.output }}"], "inputs were frozen there, and hold no templates"
    assert here.run("r1")["status"] == "running"
    here.done(b)
    assert here.run("r1")["status"] == "succeeded"


def test_a_claim_with_a_live_lease_is_finished_by_its_holder(here: Importing) -> None:
    def fill(there: OriginalDatabase) -> None:
        there.automation("q")
        there.run("r1", "q")
        there.action("r1", status="claimed", claimed_by="open-loops:1", claimed_at=iso(START),
                     lease_expires_at=iso(START + SECOND))  # fmt: skip

    here.bring(fill)
    assert here.claim() == []
    row = here.table("actions")[0]
    with pytest.raises(Conflict, match="is claimed by open-loops:1, not other"):
        here.done(row, runner="other")
    here.done(row, runner="open-loops:1")
    assert here.run("r1")["status"] == "succeeded"


def test_a_claim_whose_lease_ran_out_is_handed_out_again_and_shows_in_the_attempts(here: Importing) -> None:
    def fill(there: OriginalDatabase) -> None:
        there.automation("q")
        there.run("r1", "q")
        there.action("r1", status="claimed", claimed_by="gone", claimed_at=BEGAN, lease_expires_at=TOUCHED)

    here.bring(fill)
    (row,) = here.claim("fresh")
    with pytest.raises(Conflict, match="is claimed by fresh, not gone"):
        here.done(row, runner="gone")
    here.done(row, runner="fresh")
    (attempt,) = here.action("r1.a")["attempts"]
    assert (attempt["runner"], attempt["outcome"]) == ("gone", "lease_expired")


def test_a_retrying_action_waits_as_long_as_it_would_have_there(here: Importing) -> None:
    def fill(there: OriginalDatabase) -> None:
        there.automation("q")
        there.run("r1", "q")
        there.action("r1", status="retrying", attempt=1, available_at=iso(START + SECOND), claimed_by="w1",
                     claimed_at=BEGAN, error_json={"code": "E", "message": "m", "retryable": True})  # fmt: skip

    here.bring(fill)
    assert here.claim() == []
    here.clock.at = START + SECOND
    (row,) = here.claim()
    here.undone(row, retryable=False)
    assert [each["attempt"] for each in here.action("r1.a")["attempts"]] == [1, 2]
    assert here.action("r1.a")["deadLetter"]["attempts"] == 2


def test_approvals_stand_as_they_were_given(here: Importing) -> None:
    def fill(there: OriginalDatabase) -> None:
        step = {"actionId": "x.one", "approval": {"requiresApproval": True}}
        there.automation("q", *({"id": name, **step} for name in ("yes", "no", "open")), {"id": "w", "actionId": "x"})
        there.run("r1", "q")
        there.action("r1", "yes", approval_gate_json=gate("approved", decidedAt=TOUCHED))
        letter = {"reason": "too dear", "failedAt": TOUCHED, "attempts": 0, "replayable": False}
        there.action("r1", "no", status="dead", approval_gate_json=gate("rejected"), dead_letter_json=letter)
        there.action("r1", "open", approval_gate_json=gate("pending"))

    here.bring(fill)
    assert here.steps("r1") == {"yes": "queued", "no": "rejected", "open": "waiting_approval"}
    with pytest.raises(Conflict, match="is not replayable"):
        here.replay.action("r1.no", actor="boss")
    approved = here.approvals.approve("r1.open", actor="boss")
    assert decode(approved["approval_json"])["decision"]["id"] == "decision-pending"
    for row in here.claim(limit=5):
        here.done(row)
    assert here.run("r1")["status"] == "failed"


def test_an_approval_given_before_the_step_was_ready_is_not_asked_for_again(here: Importing) -> None:
    def fill(there: OriginalDatabase) -> None:
        there.automation("q", {"id": "a", "actionId": "x"}, {"id": "b", "actionId": "x", "dependsOn": ["a"]})
        there.run("r1", "q")
        there.action("r1", "a")
        there.action("r1", "b", approval_gate_json=gate("approved", decidedAt=TOUCHED))

    here.bring(fill)
    here.done(here.claim()[0])
    assert here.steps("r1")["b"] == "queued"
    assert here.action("r1.b")["approvalGate"]["decision"]["id"] == "decision-approved"


def test_dependants_of_a_dead_step_are_skipped_and_come_back_when_it_is_replayed(here: Importing) -> None:
    def fill(there: OriginalDatabase) -> None:
        there.automation("q", {"id": "a", "actionId": "x"}, {"id": "b", "actionId": "x", "dependsOn": ["a"]})
        there.run("r1", "q")
        there.action("r1", "a", status="dead", attempt=1, error_json={"message": "no code"})
        there.action("r1", "b")

    here.bring(fill)
    assert here.steps("r1") == {"a": "dead", "b": "skipped"}
    assert here.run("r1")["status"] == "failed"
    here.replay.action("r1.a", actor="boss")
    here.done(here.claim()[0])
    assert here.steps("r1")["b"] == "queued"


def test_a_step_that_could_never_have_run_fails_and_is_named(here: Importing) -> None:
    def fill(there: OriginalDatabase) -> None:
        waits = {"a": ["b"], "b": ["a"], "c": ["later"], "later": []}
        there.automation("q", *({"id": name, "actionId": "x", "dependsOn": on} for name, on in waits.items()))
        there.run("r1", "q")
        for name in "abc":
            there.action("r1", name)

    report = here.bring(fill)
    assert here.steps("r1") == dict.fromkeys("abc", "failed")
    assert {each["table"] for each in report.notes} == {"automation_runs"}
    assert here.action("r1.c")["error"]["code"] == "DEPENDENCY_MISSING"
    assert here.action("r1.a")["error"]["code"] == "DEPENDENCY_CYCLE"
    assert [each["id"] for each in report.skipped] == ["q"], "our rules refuse the circle in its spec"


def test_a_run_that_the_original_ended_starts_nothing_again(here: Importing) -> None:
    def fill(there: OriginalDatabase) -> None:
        there.automation("q")
        there.run("r1", "q", status="cancelled", completed_at=TOUCHED)
        there.action("r1")

    here.bring(fill)
    assert (here.run("r1")["status"], here.steps("r1"), here.claim()) == ("failed", {"a": "skipped"}, [])
    assert here.inspect.run("r1")["metadata"]["original"]["status"] == "cancelled"


@pytest.mark.parametrize("keys", [{}, {"dedupe_key": "e1"}, {"body": "another"}])
def test_the_same_event_again_starts_no_second_run(here: Importing, keys: dict[str, Any]) -> None:
    here.bring(everything)
    again = here.send("other" if "dedupe_key" in keys else "e1", **keys)
    assert (again.duplicate, again.conflict) == (True, False)
    assert again.materialized == ({"automationId": "q", "runId": "r1", "actionIds": ["r1.a", "r1.b", "r1.c"]},)
    assert not here.send("e2").duplicate


def test_a_delivery_is_known_again_at_every_route_of_its_automation(here: Importing) -> None:
    def fill(there: OriginalDatabase) -> None:
        there.automation("wh", triggers=[{"kind": "webhook"}])
        there.automation("else")
        for name, automation in (("one", "wh"), ("two", "wh"), ("other", "else")):
            there.route(name, automation)
        there.run("r1", "wh", event="webhook:one:k1", kind="webhook", idempotency_key="wh:k1",
                  metadata_json={"eventSource": "tickets", "eventType": "ticket.created", "eventDedupeKey": "k1"})  # fmt: skip
        there.action("r1")

    here.bring(fill)

    def deliver(route: str) -> bool:
        owner = "else" if route == "other" else "wh"
        keys = {"dedupe_key": "k1", "origin": "webhook", "route_id": route, "route_automation_id": owner}
        return here.send(f"webhook:{route}:k1", **keys).duplicate

    assert (deliver("one"), deliver("two"), deliver("other")) == (True, True, False)
    assert not here.send("k1").duplicate, "an ordinary event never was the webhook's"


def test_an_event_that_started_two_automations_is_answered_with_both(here: Importing) -> None:
    def fill(there: OriginalDatabase) -> None:
        for name in ("p", "q"):
            there.automation(name)
            there.run(f"r-{name}", name)
            there.action(f"r-{name}")

    here.bring(fill)
    assert [each["runId"] for each in here.send().materialized] == ["r-p", "r-q"]


def test_an_event_that_matched_nothing_here_before_the_import_is_known_afterwards(here: Importing) -> None:
    here.send("e1")
    here.bring(everything)
    assert here.send("e1").duplicate


def test_a_run_without_actions_is_kept_as_failed_and_its_event_may_come_again(here: Importing) -> None:
    def fill(there: OriginalDatabase) -> None:
        there.automation("q")
        there.run("orphan", "q")

    report = here.bring(fill)
    run = here.inspect.run("orphan")
    assert (run["status"], run["error"]["code"], run["actions"]) == ("failed", "RUN_WITHOUT_ACTIONS", [])
    assert [each["id"] for each in report.notes] == ["orphan"]
    assert len(here.send("e1").materialized) == 1


def test_a_run_whose_automation_is_gone_is_kept_and_goes_on_step_by_step(here: Importing) -> None:
    def fill(there: OriginalDatabase) -> None:
        there.run("r1", "ghost")
        there.action("r1", "a")
        there.action("r1", "b")

    report = here.bring(fill)
    assert [each["id"] for each in report.notes] == ["r1"]
    assert here.inspect.automations() == []
    for name in "ab":
        (row,) = here.claim(limit=5)
        assert row["step_id"] == name
        here.done(row)
    assert here.run("r1")["status"] == "succeeded"
    here.apply({"ghost.yaml": spec("ghost")})
    assert [each["id"] for each in here.inspect.automations()] == ["ghost"], "the id can be had again"


def test_a_spec_that_is_refused_is_kept_unbound_with_its_runs_and_its_routes_shut(here: Importing) -> None:
    def fill(there: OriginalDatabase) -> None:
        there.automation("odd", unknownField=1)
        there.route("way", "odd")
        there.run("r1", "odd")
        there.action("r1")

    report = here.bring(fill)
    (skipped,) = report.skipped
    assert (skipped["table"], skipped["id"]) == ("automations", "odd")
    assert "unknownField" in skipped["reason"]
    assert [each["id"] for each in report.notes] == ["way"]
    assert (here.inspect.automations(), here.table("routes")[0]["status"]) == ([], "disabled")
    kept = [each for each in here.table("generations") if each["generation"] == 1]
    assert decode(kept[0]["spec_json"])["unknownField"] == 1
    here.done(here.claim()[0])
    assert here.run("r1")["status"] == "succeeded"
    assert here.again(here.folder / "original1.db").skipped == report.skipped


def test_an_automation_that_a_source_owns_stays_the_sources_and_the_runs_come_over(here: Importing) -> None:
    here.apply({"q.yaml": spec("q")})
    report = here.bring(everything)
    (skipped,) = report.skipped
    assert (skipped["id"], "source:default" in skipped["reason"]) == ("q", True)
    assert here.automations()["q"]["generation"] == 1
    assert here.run("r1")["automation_uid"] == here.automations()["q"]["uid"]
    assert here.run("r1")["generation"] < 1, "generations from the first on are those that were bound here"


def test_a_manifest_that_fits_lets_the_local_worker_carry_an_imported_action_out(here: Importing) -> None:
    strict = {"type": "object", "required": ["n"]}
    here.apply({"one.yaml": action("x.one", inputSchema=strict), "two.yaml": action("x.two", requiredApprovals=1)})

    def fill(there: OriginalDatabase) -> None:
        there.automation("q", *({"id": name, "actionId": "x.one"} for name in "abc"))
        there.run("r1", "q")
        there.action("r1", "a", given={"n": 1})
        there.action("r1", "b", given={})
        there.action("r1", "c", given={"n": 1}, action_id="x.two")

    here.bring(fill)
    assert {row["step_id"]: row["executor"] for row in here.table("actions")} == {
        "a": "local-shell", "b": "external", "c": "external",
    }  # fmt: skip
    (row,) = here.claim(which=Which(("local-shell",)), limit=5)
    here.done(row)


def test_rows_that_cannot_be_read_are_named_and_nothing_else_suffers(here: Importing) -> None:
    def fill(there: OriginalDatabase) -> None:
        there.automation("q")
        there.put("automations", id="torn", spec_json="{bad")
        there.put("webhook_routes", id="bad", automation_id="q", path="/x", mapping_json="[", status="active")
        for name in ("r1", "r2", "r3", "r4"):
            there.run(name, "q", event=name, **({"created_at": "yesterday"} if name == "r4" else {}))
            there.action(name, **({"result_json": "{"} if name == "r2" else {}))
        there.action("r3", "z", status="exploded")
        there.action("nowhere")
        there.put("automation_replay_requests", id="p9", mode="dead-actions")

    report = here.bring(fill)
    reasons = {(each["table"], each["id"]): each["reason"] for each in report.skipped}
    assert reasons == {
        ("automations", "torn"): "its spec_json is not JSON",
        ("webhook_routes", "bad"): "its mapping_json is not JSON",
        ("automation_runs", "r2"): "its action r2.a cannot be read: its result_json is not JSON",
        ("automation_actions", "r2.a"): "its result_json is not JSON",
        ("automation_runs", "r3"): "the status of its action r3.z is unknown: exploded",
        ("automation_actions", "r3.a"): "its run r3 was left out",
        ("automation_actions", "r3.z"): "its run r3 was left out",
        ("automation_runs", "r4"): "its createdAt is not a time",
        ("automation_actions", "r4.a"): "its run r4 was left out",
        ("automation_actions", "nowhere.a"): "its run nowhere is not there",
        ("automation_replay_requests", "p9"): "it has no automationRunId",
    }
    assert [row["id"] for row in here.table("runs")] == ["r1"]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"path": "/healthz"}, "the server's own"),
        ({"path": "/taken"}, "in use by webhook route first"),
        ({"signature_json": {"secret": "s", "secretRef": "secret://x"}}, "not allowed: secret"),
        ({"signature_json": {"secretRef": "secret://x", "header": 5}}, "is not a text"),
        ({"mapping": {"type": ""}}, "has no type"),
        ({"mapping": {"dataPath": 5}}, "dataPath that cannot be used"),
        ({"status": "open"}, "status is unknown"),
    ],
)
def test_a_route_that_we_would_not_make_is_left_out(here: Importing, columns: dict[str, Any], reason: str) -> None:
    def fill(there: OriginalDatabase) -> None:
        there.automation("q")
        if columns.get("path") != "/taken":
            there.route("first", "q", path="/taken")
        there.route("r", "q", **columns)

    if columns.get("path") == "/taken":
        here.bring(lambda there: there.automation("q"), lambda there: there.route("first", "q", path="/taken"))
    (skipped,) = here.bring(fill).skipped
    assert (skipped["id"], reason in skipped["reason"]) == ("r", True)


def test_fields_that_we_have_no_place_for_are_kept_beside_the_record(here: Importing) -> None:
    def fill(there: OriginalDatabase) -> None:
        for table in ("automations", "automation_runs", "automation_actions", "webhook_routes"):
            there.connection.execute(f"ALTER TABLE {table} ADD COLUMN tenant_name TEXT DEFAULT 'acme'")
        everything(there)

    here.bring(fill)
    kept = {"tenantName": "acme"}
    assert here.inspect.automation("q")["spec"]["metadata"] == {"original": kept}
    assert here.inspect.run("r1")["metadata"]["original"] == kept
    assert here.action("r1.a")["invocation"]["metadata"]["original"]["tenantName"] == "acme"
    assert decode(here.table("routes")[0]["mapping_json"])["metadata"] == {"original": kept}


def test_an_import_of_many_runs_is_committed_in_batches_and_audited(here: Importing) -> None:
    def fill(there: OriginalDatabase) -> None:
        there.automation("q")
        for number in range(BATCH + 1):
            there.run(f"r{number}", "q", event=f"e{number}")
            there.action(f"r{number}")

    assert here.bring(fill).imported["runs"] == BATCH + 1
    assert len([row for row in here.table("generations") if row["generation"] < 1]) == 1
    with here.database.read() as tx:
        entries = audit.after(tx, 0, limit=10_000)
    assert ([each["action"] for each in entries], broken_at(entries)) == (["import-store"] * 3, None)
