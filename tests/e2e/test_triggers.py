"""Triggers that wait, and runs that set each other off, with real daemons and processes."""

import json
import os
import signal
from pathlib import Path
from typing import Any

from automations.adapters.clock import SystemClock
from automations.core.instant import iso
from e2e.conftest import PATIENCE, Site, until
from e2e.jobs import ACTION, gone

WINDOW = """\
schemaVersion: "1.0"
id: window
name: window
version: 1.0.0
triggers:
  - {kind: event, source: test, type: burst, debounce: {quiet: 4s, emit: all}}
actions:
  - {id: only, actionId: x.do, input: {numbers: "${{ event.window.events.map(each, each.data.n) }}"}}
"""
LOOP = """\
schemaVersion: "1.0"
id: loop
name: loop
version: 1.0.0
triggers:
  - {kind: event, source: test, type: again}
actions:
  - {id: only, actionId: again, retry: {maxAttempts: 1}}
"""
AGAIN = """\
id: again
name: again
version: 1.0.0
inputSchema: {type: object}
executorBindings:
  - kind: local-shell
    command: automations
    args: [--json, events, send, --event-json, '{"source": "test", "type": "again"}']
    env: {HASNA_AUTOMATIONS_DIR: "ROOT"}
    outputMode: text
"""

TICKS = """\
schemaVersion: "1.0"
id: ticks
name: ticks
version: 1.0.0
triggers:
  - {kind: schedule, every: 2s, overlap: OVERLAP}
actions:
  - {id: only, actionId: ticks}
"""
ASKS = """\
schemaVersion: "1.0"
id: asks
name: asks
version: 1.0.0
triggers:
  - {kind: event, source: test, type: asks}
actions:
  - {id: only, actionId: x.do, approval: {requiresApproval: true, expires: 4s}}
"""


def send(site: Site, number: int) -> dict[str, Any]:
    event = {"id": f"e{number}", "source": "test", "type": "burst", "data": {"n": number}}
    answer: dict[str, Any] = site.automations("events", "send", "--event-json", json.dumps(event))
    return answer


def test_a_window_outlives_a_kill_and_closes_once_with_everything_in_it(site: Site) -> None:
    site.write("window.yaml", WINDOW)
    daemon, _ = site.start("run", "automations.d", "--no-worker")
    assert [send(site, number)["automations"][0]["outcome"] for number in (1, 2)] == ["debounced", "debounced"]
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.wait(timeout=PATIENCE)
    assert site.runs() == []
    send(site, 3)
    site.start("run", "automations.d", "--no-worker")
    (run,) = until(site.runs, what="the window closes")
    shown = site.automations("runs", "show", run["id"])
    assert shown["actions"][0]["invocation"]["input"] == {"numbers": [1, 2, 3]}
    events = [site.automations("events", "show", f"e{number}") for number in (1, 2, 3)]
    assert [each["outcome"] for each in events] == ["coalesced", "coalesced", "materialized"]
    assert {each["automations"][0]["runId"] for each in events} == {run["id"]}


def test_automations_that_set_themselves_off_come_to_a_stop(site: Site) -> None:
    site.write("again.yaml", AGAIN.replace("ROOT", site.environment["HASNA_AUTOMATIONS_DIR"]))
    site.write("loop.yaml", LOOP)
    site.start("run", "automations.d")
    site.automations("events", "send", "--event-json", '{"source": "test", "type": "again"}')
    until(lambda: site.runs(status="failed"), what="the last run's event is rejected", seconds=90)
    assert len(site.runs()) == 17
    (rejected,) = site.automations("events", "list", "--outcome", "rejected")
    assert rejected["metadata"]["automations"]["hops"] == 17
    assert "17 runs" in rejected["reason"]


def ticking(site: Site, overlap: str, script: str) -> None:
    """Apply a schedule that fires every two seconds, and start a daemon."""
    site.write("actions/ticks.yaml", ACTION.format(name="ticks", script=script))
    site.write("ticks.yaml", TICKS.replace("OVERLAP", overlap))
    site.start("run", "automations.d")


