"""Hazards of what starts an automation: triggers, routes, signatures, schedules, status."""

from collections.abc import Iterator
from dataclasses import dataclass

from automations.core.diagnostic import Path
from automations.core.plan.comparison import Comparison, starts_itself
from automations.core.plan.hazards import Hazard
from automations.core.plan.heirs import called, times, when
from automations.core.spec.model import Automation, AutomationStatus, Route, Signature, Trigger, TriggerKind

_STRONG_TO_WEAK = (
    "standard-webhooks",
    "stripe",
    "slack",
    "hmac-sha512",
    "hmac-sha256",
    "github",
    "hmac-sha1",
    "gitlab",
)
"""Presets and algorithms; only a change of the word counts, this is the order in which it would be a loss."""
_ANYTHING = frozenset({"*", "**"})


def is_destructive(before: Automation | None, after: Automation) -> bool:
    """Whether a change switches an automation off or takes its last trigger: it counts like a delete."""
    if before is None or before.status is not AutomationStatus.ACTIVE:
        return False
    return after.status is not AutomationStatus.ACTIVE or (starts_itself(before) and not starts_itself(after))


def trigger_hazards(pair: Comparison, *, signed_elsewhere: frozenset[str] = frozenset()) -> Iterator[Hazard]:
    """Every hazard of a changed or new automation's triggers, in their order.

    `signed_elsewhere` are paths that another automation had with a signature until now.
    """
    if pair.before is not None:
        yield from _status(pair.id, pair.before, pair.after)
        yield from _removed(pair, pair.before)
    proofs = _Proofs(pair)
    for path, trigger, was in pair.triggers():
        if trigger.route is not None:
            proof = proofs.of(trigger.route, was)
            if proof is None and trigger.route.signature is None and trigger.route.path in signed_elsewhere:
                message = f"{pair.id} takes {trigger.route.path} over without its signature: anybody may post there"
                yield Hazard("AU310", pair.id, message, (*path, "route"))
            else:
                yield from _route(pair, path, route=trigger.route, proof=proof)
        if was is not None:
            yield from _changed(pair.id, path, trigger=trigger, was=was)
    if pair.before is not None:
        yield from _schedules(pair.id, pair.before, pair.after)


def _status(identity: str, before: Automation, after: Automation) -> Iterator[Hazard]:
    if before.status is AutomationStatus.ACTIVE and after.status is not AutomationStatus.ACTIVE:
        yield Hazard("AU102", identity, f"{identity} becomes {after.status}: nothing starts it any more", ("status",))
    elif before.status is not AutomationStatus.ACTIVE and after.status is AutomationStatus.ACTIVE:
        yield Hazard("AU104", identity, f"{identity} was {before.status} and becomes active", ("status",))


def _removed(pair: Comparison, before: Automation) -> Iterator[Hazard]:
    identity, ended = pair.id, pair.ended()
    if starts_itself(before) and not starts_itself(pair.after):
        yield Hazard("AU101", identity, f"{identity} loses its last trigger: only people start it then", ("triggers",))
    elif ended:
        what = "a trigger" if len(ended) == 1 else f"{len(ended)} triggers"
        message = f"{identity} loses {what} of {len(before.triggers)}: {called(ended)}"
        yield Hazard("AU103", identity, message, ("triggers",))


@dataclass(frozen=True, slots=True)
class _Proof:
    """The signature that a request needed, and where that was."""

    path: str
    signature: Signature


class _Proofs:
    """What each route of a new version asked for before: under its path or id, or in the trigger that it belongs to.

    Where all of these are new, a signed route that ends is taken for what it was: who changes path and id and trigger at once
    still opens a door that was locked.
    """

    def __init__(self, pair: Comparison) -> None:
        routes = [trigger.route for trigger in pair.before.triggers if trigger.route] if pair.before else []
        self._held = {name: each for route in routes for each in _proof(route) for name in (route.id, route.path)}
        self._ended = [each for trigger in pair.ended() if trigger.route for each in _proof(trigger.route)]
        self._known = _names(pair.before) if pair.before else set()

    def of(self, route: Route, was: Trigger | None) -> _Proof | None:
        """What it asked for; None where anybody could post, or nobody."""
        found = self._held.get(route.path) or self._held.get(route.id)
        if found is None and was is not None and was.route is not None:
            found = next(_proof(was.route), None)
        elif found is None and not self._known & {route.path, route.id} and self._ended:
            found = self._ended.pop(0)
        return found


def _proof(route: Route) -> Iterator[_Proof]:
    if route.signature is not None:
        yield _Proof(route.path, route.signature)


def _route(pair: Comparison, path: Path, *, route: Route, proof: _Proof | None) -> Iterator[Hazard]:
    place = (*path, "route")
    if route.signature is None:
        if proof is not None:
            where = route.path if proof.path == route.path else f"{proof.path}, which becomes {route.path}"
            message = f"{pair.id} drops the signature of {where}: anybody may post there"
            yield Hazard("AU310", pair.id, message, place)
        elif pair.before is None or not _names(pair.before) & {route.path, route.id}:
            message = f"{pair.id} takes unsigned requests at {route.path}: anybody may post there"
            yield Hazard("AU311", pair.id, message, place)
    elif proof is not None:
        yield from _signature(pair.id, (*place, "signature"), now=route.signature, was=proof.signature)


