"""The plan: what applying a catalogue to a state would do. One pure function; CI, the command line and the loop share it.

A plan is a value: it says what changes, why, where it is written, and what that does to work in flight. It never says how; the
apply service turns each change into rows, in one transaction, and only if the state is still the one planned against.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from automations.core.diagnostic import Diagnostic, Severity, has_errors, in_order
from automations.core.plan.conflicts import (
    Rebinding,
    owned_elsewhere,
    protected,
    rename_problems,
    renamed,
    route_problems,
)
from automations.core.plan.diff import ABSENT, Field, diff
from automations.core.plan.hazards import Hazard, hazards_of, signature_hazards
from automations.core.plan.state import Held, InFlight, State, source_owner
from automations.core.spec.catalogue import Catalogue, Declared
from automations.core.spec.model import Automation, Manifest

Action = Literal["create", "update", "rename", "move", "adopt", "delete"]
ACTIONS: tuple[Action, ...] = ("create", "update", "rename", "move", "adopt", "delete")
Resource = Literal["automation", "action"]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that applying would do.

    `file` and `line` (from 1) are where the new text stands, for a delete where the old one stood. `based_on` is the
    generation judged (0 for what is new); `uid` is None for what is new.
    """

    id: str
    resource: Resource
    action: Action
    reason: str
    file: str | None
    line: int
    fields: tuple[tuple[Field, int], ...] = ()
    previous_file: str | None = None
    previous_id: str | None = None
    previous_owner: str | None = None
    uid: str | None = None
    based_on: int = 0
    in_flight: InFlight = field(default_factory=InFlight)
    automation: Automation | None = None
    manifest: Manifest | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What would change, against exactly which state.

    `withheld` are deletes that would follow if the request allowed them and no bad file might hold what seems to be gone.
    """

    lineage: str
    serial: int
    source: str
    source_revision: str | None
    files: Mapping[str, str]
    changes: tuple[Change, ...]
    unchanged: int
    hazards: tuple[Hazard, ...]
    diagnostics: tuple[Diagnostic, ...]
    withheld: tuple[Change, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing declared is an error; an unsound plan is shown but, in one-shot use, never applied."""
        return not has_errors(self.diagnostics)

    def summary(self) -> dict[str, int]:
        """`{create, update, rename, move, adopt, delete, unchanged}`."""
        counts: dict[str, int] = {action: sum(change.action == action for change in self.changes) for action in ACTIONS}
        return {**counts, "unchanged": self.unchanged}


@dataclass(frozen=True, slots=True)
class Request:
    """Whose plan is made: the source's name, its revision if known, and ids to take over from other owners.

    Without `prune` nothing is deleted: what is gone from the files is listed as withheld.
    """

    source: str
    revision: str | None = None
    adopt: frozenset[str] = frozenset()
    prune: bool = True


def changed_ids(catalogue: Catalogue, state: State) -> frozenset[str]:
    """Ids whose old spec `make_plan` wants to see in `state.specs`."""
    found = set()
    for identity, declared in catalogue.automations.items():
        held = state.automations.get(identity)
        if held is None and declared.value.renamed_from:
            held = state.automations.get(declared.value.renamed_from)
        if held is not None and held.digest != declared.value.digest:
            found.add(held.id)
    return frozenset(found)


