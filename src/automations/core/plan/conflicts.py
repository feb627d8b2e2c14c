"""Conflicts: what a source may not do, whatever its files say. Each is a finding at the place that asks for it.

A source changes only its own. A rename needs an old id that is gone from the files and a new one that nobody has or had. A
route's path and id stay with whoever has them until that one lets go in the same plan.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from automations.core.diagnostic import Diagnostic, Path, Severity, Span
from automations.core.instant import iso
from automations.core.plan.state import Held, HeldRoute, State
from automations.core.spec.catalogue import Catalogue, Declared
from automations.core.spec.model import Automation


@dataclass(frozen=True, slots=True)
class Rebinding:
    """A change of one automation's routes: it lets go of those of `previous_id`, and wants those of `declared`, if any.

    Without `declared` it is deleted, and lets go of those made by hand as well.
    """

    id: str
    previous_id: str
    owners: frozenset[str]
    declared: Declared[Automation] | None

    def lets_go_of(self, route: HeldRoute) -> bool:
        """Whether one of the routes of `previous_id` is unbound before any is bound."""
        return self.declared is None or (route.declared and route.owner in self.owners)


def owned_elsewhere(declared: Declared[Automation], state: State, *, owner: str, source: str) -> Diagnostic | None:
    """The finding when a live automation of this id has another owner, with the place where that one declares it."""
    held = state.automations.get(declared.value.id)
    if held is None or held.deleted or held.owner == owner:
        return None
    message = f"automation {held.id} is owned by {held.owner}{_declared_in(held, state)}"
    hint = f"rename yours, or take it over with: automations adopt {held.id} --source {source}"
    return Diagnostic("plan/owned-elsewhere", Severity.ERROR, message, declared.document.at(("id",)), ("id",), hint)


def _declared_in(held: Held | None, state: State) -> str:
    place = "" if held is None else state.place(held)
    return f", declared in {place}" if place else ""


def protected(held: Held) -> Diagnostic:
    """The finding when a protected automation is declared nowhere any more."""
    message = f"automation {held.id} is protected, and its file is gone; it is not deleted"
    hint = f"put the file back; to delete it, add --unprotect {held.id}, or first apply a version without lifecycle.protect"
    return Diagnostic(
        "plan/protected", Severity.ERROR, message, Span(held.file or held.id), ("lifecycle", "protect"), hint
    )


def renamed(declared: Declared[Automation], state: State, *, owner: str) -> Held | None:
    """The automation that this one says it was, if there is a live one of that id and this one does not live itself."""
    held = state.automations.get(declared.value.id)
    if declared.value.renamed_from is None or (held is not None and not held.deleted):
        return None
    previous = state.automations.get(declared.value.renamed_from)
    return previous if previous and not previous.deleted and previous.owner == owner else None


def rename_problems(catalogue: Catalogue, state: State, *, owner: str) -> dict[str, Diagnostic]:
    """By new id, the renames that cannot be: two of one, of one that is still declared or another's, onto one that is or was."""
    claims: dict[str, list[Declared[Automation]]] = defaultdict(list)
    asking = [each for each in catalogue.automations.values() if each.value.renamed_from is not None]
    for declared in asking:
        previous = renamed(declared, state, owner=owner)
        if previous is not None:
            claims[previous.id].append(declared)
    found = {}
    for identity, claimants in claims.items():
        still = _still_declared(state.automations[identity], catalogue)
        for declared in claimants:
            others = [each for each in claimants if each is not declared]
            problem = _rename_problem(declared, state, still=still, others=others)
            if problem:
                found[declared.value.id] = _no_rename(declared, identity, problem)
    for declared in asking:
        if _merges(declared, state, owner=owner):
            taken, before = declared.value.id, str(declared.value.renamed_from)
            hint = f"give the renamed one an id that is free, or remove renamedFrom to let {before} go its own way"
            found[taken] = _no_rename(declared, before, (f"{taken} is bound already, with a history of its own", hint))
        elif theirs := _foreign(declared, state, owner=owner):
            hint = f"take {theirs.id} over first, under that id (see: automations adopt), or remove renamedFrom"
            found[declared.value.id] = _no_rename(declared, theirs.id, (f"that one is owned by {theirs.owner}", hint))
    return found


def late_renames(catalogue: Catalogue, state: State) -> Iterator[Diagnostic]:
    """A finding for each new automation that says that it was one that is deleted: a rename moves what lives."""
    for declared in [each for each in catalogue.automations.values() if each.value.renamed_from is not None]:
        previous = state.automations.get(declared.value.renamed_from or "")
        if previous is None or not previous.deleted or declared.value.id in state.automations:
            continue
        path: Path = ("lifecycle", "renamedFrom")
        when = "" if previous.deleted_at is None else f" at {iso(previous.deleted_at)}"
        message = f"automation {previous.id} was deleted{when}; its history does not come along to {declared.value.id}"
        hint = f"to keep it, first apply {previous.id} once more, then the rename; else remove renamedFrom"
        yield Diagnostic("plan/renamed-late", Severity.WARNING, message, declared.document.at(path), path, hint)


