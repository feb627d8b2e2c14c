"""Heirs: which trigger of a new version carries on what one of the old version did, and which have none.

Ids alone do not tell: without one a trigger is called by its index, so that one put before it renames it, and what stands under
an old id may listen to something else altogether. A trigger has one heir at most, and one predecessor.
"""

from collections.abc import Callable, Iterator, Sequence

from automations.core.spec.model import Trigger, TriggerKind

Inheritance = tuple[tuple[Trigger | None, ...], tuple[Trigger, ...]]
"""For each new trigger its predecessor, and the old ones that nobody carries on."""


def inheritance(before: Sequence[Trigger], after: Sequence[Trigger]) -> Inheritance:
    """Matched by the surest sign first: an address, the same words, the same id, the same times or events."""
    found: dict[int, int] = {}
    left = dict(enumerate(before))
    for sign in (_address, _route_id, _words, _id, _occasion):
        for index, new in enumerate(after):
            if index not in found:
                heir = next((at for at, old in left.items() if old.kind is new.kind and sign(old, new)), None)
                if heir is not None:
                    found[index] = heir
                    del left[heir]
    predecessors = tuple(before[found[index]] if index in found else None for index in range(len(after)))
    return predecessors, tuple(left.values())


_Sign = Callable[[Trigger, Trigger], bool]


def _address(old: Trigger, new: Trigger) -> bool:
    return bool(old.route and new.route and old.route.path == new.route.path)


def _route_id(old: Trigger, new: Trigger) -> bool:
    return bool(old.route and new.route and old.route.id == new.route.id)


def _words(old: Trigger, new: Trigger) -> bool:
    return _said(old) == _said(new)


def _said(trigger: Trigger) -> dict[str, object]:
    return {key: value for key, value in trigger.raw.items() if key != "id"}


def _id(old: Trigger, new: Trigger) -> bool:
    return old.id == new.id and (old.kind is not TriggerKind.EVENT or _meet(old, new))


def _occasion(old: Trigger, new: Trigger) -> bool:
    """Whether both fire at one time or for one event; people and programs start it in one way only."""
    if old.kind is TriggerKind.SCHEDULE:
        return times(old) == times(new)
    return old.kind is not TriggerKind.WEBHOOK and _meet(old, new)


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
