"""The public page of the original: every command line on it is run as it is written, and its JSON checked key by key.

`<action-id>` and `<worker-id>` are filled in, as a reader would. `loops` is a stand-in that takes exactly one JSON document.
"""

import json
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from compat.conftest import PATIENCE, Shell
from compat.record_shapes import (
    ACTION,
    AUTOMATION,
    MATERIALIZED,
    ROUTE,
    RUNNING,
    SERVING,
    SIMULATED,
    STATUS,
    WEBHOOK_EVENT,
    WEBHOOK_TEST,
    conforms,
)

EVENT = '{"id":"evt_1","source":"open-events","type":"ticket.created","data":{"priority":"critical"}}'
SIMULATE = f"automations --json simulate automation.json --persist --event-json '{EVENT}'"
WEBHOOK = (
    "automations --json webhooks create tickets.escalate-critical --id tickets --path /webhooks/tickets --source open-events "
    "--type ticket.created --data-path data --dedupe-key-header X-Hasna-Event-Id "
    "--secret-ref secret://automations/webhooks/tickets"
)
REQUEST = """tickets --body-json '{"data":{"priority":"critical"}}' --header X-Hasna-Event-Id:evt_1"""
PIPE = """automations --json webhooks event tickets \\
  --body-json '{"data":{"priority":"critical"}}' \\
  --header X-Hasna-Event-Id:evt_1 \\
  | loops --json events handle generic"""
LOOPS = """#!{python}
import json, sys
assert sys.argv[1:] == ["--json", "events", "handle", "generic"], sys.argv
document = json.loads(sys.stdin.read())  # raises unless it is exactly one document
print(json.dumps({{"handled": document["id"], "keys": sorted(document)}}))
"""


@pytest.fixture
def page(shell: Shell) -> Shell:
    """A shell with the page's `automation.json` in it."""
    (shell.folder / "automation.json").write_text(shell("automations --json spec example").stdout)
    return shell


def materialized(page: Shell) -> dict[str, Any]:
    """The one run that the page's event starts."""
    (only,) = conforms(page.json(SIMULATE), [MATERIALIZED])
    return dict(only)


def test_help_is_help(shell: Shell) -> None:
    ended = shell("automations --help")
    assert ended.stdout.startswith("Usage: automations")
    assert ended.stderr == ""


def test_status_creates_the_store_and_tells_where_it_is(shell: Shell) -> None:
    status = conforms(shell.json("automations --json status"), STATUS)
    root = shell.folder / "root"
    assert (status["service"], status["schemaVersion"]) == ("automations", "1.0")
    assert (status["dataDir"], status["dbPath"]) == (str(root), str(root / "automations.db"))
    assert set(status["counts"].values()) == {0}
    assert status["daemon"] == {"active": False}
    assert root.stat().st_mode & 0o777 == 0o700


def test_the_data_root_follows_its_variables(shell: Shell) -> None:
    shell.environment["AUTOMATIONS_DATA_DIR"] = str(shell.folder / "second")
    assert shell.json("automations --json status")["dataDir"] == str(shell.folder / "root")
    del shell.environment["HASNA_AUTOMATIONS_DIR"]
    assert shell.json("automations --json status")["dataDir"] == str(shell.folder / "second")
    del shell.environment["AUTOMATIONS_DATA_DIR"]
    shell.environment["HOME"] = str(shell.folder)
    assert shell.json("automations --json status")["dataDir"] == str(shell.folder / ".hasna" / "automations")


def test_the_example_spec_is_the_pages_own_and_valid(page: Shell) -> None:
    spec = page.json("automations --json spec example")
    assert set(spec) == {
        "schemaVersion", "id", "name", "version", "description", "status", "triggers", "actions", "audit",
    }  # fmt: skip
    assert spec["triggers"] == [
        {"kind": "event", "source": "open-events", "type": "ticket.created", "filter": {"priority": "critical"}}
    ]
    assert (spec["id"], spec["actions"][0]["actionId"]) == ("tickets.escalate-critical", "todos.create")
    answer = page.json("automations --json validate automation.json")
    assert (answer["valid"], answer["spec"]) == (True, spec)


def test_create_and_list_show_the_automation_with_its_spec_as_written(page: Shell) -> None:
    created = conforms(page.json("automations --json create automation.json"), AUTOMATION)
    assert list(created["spec"].items()) == list(json.loads((page.folder / "automation.json").read_text()).items())
    assert (created["id"], created["status"], created["owner"]) == ("tickets.escalate-critical", "active", "api")
    again = page.json("automations --json create automation.json")
    assert again["createdAt"] == created["createdAt"]
    (listed,) = conforms(page.json("automations --json list"), [AUTOMATION])
    assert {**again, "health": listed["health"]} == listed


