"""`queue claim`, `heartbeat`, `complete`, `fail`, `release`, …: the protocol that runners on any machine speak."""

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli import approvals, cancel
from automations.cli.action_card import card, state_of
from automations.cli.approvals import ACTION, REASON
from automations.cli.command import Command, Option
from automations.cli.cursor import given_cursor
from automations.errors import InvalidInput, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from automations.cli.context import Context
    from automations.services.run.queue import Claim
    from automations.store.database import Row

RUNNER = Option("--runner", "The runner's name (default: cli:<pid>).")
FENCE = Option("--fence", "The fence that the claim was given.", "number")
LEASE_MS = Option("--lease-ms", "How long the lease holds, in milliseconds.", "number", 30_000)
LONGEST_LEASE_MS = 24 * 3600 * 1000
LONGEST_WAIT = 3600
MOST_CLAIMED = 1000
POLL = 0.25
"""Seconds between two looks at an empty queue, with --wait."""


def run_claim(context: "Context", given: Mapping[str, Any]) -> int:
    """Lease the next action, or print null; with --limit, a list."""
    from automations.services.run.queue import Claim, pattern, records
    from automations.store.actions import Which

    limit, wait = given["limit"], given["wait"]
    if limit is not None and not 1 <= limit <= MOST_CLAIMED:
        raise UsageError(f"--limit takes 1 to {MOST_CLAIMED}, not {limit}")
    if not 0 <= wait <= LONGEST_WAIT:
        raise UsageError(f"--wait takes 0 to {LONGEST_WAIT}, not {wait}")
    which = Which(only=tuple(map(pattern, given["action"])))
    claim = Claim(_runner(given), limit=limit or 1, lease=_lease(given), which=which)
    found = records(_claimed(context, claim, seconds=wait))
    context.document(found if limit is not None else found[0] if found else None)
    return 0


def _claimed(context: "Context", claim: "Claim", *, seconds: int) -> "list[Row]":
    """Claim at once, or within so many seconds of looking again and again."""
    from automations.core.instant import SECOND

    until = context.clock.now() + seconds * SECOND
    while True:
        rows = context.runtime.queue.claim(claim)
        left = (until - context.clock.now()) / SECOND
        if rows or left <= 0:
            return rows
        time.sleep(min(POLL, left))


def run_heartbeat(context: "Context", given: Mapping[str, Any]) -> int:
    """Prolong a lease."""
    from automations.core.record import action_record
    from automations.core.run.queue import Holder

    holder = Holder(_runner(given), given["fence"])
    row = context.runtime.queue.keep(given["id"], holder, lease=_lease(given))
    context.document(action_record(row))
    return 0


def run_release(context: "Context", given: Mapping[str, Any]) -> int:
    """Give a claim back; it spends no attempt."""
    from automations.core.record import action_record
    from automations.core.run.queue import Holder

    row = context.runtime.queue.give_back(given["id"], Holder(_runner(given), given["fence"]))
    context.document(action_record(row))
    return 0


def run_complete(context: "Context", given: Mapping[str, Any]) -> int:
    """Report success."""
    from automations.core.record import action_record
    from automations.core.run.queue import Holder
    from automations.services.run.queue import Done

    result = None if given["result_json"] is None else _json_object(given["result_json"], "--result-json")
    row = context.runtime.queue.complete(Done(given["id"], Holder(_runner(given), given["fence"]), result))
    context.document(action_record(row))
    return 0


def run_fail(context: "Context", given: Mapping[str, Any]) -> int:
    """Report failure: retried later, or dead."""
    from automations.core.instant import MILLISECOND
    from automations.core.record import action_record
    from automations.core.run.queue import Failure, Holder
    from automations.services.run.queue import Undone

    retryable = given["retryable"]
    if retryable not in ("true", "false"):
        raise UsageError(f"--retryable takes true or false, not {retryable!r}")
    backoff = given["retry_backoff_ms"]
    if backoff is not None and not 0 <= backoff <= LONGEST_LEASE_MS:
        raise UsageError(f"--retry-backoff-ms takes 0 to {LONGEST_LEASE_MS}, not {backoff}")
    failure = Failure(
        given["code"], given["message"], retryable == "true", backoff=None if backoff is None else backoff * MILLISECOND
    )
    row = context.runtime.queue.fail(Undone(given["id"], Holder(_runner(given), given["fence"]), failure))
    context.document(action_record(row))
    return 0


def run_list(context: "Context", given: Mapping[str, Any]) -> int:
    """Actions that are not over, oldest first, a page at a time."""
    from automations.core.run.states import ActionStatus

    limit, status = given["limit"], given["status"]
    if not 1 <= limit <= MOST_CLAIMED:
        raise UsageError(f"--limit takes 1 to {MOST_CLAIMED}, not {limit}")
    if status not in (None, *ActionStatus):
        raise UsageError(f"no action has the status {status}", hint=f"one of: {', '.join(ActionStatus)}")
    after = given_cursor(context, given, "action")
    records = context.runtime.inspect.actions(status=status, after=after, limit=limit)
    if context.json:
        context.document(records)
    elif records:
        context.say(actions_table(records))
    else:
        context.say("no such actions" if status or given["cursor"] else "nothing waits")
    if len(records) == limit and not context.json:
        chosen = f" --status {status}" if status else ""
        context.note(f"more: automations queue list{chosen} --limit {limit} --cursor {records[-1]['id']}")
    return 0


