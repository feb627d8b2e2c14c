"""The verb expire: a run whose time is over is told to end; its `finally` steps run, in a time of their own.

Deadlines are rows, looked at by a tick of the daemon and by everybody who claims, so that nothing is lost with a process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from automations.core.run.states import RunStatus
from automations.core.run.stop import Stop
from automations.services.run.advance import Ending, advance_run, stop_run
from automations.store import deadlines, runs

if TYPE_CHECKING:
    from automations.services.run.programs import Programs
    from automations.store.database import Row, Transaction


AT_ONCE = 100
"""How much is ended in one go; the rest follows."""


class Overdue(NamedTuple):
    """What may be out of time: actions, and runs by an action of each."""

    actions: list[str]
    runs: list[str]


def overdue(tx: Transaction, *, now: int) -> Overdue:
    """What seems to be out of time; who ends it looks again."""
    late = deadlines.late_actions(tx, now=now, limit=AT_ONCE)
    due = deadlines.late_runs(tx, now=now, limit=AT_ONCE)
    return Overdue([row["id"] for row in late], [row["action_id"] for row in due])


def expire_run(tx: Transaction, run_id: str, *, programs: Programs, now: int) -> bool:
    """End a run whose key is held and whose deadline passed; False when it has time again, or is over."""
    run = runs.hold_one(tx, run_id)
    if run is None or run["deadline_at"] is None or run["deadline_at"] > now:
        return False
    if run["finally_at"] is None:
        return stop_run(tx, run, _ending(tx, run, "timeout", programs=programs), programs=programs, now=now)
    if run["stop"] is None:
        return stop_run(tx, run, _ending(tx, run, "finallyTimeout", programs=programs), programs=programs, now=now)
    runs.widen_stop(tx, run_id, now=now)
    late = _ending(tx, run, "finallyTimeout", programs=programs)
    advance_run(tx, run | {"stop_scope": "all", "deadline_at": None}, programs=programs, now=now, because=late)
    return True


def _ending(tx: Transaction, run: Row, word: str, *, programs: Programs) -> Ending:
    spec = programs.of_run(tx, run).automation.spec
    stop = Stop(RunStatus.TIMED_OUT, "main" if word == "timeout" else "finally")
    who = "the run" if word == "timeout" else "the finally steps of the run"
    return Ending(stop, None, f"{who} took longer than the {word} of {spec.get(word)}")