def _names(automation: Automation) -> set[str]:
    """Paths and ids of its routes."""
    routes = [trigger.route for trigger in automation.triggers if trigger.route]
    return {name for route in routes for name in (route.path, route.id)}


def _signature(identity: str, path: Path, *, now: Signature, was: Signature) -> Iterator[Hazard]:
    if now.secret_ref != was.secret_ref:
        message = f"{identity} checks signatures with {now.secret_ref} instead of {was.secret_ref}"
        yield Hazard("AU312", identity, message, (*path, "secretRef"))
    if weaker := _weaker(now, was):
        yield Hazard("AU313", identity, f"{identity} weakens a signature: {weaker}", path)


def _weaker(now: Signature, was: Signature) -> str | None:
    scheme, old = now.preset or now.algorithm, was.preset or was.algorithm
    if scheme != old and _strength(scheme) < _strength(old):
        return f"{scheme} instead of {old}"
    if was.timestamp_header and not now.timestamp_header and not now.preset:
        return "no time stamp is checked any more"
    if was.tolerance_seconds is not None and (now.tolerance_seconds or was.tolerance_seconds) > was.tolerance_seconds:
        return f"a tolerance of {now.tolerance_seconds} s instead of {was.tolerance_seconds} s"
    if was.rejects_replays and not now.rejects_replays:
        return "repeated deliveries are not rejected any more"
    return None


def _strength(scheme: str) -> int:
    return -_STRONG_TO_WEAK.index(scheme) if scheme in _STRONG_TO_WEAK else 0


def _changed(identity: str, path: Path, *, trigger: Trigger, was: Trigger) -> Iterator[Hazard]:
    if trigger.route and was.route:
        if trigger.route.path != was.route.path:
            message = f"{identity} takes webhooks at {trigger.route.path} instead of {was.route.path}"
            yield Hazard("AU203", identity, message, (*path, "route", "path"))
        if what := _dedupe(trigger.route, was.route):
            message = f"{identity} tells deliveries apart by another {what}: a repeat across the change may run twice"
            yield Hazard("AU204", identity, message, (*path, "route"))
    for word in ("filter", "expr"):
        if was.raw.get(word) and not trigger.raw.get(word):
            message = f"{identity} drops the {word} of trigger {trigger.id}: it fires for more events"
            yield Hazard("AU207", identity, message, path)
    for word, now_texts, old_texts in (
        ("source", trigger.sources, was.sources),
        ("type", trigger.types, was.types),
        ("subject", trigger.subjects, was.subjects),
    ):
        if old_texts and not _ANYTHING & set(old_texts) and (not now_texts or _ANYTHING & set(now_texts)):
            message = f"{identity} takes any {word} at trigger {trigger.id}, no longer only {', '.join(old_texts)}"
            yield Hazard("AU207", identity, message, (*path, word))


def _dedupe(now: Route, was: Route) -> str | None:
    """The word for what identifies a delivery differently, or None."""
    for word in ("dedupe_key_path", "dedupe_key_header", "id_path"):
        if getattr(now.mapping, word) != getattr(was.mapping, word):
            return "dedupe key" if word.startswith("dedupe") else "id path"
    return "route id" if now.id != was.id else None


def _schedules(identity: str, before: Automation, after: Automation) -> Iterator[Hazard]:
    """A schedule whose trigger id went while another came with the same times, or whose zone is another."""
    old = {each.id: each for each in before.triggers if each.kind is TriggerKind.SCHEDULE}
    new = {each.id: (index, each) for index, each in enumerate(after.triggers) if each.kind is TriggerKind.SCHEDULE}
    for name, (index, trigger) in new.items():
        path: Path = ("triggers", index)
        was = old.get(name)
        if was is not None and times(was) != times(trigger):
            moved = next((each for each in old.values() if times(each) == times(trigger)), None)
            if moved is not None:
                message = f"{identity}: the schedule {when(trigger)} was trigger {moved.id} and becomes {name}"
                yield Hazard("AU205", identity, message, path)
            elif was.raw.get("timezone", "UTC") != trigger.raw.get("timezone", "UTC"):
                zones = f"{trigger.raw.get('timezone', 'UTC')} instead of {was.raw.get('timezone', 'UTC')}"
                yield Hazard("AU205", identity, f"{identity}: schedule {name} is read in {zones}", (*path, "timezone"))
        elif was is None:
            moved = next((each for each in old.values() if each.id not in new and times(each) == times(trigger)), None)
            if moved is not None:
                message = f"{identity}: the schedule {when(trigger)} was trigger {moved.id} and becomes {name}"
                yield Hazard("AU205", identity, message, path)
