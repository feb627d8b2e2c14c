"""The verb cut off: what becomes of runs under way when an apply changes or deletes their automation.

The policy is the one that the runs began under, and the rule is the one that the plan was shown by: `core.plan.policy`. It is
carried out in the apply's own transaction. A drain that takes longer than its `drainTimeout` is told of, and nothing is killed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from automations.core.canonical import decode, encode
from automations.core.instant import parse_duration
from automations.core.plan.conditions import Condition, differ, updated
from automations.core.plan.policy import ends, policy_of, word_of
from automations.services.run.advance import Ending, stop_run
from automations.services.run.cancel import hold_run, stop_of
from automations.store import automations, runs, slots

if TYPE_CHECKING:
    from collections.abc import Iterable

    from automations.core.plan.plan import Change
    from automations.services.run.programs import Programs
    from automations.store.database import Database, Row, Transaction


class Doomed(NamedTuple):
    """A run that an apply ends, and why."""

    run_id: str
    reason: str


def doomed(tx: Transaction, changes: Iterable[Change], /) -> list[Doomed]:
    """The runs that these changes end, each held until commit, newest first.

    Call it before the serial is held: work is held before definitions, by everybody.
    """
    found = [each for change in changes if change.uid for each in _doomed_by(tx, change)]
    slots.hold_of(tx, runs=[each.run_id for each in found])
    found.sort(reverse=True)  # the newest first, so that no slot is handed to a run that is about to end
    for each in found:
        runs.hold_one(tx, each.run_id)
    return found


def end(tx: Transaction, found: Iterable[Doomed], *, actor: str, programs: Programs, now: int) -> int:
    """End these runs; how many were still under way."""
    count = 0
    for each in found:
        run = hold_run(tx, each.run_id)
        count += stop_run(tx, run, Ending(stop_of(run), actor, each.reason), programs=programs, now=now)
    return count


def tell_stalled(database: Database, *, now: int) -> list[str]:
    """Say `Stalled` of deleted automations whose runs outlast their `drainTimeout`; the ids of those that newly are."""
    with database.read() as tx:
        draining = automations.draining(tx)
    if not draining:
        return []
    stalled = []
    with database.write() as tx:
        for row in automations.draining(tx):
            left = runs.under_way(tx, row["uid"])
            late = bool(left) and _due_at(row) <= now
            held = decode(row["conditions_json"])
            if not late and held.get("Stalled", {}).get("reason") != "DrainTimeout":
                continue
            message = (
                f"{len(left)} runs go on though it was deleted; see: automations runs list --automation {row['id']}"
            )
            condition = Condition("Stalled", "True", "DrainTimeout", message) if late else _drained()
            after = updated(held, [condition], now=now)
            if differ(held, after):
                kept = {"uid": row["uid"], "conditions": encode(after), "observed": row["observed_generation"]}
                automations.set_conditions(tx, [kept])
                stalled += [row["id"]] if late else []
    return stalled


def _due_at(row: Row) -> int:
    """When the runs of an automation should be over (microseconds); never where it is not deleted, or nothing is said."""
    bound = decode(row["spec_json"]).get("lifecycle", {}).get("drainTimeout")
    never = 1 << 62
    return never if bound is None or row["deleted_at"] is None else row["deleted_at"] + parse_duration(bound)


def _drained() -> Condition:
    return Condition("Stalled", "False", "Drained")


def _doomed_by(tx: Transaction, change: Change) -> list[Doomed]:
    word = word_of(change.action, changed=bool(change.fields))
    if word is None or change.resource != "automation" or change.uid is None:
        return []
    held = automations.get(tx, change.previous_id or change.id)
    policy = policy_of(word, decode(held["spec_json"]) if held else {})
    if not any(ends(policy, begun=begun) for begun in (True, False)):
        return []
    what = "deleted" if change.action == "delete" else "changed"
    reason = f"automation {change.id} was {what} ({word}: {policy})"
    live = runs.under_way(tx, change.uid)
    return [Doomed(row["id"], reason) for row in live if not row["ending"] and ends(policy, begun=bool(row["begun"]))]