def _foreign(declared: Declared[Automation], state: State, *, owner: str) -> Held | None:
    """Who lives under the id that an automation says, and did not say before, that it had, when that is another's."""
    automation = declared.value
    held, previous = state.automations.get(automation.id), state.automations.get(automation.renamed_from or "")
    if previous is None or previous.deleted or previous.owner == owner:
        return None
    if held is not None and (not held.deleted or _said_before(declared, held, state)):
        return None
    return previous


def _merges(declared: Declared[Automation], state: State, *, owner: str) -> bool:
    """Whether an automation that lives says, and did not say before, that it was another one that lives."""
    automation = declared.value
    held, previous = state.automations.get(automation.id), state.automations.get(automation.renamed_from or "")
    if held is None or previous is None or held is previous:
        return False
    if held.deleted or previous.deleted or not held.owner == previous.owner == owner:
        return False
    return not _said_before(declared, held, state)


def _said_before(declared: Declared[Automation], held: Held, state: State) -> bool:
    """Whether the same `renamedFrom` was applied already: it stays in files for ever, and asks for nothing any more."""
    old = state.specs.get(held.id, {}).get("lifecycle", {}).get("renamedFrom")
    return held.digest == declared.value.digest or old == declared.value.renamed_from


def _no_rename(declared: Declared[Automation], previous: str, problem: tuple[str, str]) -> Diagnostic:
    path: Path = ("lifecycle", "renamedFrom")
    message = f"automation {declared.value.id} cannot be renamed from {previous}: {problem[0]}"
    return Diagnostic("plan/rename", Severity.ERROR, message, declared.document.at(path), path, problem[1])


def _still_declared(previous: Held, catalogue: Catalogue) -> str | None:
    if previous.id in catalogue.automations:
        return str(catalogue.automations[previous.id].document.at(("id",)))
    if previous.id in catalogue.claimed:
        return min(catalogue.claimed[previous.id])
    return previous.file if previous.file in catalogue.bad_files else None


def _rename_problem(
    declared: Declared[Automation], state: State, *, still: str | None, others: list[Declared[Automation]]
) -> tuple[str, str] | None:
    if others:
        places = ", ".join(str(other.document.at(("lifecycle", "renamedFrom"))) for other in others)
        return f"so does {places}", "keep one of these; the other is a new automation"
    if still is not None:
        return f"that one is still declared at {still}", "remove the old declaration, or this renamedFrom"
    if declared.value.id in state.automations:
        hint = "take an id that was never used, or remove renamedFrom to have the deleted one back"
        return f"an automation {declared.value.id} was deleted, and its history is still kept", hint
    return None


def route_problems(rebindings: Iterable[Rebinding], state: State) -> dict[str, list[Diagnostic]]:
    """By automation id, the wanted routes whose path or id stays with another; none of these rebindings can happen."""
    standing = {each.id: each for each in rebindings}
    found: dict[str, list[Diagnostic]] = {}
    while True:
        kept = kept_routes(standing.values(), state.routes)
        problems = {identity: list(_taken(each, kept, state)) for identity, each in standing.items()}
        refused = {identity: listed for identity, listed in problems.items() if listed}
        if not refused:
            return found
        # Who is refused keeps the routes that it has, which may stand in the way of yet another.
        found |= refused
        standing = {identity: each for identity, each in standing.items() if identity not in refused}


def kept_routes(rebindings: Iterable[Rebinding], routes: Mapping[str, HeldRoute]) -> tuple[HeldRoute, ...]:
    """The routes that none of these rebindings lets go of."""
    of = {each.previous_id: each for each in rebindings}
    return tuple(
        route
        for route in routes.values()
        if route.automation_id not in of or not of[route.automation_id].lets_go_of(route)
    )


def _taken(rebinding: Rebinding, kept: tuple[HeldRoute, ...], state: State) -> Iterator[Diagnostic]:
    if rebinding.declared is None:
        return
    by_path, by_id = {each.path: each for each in kept}, {each.id: each for each in kept}
    for index, trigger in enumerate(rebinding.declared.value.triggers):
        if trigger.route is None:
            continue
        for word, value, taken in (
            ("path", trigger.route.path, by_path.get(trigger.route.path)),
            ("id", trigger.route.id, by_id.get(trigger.route.id)),
        ):
            if taken is not None:
                path: Path = ("triggers", index, "route", word)
                span = rebinding.declared.document.at(path)
                message = f"webhook route {word} {value} belongs to automation {taken.automation_id} ({taken.owner})"
                if taken.owner not in rebinding.owners:
                    message += _declared_in(state.automations.get(taken.automation_id), state)
                yield Diagnostic("plan/route-taken", Severity.ERROR, message, span, path, f"choose another {word}")
