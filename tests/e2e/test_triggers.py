"""Triggers that wait, and runs that set each other off, with real daemons and processes."""

import json
import os
import signal
from typing import Any

from e2e.conftest import PATIENCE, Site, until

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