def make_plan(catalogue: Catalogue, state: State, request: Request) -> Plan:
    """Desired against held. Pure; the same arguments give the same plan."""
    owner = source_owner(request.source)
    problems = rename_problems(catalogue, state, owner=owner)
    changes: list[Change] = []
    found = list(problems.values())
    unchanged = 0
    for identity, declared in sorted(catalogue.automations.items()):
        held = state.automations.get(identity)
        foreign = owned_elsewhere(declared, held, owner=owner, source=request.source)
        if foreign is not None and identity not in request.adopt:
            found.append(foreign)
        elif identity not in problems:
            change = _automation(identity, declared, state=state, owner=owner)
            unchanged += change is None
            changes.extend([change] if change else [])
    for action_change in _manifests(catalogue, state, owner=owner):
        if isinstance(action_change, Diagnostic):
            found.append(action_change)
        else:
            unchanged += action_change is None
            changes.extend([action_change] if action_change else [])
    # A rename that cannot be still says that the old id is not gone.
    renames = frozenset(change.previous_id for change in changes if change.action == "rename")
    renames |= {catalogue.automations[identity].value.renamed_from for identity in problems}
    gone, kept = _gone(catalogue, state, owner=owner, renamed=renames)
    found.extend(kept)
    prune = request.prune and not _mysterious(catalogue, state, owner=owner)
    taken = route_problems(_rebindings((*changes, *(gone if prune else ())), catalogue, owner=owner), state)
    changes = [change for change in changes if change.resource == "action" or change.id not in taken]
    found.extend(each for listed in taken.values() for each in listed)
    deletes = tuple(each.id for each in gone if prune and each.resource == "automation")
    owned = sum(1 for held in state.automations.values() if held.owner == owner and not held.deleted)
    return Plan(
        lineage=state.lineage,
        serial=state.serial,
        source=request.source,
        source_revision=request.revision,
        files=catalogue.digests,
        changes=(*changes, *(gone if prune else ())),
        unchanged=unchanged,
        hazards=(*hazards_of(deletes=deletes, owned=owned), *_signature_hazards(changes, state)),
        diagnostics=in_order((*catalogue.diagnostics, *found)),
        withheld=() if prune else gone,
    )


def _gone(
    catalogue: Catalogue, state: State, *, owner: str, renamed: frozenset[str | None]
) -> tuple[tuple[Change, ...], tuple[Diagnostic, ...]]:
    """The deletes that the files ask for, and a finding for each that is protected instead."""
    asked = tuple(_deletes(catalogue, state, owner=owner, renamed=renamed))
    kept = {each.id for each in asked if each.resource == "automation" and state.automations[each.id].protected}
    deletes = tuple(each for each in asked if each.resource == "action" or each.id not in kept)
    return deletes, tuple(protected(state.automations[identity]) for identity in sorted(kept))


def _signature_hazards(changes: Iterable[Change], state: State) -> Iterator[Hazard]:
    for change in changes:
        if change.automation is not None and (change.fields or change.action == "create"):
            yield from signature_hazards(change.automation, state.specs.get(change.previous_id or change.id))


def _mysterious(catalogue: Catalogue, state: State, *, owner: str) -> bool:
    """Whether some bad file may hold anything: nobody can read what it declares, and nothing of ours came from it."""
    known = {held.file for held in state.automations.values() if held.owner == owner and not held.deleted}
    known |= {held.file for held in state.manifests.values() if held.owner == owner}
    return not catalogue.unidentified <= known


def _rebindings(changes: Iterable[Change], catalogue: Catalogue, *, owner: str) -> Iterator[Rebinding]:
    for change in changes:
        if change.resource == "automation" and change.action != "move":
            owners = frozenset({owner, change.previous_owner or owner})
            declared = None if change.action == "delete" else catalogue.automations[change.id]
            yield Rebinding(change.id, change.previous_id or change.id, owners, declared)


def _automation(identity: str, declared: Declared[Automation], *, state: State, owner: str) -> Change | None:
    automation, file = declared.value, declared.document.file
    held = state.automations.get(identity)
    previous = renamed(declared, state, owner=owner)
    if previous is not None:
        return _update("rename", declared, held=previous, state=state)
    if held is None or (held.deleted and held.owner != owner):
        return Change(
            id=identity,
            resource="automation",
            action="create",
            reason="new",
            file=file,
            line=declared.line(("id",)),
            automation=automation,
            uid=held.uid if held else None,
            based_on=held.generation if held else 0,
        )
    if held.deleted:
        return _update("create", declared, held=held, state=state)
    if held.owner != owner:
        return _update("adopt", declared, held=held, state=state)
    if held.digest != automation.digest:
        return _update("update", declared, held=held, state=state)
    if held.file != file:
        return _update("move", declared, held=held, state=state)
    return None