def actions_table(records: "Iterable[Mapping[str, Any]]") -> str:
    """Actions for a person."""
    from automations.cli.table import table

    rows = [
        (each["id"], each["invocation"]["automationId"], each["stepId"], each["actionId"], _state(each))
        for each in records
    ]
    return table(("ACTION", "AUTOMATION", "STEP", "DOES", "STATE"), rows)


def _state(record: Mapping[str, Any]) -> str:
    state = state_of(record)
    return f"{state} by {record['claimedBy']}" if state == "claimed" else state


def run_show(context: "Context", given: Mapping[str, Any]) -> int:
    """One action, with its ended attempts."""
    record = context.runtime.inspect.action(context.runtime.short_ids.action(given["id"]))
    if context.json:
        context.document(record)
    else:
        context.say("\n".join(card(record)))
    return 0


def _lease(given: Mapping[str, Any]) -> int:
    from automations.core.instant import MILLISECOND

    lease = int(given["lease_ms"])
    if not 1 <= lease <= LONGEST_LEASE_MS:
        raise UsageError(f"--lease-ms takes 1 to {LONGEST_LEASE_MS}, not {lease}")
    return lease * MILLISECOND


def _runner(given: Mapping[str, Any]) -> str:
    if given["runner"] == "":
        raise UsageError("--runner requires a value", hint="such as: --runner build-host-1")
    return given["runner"] or f"cli:{os.getpid()}"


def _json_object(text: str, option: str) -> dict[str, Any]:
    from automations.core.strict_json import parse

    try:
        value = parse(text)
    except InvalidInput as problem:
        raise InvalidInput(f"{option}: {problem.message}", hint=problem.hint, code="malformed_json") from problem
    if not isinstance(value, dict):
        raise InvalidInput(
            f"{option} must be a JSON object", hint='such as: {"output": {"n": 1}}', code="malformed_json"
        )
    return value


COMMANDS = (
    Command(
        ("queue", "claim"),
        "Lease the next action (JSON, or null).",
        run_claim,
        options=(
            RUNNER,
            Option("--limit", "Lease up to this many and print a list.", "number"),
            LEASE_MS,
            Option(
                "--action", "Only actions of this id, or of ids like todos.* (one * stands for anything).", many=True
            ),
            Option("--wait", "Seconds to wait for one.", "number", 0),
        ),
        quick=True,
    ),
    Command(
        ("queue", "heartbeat"),
        "Prolong the lease of an action.",
        run_heartbeat,
        arguments=(ACTION,),
        options=(RUNNER, FENCE, LEASE_MS),
        quick=True,
    ),
    Command(
        ("queue", "complete"),
        "Report that an action succeeded.",
        run_complete,
        arguments=(ACTION,),
        options=(
            RUNNER,
            Option("--result-json", "What it did, as a JSON object."),
            FENCE,
        ),
        quick=True,
    ),
    Command(
        ("queue", "fail"),
        "Report that an action failed.",
        run_fail,
        arguments=(ACTION,),
        options=(
            RUNNER,
            Option("--code", "A stable word for what went wrong.", default="ACTION_FAILED"),
            Option("--message", "What went wrong.", default="Action failed"),
            Option("--retryable", "true, or false to give up at once.", default="true"),
            Option("--retry-backoff-ms", "Wait this long instead of the policy's time.", "number"),
            FENCE,
        ),
        quick=True,
    ),
    Command(
        ("queue", "release"),
        "Give an action back without spending an attempt.",
        run_release,
        arguments=(ACTION,),
        options=(RUNNER, FENCE),
        quick=True,
    ),
    Command(
        ("queue", "list"),
        "List actions that are not over, oldest first.",
        run_list,
        options=(
            Option("--status", "Only those of this status, over or not."),
            Option("--limit", "How many.", "number", 50),
            Option("--cursor", "Only actions after this one; printed under a full page."),
        ),
        quick=True,
    ),
    Command(("queue", "show"), "Show one action and its attempts.", run_show, arguments=(ACTION,), quick=True),
    Command(
        ("queue", "approve"),
        "Approve an action that waits for it.",
        approvals.run_approve,
        arguments=(ACTION,),
        quick=True,
    ),
    Command(
        ("queue", "reject"),
        "Reject an action that waits for approval; it will never run.",
        approvals.run_reject,
        arguments=(ACTION,),
        options=(REASON,),
        quick=True,
    ),
    cancel.ACTION,
)
