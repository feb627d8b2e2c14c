"""Heirs: which trigger of a new version carries on what one of the old version did, and which have none.

Ids alone do not tell: without one a trigger is called by its index, so that one put before it renames it, and what stands under
an old id may listen to something else altogether. A trigger has one heir at most, and one predecessor.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

from automations.core.canonical import encode
from automations.core.spec.model import Trigger, TriggerKind

Inheritance = tuple[tuple[Trigger | None, ...], tuple[Trigger, ...]]
"""For each new trigger its predecessor, and the old ones that nobody carries on."""

_MOST_PAIRS = 10_000
"""How many pairs of event triggers are held against each other; beyond that none is said to carry on another."""


def inheritance(before: Sequence[Trigger], after: Sequence[Trigger]) -> Inheritance:
    """Matched by the surest sign first: an address, the same words, the same id, the same times or events."""
    found: dict[int, int] = {}
    left = dict(enumerate(before))
    for sign in (_address, _route_id, _words, _id, _occasion):
        found |= _alike(left, after, found, sign)
    found |= _meeting(left, after, found)
    predecessors = tuple(before[found[index]] if index in found else None for index in range(len(after)))
    return predecessors, tuple(left.values())


_Sign = Callable[[Trigger], Hashable]
"""What two triggers of one kind have in common; None where there is nothing of it."""


def _alike(left: dict[int, Trigger], after: Sequence[Trigger], found: Mapping[int, int], sign: _Sign) -> dict[int, int]:
    """New triggers to old ones, which are no longer left then."""
    if not left:
        return {}
    waiting: dict[Hashable, deque[int]] = defaultdict(deque)
    for at, old in left.items():
        waiting[old.kind, sign(old)].append(at)
    heirs = {}
    for index, new in enumerate(after):
        mine = sign(new) if index not in found else None
        queue = waiting.get((new.kind, mine)) if mine is not None else None
        if queue and (sign is not _id or new.kind is not TriggerKind.EVENT or _meet(left[queue[0]], new)):
            heirs[index] = queue.popleft()
            del left[heirs[index]]
    return heirs


def _meeting(left: dict[int, Trigger], after: Sequence[Trigger], found: Mapping[int, int]) -> dict[int, int]:
    """The same of those that one event may fire."""
    mine = [index for index, new in enumerate(after) if index not in found and new.kind is TriggerKind.EVENT]
    heirs = {}
    if len(mine) * len(left) <= _MOST_PAIRS:
        for index in mine:
            fitting = (at for at, old in left.items() if old.kind is TriggerKind.EVENT and _meet(old, after[index]))
            heir = next(fitting, None)
            if heir is not None:
                heirs[index] = heir
                del left[heir]
    return heirs


def _address(trigger: Trigger) -> Hashable:
    return trigger.route.path if trigger.route else None


def _route_id(trigger: Trigger) -> Hashable:
    return trigger.route.id if trigger.route else None


def _words(trigger: Trigger) -> Hashable:
    return encode({key: value for key, value in trigger.raw.items() if key != "id"})


def _id(trigger: Trigger) -> Hashable:
    return trigger.id


def _occasion(trigger: Trigger) -> Hashable:
    """When a schedule fires; people and programs start it in one way only."""
    if trigger.kind is TriggerKind.SCHEDULE:
        return times(trigger)
    return None if trigger.kind in (TriggerKind.WEBHOOK, TriggerKind.EVENT) else True


def times(trigger: Trigger) -> tuple[object, ...]:
    """What a schedule says of when it fires."""
    return tuple(trigger.raw.get(key) for key in ("cron", "schedule", "every", "timezone"))


def _meet(old: Trigger, new: Trigger) -> bool:
    """Whether one event may fit both."""
    pairs = ((old.sources, new.sources), (old.types, new.types), (old.subjects, new.subjects))
    return all(_overlap(*pair) for pair in pairs)


def _overlap(some: tuple[str, ...], others: tuple[str, ...]) -> bool:
    return not some or not others or any("*" in each for each in (*some, *others)) or not set(some).isdisjoint(others)


def called(triggers: Sequence[Trigger], *, most: int = 3) -> str:
    """Triggers in the words of a person, as many as are told."""
    words = list(_called(triggers[:most]))
    return ", ".join(words) + (f" and {len(triggers) - most} more" if len(triggers) > most else "")


def _called(triggers: Sequence[Trigger]) -> Iterator[str]:
    for each in triggers:
        if each.kind is TriggerKind.SCHEDULE:
            yield f"the schedule {when(each)}"
        elif each.route is not None:
            yield f"the webhook {each.route.path}"
        elif each.kind is TriggerKind.EVENT:
            events = " ".join("|".join(texts) for texts in (each.sources, each.types, each.subjects) if texts)
            yield f"the event {events}" if events else "any event"
        else:
            yield f"{each.kind} starts"


def when(trigger: Trigger) -> str:
    """When a schedule fires, as it is written."""
    return str(trigger.raw.get("cron") or trigger.raw.get("schedule") or trigger.raw.get("every"))