def test_ticks_that_come_too_early_wait_in_line_and_are_carried_out_one_after_the_other(site: Site) -> None:
    go, log = site.folder / "go", site.folder / "log"
    log.touch()
    says = f"echo begin $OPEN_ACTIONS_RUN_ID >> {log}"
    ticking(site, "queue", f"{says}; until test -e {go}; do sleep 0.05; done; echo end $OPEN_ACTIONS_RUN_ID >> {log}")
    until(lambda: len(site.runs(status="pending")) >= 2, what="two ticks wait for the first one")
    assert len(site.runs(status="running")) == 1
    assert len(log.read_text().splitlines()) == 1
    go.touch()
    until(lambda: len(_lines(log)) >= 6, what="the three are done")
    order = sorted(run["id"] for run in site.runs())[:3]
    assert _lines(log)[:6] == [[word, run] for run in order for word in ("begin", "end")]


def test_a_tick_ends_the_run_of_the_one_before_it_and_takes_its_place(site: Site) -> None:
    log = site.folder / "log"
    log.touch()
    ticking(site, "cancel-running", f"echo $$ $OPEN_ACTIONS_RUN_ID >> {log}; exec sleep 600")
    until(lambda: len(_lines(log)) >= 2, what="the second tick's run is at work")
    (pid, first), (_, second) = _lines(log)[:2]
    ended = site.over(first)
    assert (ended["status"], ended["stop"]["reason"]) == ("cancelled", f"replaced by the newer run {second}")
    assert gone(pid)
    assert len(site.runs(status="running")) <= 1


def test_a_question_lapses_though_the_daemon_was_killed_while_it_was_open(site: Site) -> None:
    site.write("asks.yaml", ASKS)
    daemon, _ = site.start("run", "automations.d")
    answer = site.send({"id": "e1", "source": "test", "type": "asks"})
    run = answer["materialized"][0]["run"]["id"]
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.wait(timeout=PATIENCE)
    (question,) = site.automations("approvals", "list")
    lapses = question["approvalGate"]["decision"]["expiresAt"]
    until(lambda: iso(SystemClock().now()) > lapses, what="the time for an answer is over")
    assert site.run(run)["status"] == "waiting_approval"
    site.start("run", "automations.d")
    assert site.over(run)["status"] == "failed"
    assert site.step(run, "only")["status"] == "dead"


def _lines(log: Path) -> list[list[str]]:
    return [line.split() for line in log.read_text().splitlines()]


def test_a_schedule_that_the_daemon_takes_in_while_it_runs_fires_when_it_is_due(site: Site) -> None:
    """The schedules' own look comes once a minute; what was just taken in cannot wait for that."""
    site.write("actions/ticks.yaml", ACTION.format(name="ticks", script="true"))
    site.start("run", "automations.d")
    site.write("ticks.yaml", TICKS.replace("OVERLAP", "parallel"))
    until(site.runs, what="the schedule fires", seconds=25)
    site.write("ticks.yaml", TICKS.replace("OVERLAP", "parallel").replace("every: 2s", "every: 6h"))
    until(lambda: _every(site) == "6h", what="the change is taken in")
    before = len(site.runs())
    site.write("ticks.yaml", TICKS.replace("OVERLAP", "parallel"))
    until(lambda: len(site.runs()) > before, what="it fires often again", seconds=25)


def test_a_slot_between_an_apply_and_the_first_look_of_a_daemon_is_not_lost(site: Site) -> None:
    site.write("actions/ticks.yaml", ACTION.format(name="ticks", script="true"))
    site.write("ticks.yaml", TICKS.replace("OVERLAP", "parallel, catchUp: all"))
    site.automations("apply", "automations.d", "--auto-approve")
    (schedule,) = site.automations("schedules", "list")
    slot = schedule["nextDue"]
    until(lambda: iso(SystemClock().now()) > slot, what="the first slot has passed")
    site.start("run", "automations.d")
    until(site.runs, what="the schedule fires")
    assert min(site.run(run["id"])["metadata"]["schedule"]["nominalTime"] for run in site.runs()) == slot


def _every(site: Site) -> str:
    (schedule,) = site.automations("schedules", "list")
    return str(schedule["every"])
