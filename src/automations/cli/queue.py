"""`queue claim`, `complete`, `fail`, `approve`, `reject`: the protocol that runners on any machine speak."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.errors import InvalidInput, UsageError

if TYPE_CHECKING:
    from automations.cli.context import Context

ACTION = Argument("id", "An action id.")
RUNNER = Option("--runner", "The runner's name (default: cli:<pid>).")
LONGEST_LEASE_MS = 24 * 3600 * 1000
MOST_CLAIMED = 1000


def run_claim(context: "Context", given: Mapping[str, Any]) -> int:
    """Lease the next action, or print null; with --limit, a list."""
    from automations.core.instant import MILLISECOND
    from automations.services.queue import Claim, records

    limit, lease = given["limit"], given["lease_ms"]
    if limit is not None and not 1 <= limit <= MOST_CLAIMED:
        raise UsageError(f"--limit takes 1 to {MOST_CLAIMED}, not {limit}")
    if not 1 <= lease <= LONGEST_LEASE_MS:
        raise UsageError(f"--lease-ms takes 1 to {LONGEST_LEASE_MS}, not {lease}")
    claim = Claim(_runner(given), limit=limit or 1, lease=lease * MILLISECOND)
    found = records(context.runtime.queue.claim(claim))
    context.document(found if limit is not None else found[0] if found else None)
    return 0


def run_complete(context: "Context", given: Mapping[str, Any]) -> int:
    """Report success."""
    from automations.core.record import action_record
    from automations.core.run.queue import Holder
    from automations.services.queue import Done

    result = None if given["result_json"] is None else _json_object(given["result_json"], "--result-json")
    row = context.runtime.queue.complete(Done(given["id"], Holder(_runner(given), given["fence"]), result))
    context.document(action_record(row))
    return 0


def run_fail(context: "Context", given: Mapping[str, Any]) -> int:
    """Report failure: retried later, or dead."""
    from automations.core.instant import MILLISECOND
    from automations.core.record import action_record
    from automations.core.run.queue import Failure, Holder
    from automations.services.queue import Undone

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


def run_approve(context: "Context", given: Mapping[str, Any]) -> int:
    """Give one approval."""
    from automations.core.record import action_record

    context.document(action_record(context.runtime.operate.approve(given["id"], actor=context.settings.actor)))
    return 0


def run_reject(context: "Context", given: Mapping[str, Any]) -> int:
    """End a waiting action for good."""
    from automations.core.record import action_record

    row = context.runtime.operate.reject(given["id"], actor=context.settings.actor, reason=given["reason"])
    context.document(action_record(row))
    return 0


def _runner(given: Mapping[str, Any]) -> str:
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
            Option("--lease-ms", "How long the lease holds, in milliseconds.", "number", 30_000),
        ),
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
            Option("--fence", "The fence that the claim was given.", "number"),
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
            Option("--fence", "The fence that the claim was given.", "number"),
        ),
        quick=True,
    ),
    Command(
        ("queue", "approve"),
        "Approve an action that waits for it.",
        run_approve,
        arguments=(ACTION,),
        quick=True,
    ),
    Command(
        ("queue", "reject"),
        "Reject an action that waits for approval; it will never run.",
        run_reject,
        arguments=(ACTION,),
        options=(Option("--reason", "Why."),),
        quick=True,
    ),
)
