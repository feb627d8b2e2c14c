"""Effects: what a change does beside changing fields: routes, schedules, secrets, manifests of steps, work in flight."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from automations.core.instant import iso
from automations.core.plan.policy import ended, policy_of
from automations.core.plan.secrets import secrets_of
from automations.core.spec.model import AutomationStatus, TriggerKind

if TYPE_CHECKING:
    from automations.core.plan.comparison import Comparison
    from automations.core.plan.state import InFlight
    from automations.core.spec.model import Automation, Trigger

FIRES_SHOWN = 5
_THESE_STAY = "these stay there, to be replayed on the generation they"

Fire = tuple[str, str]
"""When a schedule fires: in UTC, and on the wall clock of its zone."""


@dataclass(frozen=True, slots=True)
class Fires:
    """A schedule that is new, changed or gone: when it would fire next, and would have."""

    trigger: str
    timezone: str
    before: tuple[Fire, ...]
    after: tuple[Fire, ...]


@dataclass(frozen=True, slots=True)
class Repin:
    """A step that takes another manifest with its automation's next run: from which version to which, None for none.

    Equal versions: the manifest itself changed. `owner` is whose the automation is where the plan's source is not its owner.
    """

    automation: str
    step: str
    action_id: str
    before: str | None
    after: str | None
    owner: str | None = None

    def document(self) -> dict[str, str]:
        """For the plan's JSON, without what is not there."""
        given = {"owner": self.owner, "before": self.before, "after": self.after}
        body = {"automation": self.automation, "step": self.step, "action": self.action_id}
        return body | {key: value for key, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Effects:
    """What a change does. `policy` is the word of `onUpdate` or `onDelete` that work in flight follows."""

    bound: tuple[str, ...] = ()
    unbound: tuple[str, ...] = ()
    fires: tuple[Fires, ...] = ()
    secrets: tuple[str, ...] = ()
    new_secrets: tuple[str, ...] = ()
    policy: str = "finish"
    repins: tuple[Repin, ...] = ()
    """Steps that take another manifest because of it, those of other automations among them."""

    def document(self) -> dict[str, Any]:
        """For the plan's JSON, without what is not there; when schedules fire depends on when one looks, so it is apart."""
        body: dict[str, Any] = {}
        if self.bound or self.unbound:
            body["routes"] = {"bound": list(self.bound), "unbound": list(self.unbound)}
        if self.secrets:
            body["secrets"] = list(self.secrets)
        if self.new_secrets:
            body["newSecrets"] = list(self.new_secrets)
        if self.repins:
            body["steps"] = [each.document() for each in self.repins]
        return body

    def schedules(self) -> list[dict[str, Any]]:
        """The fires, for the plan's JSON."""
        return [
            {
                "trigger": each.trigger,
                "timezone": each.timezone,
                "before": [{"nominalTime": utc, "localTime": local} for utc, local in each.before],
                "after": [{"nominalTime": utc, "localTime": local} for utc, local in each.after],
            }
            for each in self.fires
        ]


def effects_of(pair: Comparison, *, held_routes: frozenset[str], policy: str = "finish", now: int | None) -> Effects:
    """What binding `pair.after` does, where its routes were these until now. Without `now` nobody asks for fires."""
    wanted = frozenset(trigger.route.path for trigger in pair.after.triggers if trigger.route)
    secrets = secrets_of(pair.after.spec)
    old = secrets_of(pair.before.spec) if pair.before else frozenset()
    return Effects(
        bound=tuple(sorted(wanted - held_routes)),
        unbound=tuple(sorted(held_routes - wanted)),
        fires=_fires(pair.before, pair.after, now=now),
        secrets=tuple(sorted(secrets)),
        new_secrets=tuple(sorted(secrets - old)),
        policy=policy,
    )


def effects_of_delete(before: Automation | None, *, held_routes: frozenset[str], now: int | None) -> Effects:
    """What unbinding an automation does."""
    return Effects(
        unbound=tuple(sorted(held_routes)),
        fires=_fires(before, None, now=now),
        policy=policy_of("onDelete", before.spec if before else {}),
    )


def consequence(counts: InFlight, *, policy: str, deletes: bool) -> str:
    """What a change does to work in flight, in words; empty when there is none."""
    told = (_runs(counts, policy=policy, deletes=deletes), _letters(counts.dead), _waiting(counts, deletes=deletes))
    return "; ".join(part for part in told if part)


def _runs(counts: InFlight, *, policy: str, deletes: bool) -> str:
    """`1 run begun, 2 not begun (steps: 1 queued); 2 are cancelled (cancel-queued), 1 finishes on …`."""
    found = ((counts.begun, "begun"), (counts.not_begun, "not begun"), (counts.ending, "about to end"))
    parts = [f"{count} {word}" for count, word in found if count]
    if not parts:
        return ""
    number, word = parts[0].split(" ", 1)
    parts[0] = f"{_counted(int(number), 'run')} {word}"
    waiting = (
        (counts.queued, "queued"),
        (counts.retrying, "retrying"),
        (counts.waiting_approval, "waiting for approval"),
    )
    steps = [f"{count} {state}" for count, state in waiting if count]
    shown = f" (steps: {', '.join(steps)})" if steps else ""
    return f"{', '.join(parts)}{shown}; {_fate(counts.live, ended(counts, policy), policy=policy, deletes=deletes)}"


def _fate(live: int, cancelled: int, *, policy: str, deletes: bool) -> str:
    stay = live - cancelled
    finish = f"{'finishes' if stay == 1 else 'finish'} on the generation {'it' if stay == 1 else 'they'} started with"
    if not cancelled:
        return f"{'no new runs start; ' if deletes else ''}{'it' if stay == 1 else 'these'} {finish}"
    ends = f"{'is' if cancelled == 1 else 'are'} cancelled ({policy})"
    if not stay:
        return f"{'it' if live == 1 else 'all'} {ends}"
    return f"{cancelled} {ends}, {stay} {finish}"


def _letters(dead: int) -> str:
    """Dead letters are over: nothing finishes them but a replay, which goes by their run's own generation."""
    if not dead:
        return ""
    they = "it stays there, to be replayed on the generation it" if dead == 1 else _THESE_STAY
    return f"{dead} in the dead-letter queue: {they} started with"


def _waiting(counts: InFlight, *, deletes: bool) -> str:
    events = counts.waiting_events
    if not events:
        return ""
    shown = f"{events} {'event waits' if events == 1 else 'events wait'} for a debounce window or a rate limit"
    return f"{shown}: dropped (automation_deleted)" if deletes else f"{shown}: judged anew when due"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _fires(before: Automation | None, after: Automation | None, *, now: int | None) -> tuple[Fires, ...]:
    if now is None:
        return ()
    old, new = _schedules(before), _schedules(after)
    if not old and not new:
        return ()
    found = []
    for name in dict.fromkeys((*new, *old)):
        was, is_now = old.get(name), new.get(name)
        if was and is_now and _times(was) == _times(is_now):
            continue
        shown = is_now or was
        assert shown is not None  # noqa: S101  # the name came from one of the two
        found.append(Fires(name, shown.raw.get("timezone", "UTC"), _next(was, now), _next(is_now, now)))
    return tuple(found)


def _schedules(automation: Automation | None) -> dict[str, Trigger]:
    if automation is None or automation.status is not AutomationStatus.ACTIVE:
        return {}
    return {each.id: each for each in automation.triggers if each.kind is TriggerKind.SCHEDULE}


def _times(trigger: Trigger) -> tuple[Any, ...]:
    return tuple(trigger.raw.get(key) for key in ("cron", "schedule", "every", "timezone"))


def _next(trigger: Trigger | None, now: int) -> tuple[Fire, ...]:
    if trigger is None:
        return ()
    from automations.core.trigger.schedule import local_time, schedule_of, slots  # noqa: PLC0415  # 10 ms few plans need

    schedule = schedule_of(trigger.raw)
    return tuple((iso(nominal), local_time(schedule, nominal)) for nominal in islice(slots(schedule, now), FIRES_SHOWN))