def _update(action: Action, declared: Declared[Automation], *, held: Held, state: State) -> Change:
    automation = declared.value
    fields: tuple[tuple[Field, int], ...] = ()
    if held.digest != automation.digest:
        found = diff(state.specs.get(held.id, {}), automation.spec)
        fields = tuple((each, declared.line(each.path[:-1] if each.after is ABSENT else each.path)) for each in found)
    reasons = {
        "rename": f"renamed from {held.id}",
        "create": "declared again; it keeps its history",
        "adopt": f"taken over from {held.owner}",
        "move": f"file moved from {held.file}",
        "update": _because(fields),
    }
    return Change(
        id=automation.id,
        resource="automation",
        action=action,
        reason=reasons[action],
        file=declared.document.file,
        line=fields[0][1] if fields and action == "update" else declared.line(("id",)),
        fields=fields,
        previous_file=held.file if held.file != declared.document.file else None,
        previous_id=held.id if held.id != automation.id else None,
        previous_owner=held.owner if action == "adopt" else None,
        uid=held.uid,
        based_on=held.generation,
        in_flight=state.in_flight.get(held.id, InFlight()),
        automation=automation,
    )


def _because(fields: tuple[tuple[Field, int], ...]) -> str:
    if not fields:
        return "spec changed"
    first = fields[0][0]
    what = "added" if first.before is ABSENT else "removed" if first.after is ABSENT else "changed"
    more = f" and {len(fields) - 1} more" if len(fields) > 1 else ""
    return f"{first.label} {what}{more}"


def _manifests(catalogue: Catalogue, state: State, *, owner: str) -> Iterator[Change | Diagnostic | None]:
    for key, declared in sorted(catalogue.manifests.items()):
        held = state.manifests.get(key)
        manifest, file, line = declared.value, declared.document.file, declared.line(("id",))
        name = f"{manifest.id}@{manifest.version}"
        if held and held.owner != owner:
            message = f"action {manifest.id} version {manifest.version} is owned by {held.owner}"
            span = declared.document.at(("id",))
            yield Diagnostic(
                "plan/owned-elsewhere", Severity.ERROR, message, span, ("id",), "use another version or id"
            )
        elif held is None:
            yield Change(name, "action", "create", "new", file, line, manifest=manifest)
        elif held.digest != manifest.digest:
            yield Change(name, "action", "update", "manifest changed", file, line, manifest=manifest)
        elif held.file != file:
            reason = f"file moved from {held.file}"
            yield Change(name, "action", "move", reason, file, line, previous_file=held.file, manifest=manifest)
        else:
            yield None


def _deletes(catalogue: Catalogue, state: State, *, owner: str, renamed: frozenset[str | None]) -> Iterator[Change]:
    """What is ours and declared nowhere. What a bad file may have meant counts as present; see the catalogue."""
    for identity, held in sorted(state.automations.items()):
        present = identity in catalogue.automations or identity in catalogue.claimed or identity in renamed
        if held.owner != owner or held.deleted or present or (held.file in catalogue.bad_files):
            continue
        yield Change(
            id=identity,
            resource="automation",
            action="delete",
            reason=f"file removed: {held.file}" if held.file not in catalogue.digests else f"no longer in {held.file}",
            file=held.file,
            line=1,
            uid=held.uid,
            based_on=held.generation,
            in_flight=state.in_flight.get(identity, InFlight()),
        )
    for key, held_manifest in sorted(state.manifests.items()):
        if held_manifest.owner != owner or key in catalogue.manifests or held_manifest.file in catalogue.bad_files:
            continue
        name = f"{held_manifest.action_id}@{held_manifest.version}"
        yield Change(name, "action", "delete", f"file removed: {held_manifest.file}", held_manifest.file, 1)


def with_specs(state: State, specs: Mapping[str, Mapping[str, Any]]) -> State:
    """The same state, knowing these old specs."""
    return State(
        lineage=state.lineage,
        serial=state.serial,
        automations=state.automations,
        manifests=state.manifests,
        routes=state.routes,
        specs=specs,
        in_flight=state.in_flight,
    )
