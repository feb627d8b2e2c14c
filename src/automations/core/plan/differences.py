"""Differences: each declaration against what the state holds of it becomes a change, or nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from automations.core.diagnostic import Diagnostic, Severity
from automations.core.plan.change import Action, Change
from automations.core.plan.comparison import Comparison, compared
from automations.core.plan.conflicts import renamed
from automations.core.plan.diff import ABSENT, Field, diff
from automations.core.plan.effects import Effects, effects_of, effects_of_delete
from automations.core.plan.policy import Word, policy_of, word_of
from automations.core.plan.state import Held, HeldManifest, HeldRoute, InFlight, State
from automations.core.plan.trigger_hazards import is_destructive
from automations.core.spec import build
from automations.core.spec.catalogue import Catalogue, Declared
from automations.core.spec.document import Document
from automations.core.spec.model import Automation, Manifest
from automations.core.spec.positions import marks
from automations.core.spec.remembered import whole


@dataclass(frozen=True, slots=True)
class Viewpoint:
    """What declarations are held against: the state, whose they are, and what time it is (microseconds, if anybody asks)."""

    state: State
    owner: str
    now: int | None
    routes: Mapping[str, tuple[HeldRoute, ...]]
    """Routes by automation id."""

    def routes_of(self, identity: str, owners: frozenset[str]) -> frozenset[str]:
        """Paths that these owners' specs bound for an automation."""
        mine = self.routes.get(identity, ())
        return frozenset(route.path for route in mine if route.declared and route.owner in owners)

    def every_route_of(self, identity: str) -> frozenset[str]:
        """All paths of an automation, those made by hand among them."""
        return frozenset(route.path for route in self.routes.get(identity, ()))


def viewpoint(state: State, owner: str, *, now: int | None) -> Viewpoint:
    """The viewpoint, with the routes put where they are found without looking at all of them."""
    routes: dict[str, list[HeldRoute]] = {}
    for route in state.routes.values():
        routes.setdefault(route.automation_id, []).append(route)
    return Viewpoint(state, owner, now, {identity: tuple(found) for identity, found in routes.items()})


def automation_change(declared: Declared[Automation], view: Viewpoint) -> Change | None:
    """What becomes of one declared automation; None when it is bound as it stands."""
    automation, state, owner = declared.value, view.state, view.owner
    held = state.automations.get(automation.id)
    if held is not None and stands(held, declared, owner=owner):
        return None
    previous = renamed(declared, state, owner=owner)
    if previous is not None:
        return _update("rename", declared, held=previous, view=view)
    if held is None or (held.deleted and held.owner != owner):
        return _create(declared, held, view)
    if held.deleted:
        return _update("create", declared, held=held, view=view)
    if held.owner != owner:
        return _update("adopt", declared, held=held, view=view)
    return _update("update" if held.digest != automation.digest else "move", declared, held=held, view=view)


def stands(held: Held, declared: Declared[Automation], *, owner: str) -> bool:
    """Whether one that says the same lives where it is declared."""
    same = held.digest == declared.value.digest and held.file == declared.document.file
    return same and held.owner == owner and not held.deleted


def _create(declared: Declared[Automation], held: Held | None, view: Viewpoint) -> Change:
    automation = whole(declared.value)
    pair = Comparison(automation.id, None, automation)
    return Change(
        id=automation.id,
        resource="automation",
        action="create",
        reason="new",
        file=declared.document.file,
        line=declared.line(("id",)),
        automation=automation,
        uid=held.uid if held else None,
        based_on=held.generation if held else 0,
        in_flight=view.state.in_flight.get(held.id, InFlight()) if held else InFlight(),
        effects=effects_of(pair, held_routes=frozenset(), now=view.now),
        source=declared.document.source,
    )


def _update(action: Action, declared: Declared[Automation], *, held: Held, view: Viewpoint) -> Change:
    automation, state, file = whole(declared.value), view.state, declared.document.file
    changed = held.digest != automation.digest
    old = state.specs.get(held.id)
    found = diff(old or {}, automation.spec) if changed else ()
    fields = _placed(found, declared.document)
    before = _old_document(old, state.texts.get(held.id), held.file) if changed else None
    before_lines = tuple(_old_line(each, before) for each in found)
    counts = state.in_flight.get(held.id, InFlight())
    effects, destructive = Effects(), False
    if changed or action in ("create", "rename", "adopt"):
        pair = compared(automation, old if changed else automation.spec, counts)
        effects = _effects(pair, word_of(action, changed=bool(found)), held=held, view=view)
        destructive = not held.deleted and is_destructive(pair.before, automation)
    reasons = {
        "rename": f"renamed from {held.id}",
        "create": "declared again; it keeps its history",
        "adopt": f"taken over from {held.owner}" + (f"; {_because(fields)}" if fields else ""),
        "move": f"file moved from {held.file}",
        "update": _because(fields),
    }
    return Change(
        id=automation.id,
        resource="automation",
        action=action,
        reason=reasons[action],
        file=file,
        line=fields[0][1] if fields and action == "update" else declared.line(("id",)),
        fields=fields,
        previous_file=held.file if held.file != file else None,
        previous_id=held.id if held.id != automation.id else None,
        previous_owner=held.owner if action == "adopt" else None,
        uid=held.uid,
        based_on=held.generation,
        in_flight=counts,
        automation=automation,
        before_file=held.file,
        before_line=before_lines[0] if before_lines and action == "update" else _line(before, ("id",)),
        before_lines=before_lines,
        effects=effects,
        destructive=destructive,
        source=declared.document.source,
    )