def test_simulate_shows_keys_and_writes_nothing_without_persist(page: Shell) -> None:
    shown = conforms(page.json("automations --json simulate automation.json"), SIMULATED)
    key = "tickets.escalate-critical:sim_tickets.escalate-critical"
    assert (shown["persisted"], shown["run"]["idempotencyKey"]) == (False, key)
    assert [each["idempotencyKey"] for each in shown["actions"]] == [f"{key}:create-escalation-task"]
    assert page.json("automations --json status")["counts"]["automations"] == 0


def test_an_event_is_materialized_once(page: Shell) -> None:
    made = materialized(page)
    (action,) = made["actions"]
    run = made["run"]
    assert (run["status"], run["triggerEventId"]) == ("materialized", "evt_1")
    assert run["idempotencyKey"] == "tickets.escalate-critical:evt_1"
    assert run["metadata"] == {"eventSource": "open-events", "eventType": "ticket.created"}
    assert (action["automationRunId"], action["status"], action["attempt"], action["maxAttempts"]) == (
        run["id"], "queued", 0, 3,
    )  # fmt: skip
    assert action["idempotencyKey"] == "tickets.escalate-critical:evt_1:create-escalation-task"
    assert action["invocation"]["input"] == {"title": "Escalate critical ticket"}
    assert action["invocation"]["metadata"] == {"eventId": "evt_1"}
    again = materialized(page)
    assert (again["run"]["id"], again["actions"][0]["id"]) == (run["id"], action["id"])
    assert page.json("automations --json status")["counts"]["runs"] == 1


def test_an_action_fails_dies_and_is_replayed(page: Shell) -> None:
    materialized(page)
    claimed = conforms(page.json("automations --json queue claim --runner worker-1"), ACTION)
    action = claimed["id"]
    assert (claimed["status"], claimed["claimedBy"]) == ("claimed", "worker-1")
    assert {"claimedAt", "leaseExpiresAt"} <= set(claimed)
    # As the page has it, without --runner: then it is `cli:<pid>` who reports, and the claim is worker-1's.
    line = f'automations --json queue fail {action} --code UPSTREAM_500 --message "upstream failed"'
    said = page.refused(line)
    assert said.startswith(f"queued action {action} is claimed by worker-1, not cli:")
    waiting = conforms(page.json(f"{line} --runner worker-1 --retry-backoff-ms 0"), ACTION)
    assert waiting["status"] == "retrying"
    assert waiting["error"] == {"code": "UPSTREAM_500", "message": "upstream failed", "retryable": True}
    assert {"claimedBy", "claimedAt"} <= set(waiting)
    assert "leaseExpiresAt" not in waiting
    assert page.json("automations --json queue claim --runner worker-1")["id"] == action
    dead = conforms(page.json(f"{line} --runner worker-1 --retryable false"), ACTION)
    assert (dead["status"], dead["deadLetter"]["reason"]) == ("dead", "non-retryable action error")
    assert (dead["deadLetter"]["attempts"], dead["deadLetter"]["replayable"]) == (2, True)
    assert [each["id"] for each in conforms(page.json("automations --json dlq list"), [ACTION])] == [action]
    replayed = conforms(page.json(f"automations --json dlq replay {action}"), ACTION)
    assert (replayed["status"], replayed["attempt"]) == ("queued", 0)
    assert not {"claimedBy", "error", "deadLetter", "result"} & set(replayed)
    counts = page.json("automations --json status")["counts"]
    assert (counts["queuedActions"], counts["deadActions"], counts["replayRequests"]) == (1, 0, 1)


def test_an_empty_queue_answers_null(shell: Shell) -> None:
    assert shell("automations queue claim --runner open-loops:w1").stdout == "null\n"


def test_a_runner_of_open_loops_claims_and_completes(page: Shell) -> None:
    materialized(page)
    action = page.json("automations queue claim --runner open-loops:w1")["id"]
    done = conforms(page.json(f"automations queue complete {action} --runner open-loops:w1"), ACTION)
    assert (done["status"], done["attempt"], done["claimedBy"]) == ("succeeded", 0, "open-loops:w1")
    assert "result" not in done


def test_a_runner_of_open_loops_claims_and_fails(page: Shell) -> None:
    materialized(page)
    action = page.json("automations queue claim --runner open-loops:w1")["id"]
    line = f"automations queue fail {action} --runner open-loops:w1 --code BROKEN --message 'no luck'"
    assert conforms(page.json(line), ACTION)["error"]["code"] == "BROKEN"


def test_a_route_turns_requests_into_events_and_runs(page: Shell) -> None:
    page.json("automations --json create automation.json")
    route = conforms(page.json(WEBHOOK), ROUTE)
    assert route["signature"] == {"algorithm": "hmac-sha256", "secretRef": "secret://automations/webhooks/tickets"}
    event = conforms(page.json(f"automations --json webhooks event {REQUEST}"), WEBHOOK_EVENT)
    assert (event["id"], event["dedupeKey"]) == ("webhook:tickets:evt_1", "evt_1")
    assert event["data"] == {"priority": "critical"}
    assert page.json("automations --json status")["counts"]["runs"] == 0
    tested = conforms(page.json(f"automations --json webhooks test {REQUEST}"), WEBHOOK_TEST)
    assert tested["route"] == route
    (made,) = tested["materialized"]
    assert made["run"]["idempotencyKey"] == "tickets.escalate-critical:evt_1"
    assert made["run"]["metadata"]["eventDedupeKey"] == "evt_1"
    assert conforms(page.json("automations --json webhooks list"), [ROUTE]) == [route]


def test_exactly_one_envelope_goes_down_the_pipe(page: Shell) -> None:
    loops = page.folder / "bin" / "loops"
    loops.write_text(LOOPS.format(python=Path(page("command -v python").stdout.strip())))
    loops.chmod(0o755)
    page.json("automations --json create automation.json")
    page.json(WEBHOOK)
    handled = page.json(f"set -o pipefail; {PIPE}")
    assert handled == {
        "handled": "webhook:tickets:evt_1",
        "keys": ["data", "dedupeKey", "id", "metadata", "source", "time", "type"],
    }
    assert page.json("automations --json status")["counts"]["runs"] == 0


def test_runtimes_name_the_commands_of_the_hand_off(shell: Shell) -> None:
    runtimes = {each["kind"]: each for each in shell.json("automations --json runtimes")}
    assert set(runtimes) == {"open-loops", "local", "external"}
    loops = runtimes["open-loops"]
    assert set(loops) == {"kind", "name", "description", "handoff", "metadata"}
    assert (loops["name"], loops["handoff"]) == ("open-loops-runtime", "claim-queue")
    assert loops["metadata"]["queueClaim"] == {
        "statusCommand": "automations status",
        "claimCommand": "automations queue claim --runner open-loops:<worker-id>",
        "completeCommand": "automations queue complete <action-id> --runner open-loops:<worker-id>",
        "failCommand": (
            "automations queue fail <action-id> --runner open-loops:<worker-id> --code <code> --message <message>"
        ),
    }
    assert set(loops["metadata"]["eventEnvelope"]) == {"exportCommand", "openLoopsCommand", "pipeExample", "boundary"}


def test_the_daemons_status_is_the_stores(shell: Shell) -> None:
    assert conforms(shell.json("automations-daemon --json status"), STATUS)["daemon"] == {"active": False}


def test_one_round_of_the_daemon_ends_by_itself_and_leaves_nothing(shell: Shell) -> None:
    once = conforms(json.loads(shell("automations-daemon --json run --once").stdout), RUNNING)
    assert (once["ok"], once["once"]) == (True, True)
    assert once["leaseId"].endswith(f":{once['pid']}")
    assert not (shell.folder / "root" / "daemon.pid").exists()
    assert shell.json("automations --json status")["daemon"]["active"] is False


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_the_daemon_stays_alive_until_it_is_told_to_end(shell: Shell, sent: signal.Signals) -> None:
    process, said = shell.start("automations-daemon --json run")
    assert conforms(said, RUNNING)["once"] is False
    assert said["pid"] == process.pid
    assert (shell.folder / "root" / "daemon.pid").read_text().strip() == str(process.pid)
    daemon = conforms(shell.json("automations-daemon --json status"), STATUS)["daemon"]
    assert (daemon["active"], daemon["pid"], daemon["leaseId"]) == (True, process.pid, said["leaseId"])
    assert process.poll() is None
    process.send_signal(sent)
    assert process.wait(timeout=PATIENCE) == 0
    assert not (shell.folder / "root" / "daemon.pid").exists()
    assert shell.json("automations --json status")["daemon"]["active"] is False


def test_the_server_listens_where_it_is_told_and_ends_cleanly(shell: Shell) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process, said = shell.start(f"automations-daemon --json serve --host 127.0.0.1 --port {port}")
    assert conforms(said, SERVING)["mode"] == "serve"
    assert (said["host"], said["port"], said["maxBodyBytes"], said["routes"]) == ("127.0.0.1", port, 1 << 20, 0)
    health = shell(
        f"python -c \"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{port}/healthz').read())\""
    )
    assert json.loads(health.stdout.strip()[2:-1]) == {"ok": True, "service": "automations", "mode": "webhooks"}
    webhooks = shell.json("automations --json status")["daemon"]["metadata"]["webhooks"]
    assert webhooks == {"host": "127.0.0.1", "port": port, "maxBodyBytes": 1 << 20, "routes": 0}
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=PATIENCE) == 0


def test_the_long_name_is_the_same_program(shell: Shell) -> None:
    assert shell("hasna-automations --version").stdout == shell("automations --version").stdout
    assert conforms(shell.json("hasna-automations --json status"), STATUS)