def _effects(pair: Comparison, word: Word | None, *, held: Held, view: Viewpoint) -> Effects:
    routes = frozenset[str]() if held.deleted else view.routes_of(held.id, frozenset({held.owner, view.owner}))
    policy = policy_of(word, pair.before.spec if pair.before else {})
    return effects_of(pair, held_routes=routes, policy=policy, now=view.now)


def moved_only(change: Change, state: State) -> Iterator[Change]:
    """Of an update that brings back what was rejected, what needs nobody's word: its file is another one now."""
    held, old = state.automations.get(change.id), state.specs.get(change.id)
    if change.action != "update" or change.previous_file is None or held is None or old is None:
        return
    bound = build.automation(old)
    if bound.digest == held.digest:
        yield replace(
            change,
            action="move",
            reason=f"file moved from {held.file}",
            fields=(),
            before_lines=(),
            automation=bound,
            effects=Effects(),
            destructive=False,
            source=None,
        )


def _placed(found: tuple[Field, ...], document: Document) -> tuple[tuple[Field, int], ...]:
    return tuple((each, document.at(each.path[:-1] if each.after is ABSENT else each.path).line) for each in found)


def _old_document(value: Any, text: str | None, file: str | None) -> Document | None:
    if text is None:
        return None
    name = file or "before"
    return Document(name, value, partial(marks, text.encode(), name))


def _old_line(each: Field, document: Document | None) -> int | None:
    return None if each.before is ABSENT else _line(document, each.before_path)


def _line(document: Document | None, path: tuple[str | int, ...]) -> int | None:
    return None if document is None else document.at(path).line


def _because(fields: tuple[tuple[Field, int], ...]) -> str:
    if not fields:
        return "spec changed"
    first = fields[0][0]
    what = "added" if first.before is ABSENT else "removed" if first.after is ABSENT else "changed"
    more = f" and {len(fields) - 1} more" if len(fields) > 1 else ""
    return f"{first.label} {what}{more}"


def manifest_changes(catalogue: Catalogue, view: Viewpoint) -> Iterator[Change | Diagnostic | None]:
    """What becomes of every declared action manifest; None for each that stands as it is."""
    for key, declared in sorted(catalogue.manifests.items()):
        held = view.state.manifests.get(key)
        if held and held.owner != view.owner:
            manifest = declared.value
            message = f"action {manifest.id} version {manifest.version} is owned by {held.owner}"
            span = declared.document.at(("id",))
            yield Diagnostic(
                "plan/owned-elsewhere", Severity.ERROR, message, span, ("id",), "use another version or id"
            )
        else:
            yield _manifest(declared, held, view.state.manifest_documents.get(key))


def _manifest(declared: Declared[Manifest], held: HeldManifest | None, old: Mapping[str, Any] | None) -> Change | None:
    if held is not None and held.digest == declared.value.digest and held.file == declared.document.file:
        return None
    manifest, file, line = whole(declared.value), declared.document.file, declared.line(("id",))
    name = f"{manifest.id}@{manifest.version}"
    if held is None:
        return Change(name, "action", "create", "new", file, line, manifest=manifest)
    moved = held.file if held.file != file else None
    if held.digest != manifest.digest:
        fields = _placed(diff(old, manifest.document), declared.document) if old is not None else ()
        reason = _because(fields) if fields else "manifest changed"
        line = fields[0][1] if fields else line
        return Change(
            name, "action", "update", reason, file, line, fields, moved, manifest=manifest, before_file=held.file
        )
    reason = f"file moved from {held.file}"
    return Change(name, "action", "move", reason, file, line, previous_file=moved, manifest=manifest)


def deletes(catalogue: Catalogue, view: Viewpoint, *, renamed: frozenset[str | None]) -> Iterator[Change]:
    """What is ours and declared nowhere. What a bad file may have meant counts as present; see the catalogue."""
    for held in gone(catalogue, view.state, owner=view.owner):
        if held.id not in renamed:
            yield _delete(held, catalogue, view)
    for key, held_manifest in sorted(view.state.manifests.items()):
        foreign = held_manifest.owner != view.owner
        if foreign or key in catalogue.manifests or held_manifest.file in catalogue.bad_files:
            continue
        name = f"{held_manifest.action_id}@{held_manifest.version}"
        yield Change(name, "action", "delete", f"file removed: {held_manifest.file}", held_manifest.file, 1)


def gone(catalogue: Catalogue, state: State, *, owner: str) -> Iterator[Held]:
    """The automations of an owner that no file declares, renamed ones among them."""
    absent = state.automations.keys() - catalogue.automations.keys() - catalogue.claimed.keys()
    for identity in sorted(absent):
        held = state.automations[identity]
        if held.owner == owner and not held.deleted and held.file not in catalogue.bad_files:
            yield held


def _delete(held: Held, catalogue: Catalogue, view: Viewpoint) -> Change:
    spec = view.state.specs.get(held.id)
    before = build.automation(spec) if spec else None
    document = _old_document(spec, view.state.texts.get(held.id), held.file)
    routes = view.every_route_of(held.id)
    return Change(
        id=held.id,
        resource="automation",
        action="delete",
        reason=f"file removed: {held.file}" if held.file not in catalogue.digests else f"no longer in {held.file}",
        file=held.file,
        line=_line(document, ("id",)) or 1,
        uid=held.uid,
        based_on=held.generation,
        in_flight=view.state.in_flight.get(held.id, InFlight()),
        before_file=held.file,
        before_line=_line(document, ("id",)),
        effects=effects_of_delete(before, held_routes=routes, now=view.now),
        destructive=True,
    )
