"""The verb heal: find where the rows of what a source owns drifted from its applied specs, and put them right again.

Rows are compared with every resync, and after a commit those that it may have changed; the stored texts of specs and manifests,
which have to be read for that, at the start and now and then (`deep`), and those that were found edited with every look until
they are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from automations.core.audit import Entry
from automations.core.canonical import as_written, decode, digest, encode
from automations.core.plan.drift import Kept, drift_of, generation_drift, routes_of
from automations.core.spec import build
from automations.core.spec.remembered import whole
from automations.errors import StalePlan, StoreDamaged
from automations.services import audit
from automations.services.plan.apply import route_columns
from automations.store import automations, generations, manifests, routes, state

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from automations.core.spec.catalogue import Catalogue
    from automations.core.spec.model import Automation, Manifest
    from automations.core.trigger.bindings import Table
    from automations.services.plan.definitions import Bindings
    from automations.store.database import Database, Row, Transaction

Drift = dict[str, str]
"""By automation id, or `action <id>@<version>`, what differs, in words."""


class Scope(NamedTuple):
    """Whose rows to look at, and at which stored texts: of all with `deep`, else only of these names.

    With `only` no more than the automations of these ids are looked at.
    """

    owner: str
    deep: bool = False
    suspects: Collection[str] = ()
    only: Collection[str] | None = None

    def reads(self, name: str) -> bool:
        """Whether the stored text of this one is looked at."""
        return self.deep or name in self.suspects


class _Automation(NamedTuple):
    """An automation that drifted; `bound` is what is bound, None where its spec cannot be believed."""

    row: Row
    kept: Kept
    bound: Automation | None
    words: tuple[str, ...]


class _Files(NamedTuple):
    """What the files say of what drifted, worked out before the transaction begins: that may want to read the store itself."""

    automations: Mapping[str, Automation]
    manifests: Mapping[str, Manifest]


class _Found(NamedTuple):
    automations: list[_Automation]
    manifests: list[Row]

    def told(self) -> Drift:
        told = {each.row["id"]: "; ".join(each.words) for each in self.automations}
        return told | {_action(row): "the stored manifest is not what was applied" for row in self.manifests}


def _declared(names: Collection[str], catalogue: Catalogue) -> _Files:
    manifests_by_name = {
        f"action {identity}@{version}": key for key in catalogue.manifests for identity, version in [key]
    }
    return _Files(
        {name: whole(catalogue.automations[name].value) for name in names if name in catalogue.automations},
        {
            name: whole(catalogue.manifests[manifests_by_name[name]].value)
            for name in names
            if name in manifests_by_name
        },
    )


def drift(database: Database, bindings: Bindings, scope: Scope) -> Drift:
    """Where rows of this owner are not what the generation that is bound made of them."""
    with database.read() as tx:
        return _drifted(tx, bindings.within(tx), scope).told()


def heal(
    database: Database, bindings: Bindings, scope: Scope, *, catalogue: Catalogue, actor_at: tuple[str, int]
) -> Drift:
    """Put right what drifted and can be, in one transaction; what that was. `actor_at` is who does it, and when.

    A stored text is written anew from the files, where they still say what was applied; where they say something else the next
    plan binds that. Raises StalePlan when definitions change meanwhile.
    """
    actor, now = actor_at
    files = _declared(drift(database, bindings, scope), catalogue)
    with database.write() as tx:
        serial = state.read(tx)["serial"]
        found = _drifted(tx, bindings.within(tx), scope)
        if not found.automations and not found.manifests:
            return {}
        if not state.bump(tx, serial=serial):
            raise StalePlan("another definition was committed at the same moment", hint="it is looked at again")
        healed = _Found(
            [each for each in found.automations if _put_right(tx, each, files, actor_at=actor_at)],
            [row for row in found.manifests if _written_anew(tx, row, files)],
        ).told()
        if not healed:
            raise StalePlan("nothing of what drifted can be put right from these files", hint="see: automations drift")
        audit.append(tx, Entry(now, actor, "heal", scope.owner, {"serial": serial + 1, "healed": healed}))
    return healed


def _drifted(tx: Transaction, table: Table, scope: Scope) -> _Found:
    rows = automations.every(tx) if scope.only is None else automations.some(tx, scope.only)
    rows = [row for row in rows if row["owner"] == scope.owner and row["deleted_at"] is None]
    held = routes_of(scope.owner, routes.every(tx) if scope.only is None else _routes(tx, rows, table))
    if scope.only is None:
        kept = generations.kept(tx, scope.owner)
    else:
        kept = {row["uid"]: generations.kept_of(tx, row["uid"], row["generation"]) for row in rows}
    texts = generations.bound_specs(tx, scope.owner) if scope.deep else {}
    found = []
    for row in rows:
        mine = kept.get(row["uid"], Kept(None, None))
        if mine.digest is not None and scope.reads(row["id"]):
            text = texts[row["uid"]] if scope.deep else generations.spec(tx, row["uid"], row["generation"])
            mine = mine._replace(meant=_digest(text))
        bound = table.bound.get(row["id"])
        sound = bound.automation if bound is not None and bound.automation.digest == row["digest"] else None
        words = generation_drift(row, mine)
        if sound is not None:
            words += drift_of(sound, row, wanted=_wanted(sound, scope.owner), routes=held)
        if words:
            found.append(_Automation(row, mine, sound, words))
    actions = [row for row in manifests.live(tx) if row["owner"] == scope.owner and scope.reads(_action(row))]
    return _Found(found, [row for row in actions if _digest(row["manifest_json"]) != row["digest"]])


def _routes(tx: Transaction, rows: Iterable[Row], table: Table) -> list[Row]:
    """The routes that some automations have, and those that their specs make, whoever has them now."""
    found = {route["id"]: route for row in rows for route in routes.of(tx, row["id"])}
    bound = [table.bound[row["id"]].automation for row in rows if row["id"] in table.bound]
    wanted = {trigger.route.id for automation in bound for trigger in automation.triggers if trigger.route is not None}
    return [*found.values(), *routes.some(tx, wanted - found.keys())]


def _put_right(tx: Transaction, drifted: _Automation, files: _Files, *, actor_at: tuple[str, int]) -> bool:
    """Whether it could be. What is bound is the newest generation; its spec is believed, or written anew from the files."""
    row, (actor, now) = drifted.row, actor_at
    automation = drifted.bound
    if generation_drift(row, drifted.kept):
        number = _last(tx, row, drifted.kept)
        automation, text = _applied(row, generations.spec(tx, row["uid"], number), files)
        if automation is None:
            return False
        mended = {"uid": row["uid"], "generation": number, "digest": row["digest"], "spec_json": text}
        generations.mend(tx, {**mended, "file": row["file"], "applied_by": actor, "now": now})
        automations.rebind(tx, row["uid"], generation=number, now=now)
    if automation is not None:
        automations.set_status(tx, row["uid"], str(automation.status), now=now)
        routes.delete_of(tx, automation.id, owner=row["owner"], now=now)
        for columns in _wanted(automation, row["owner"]).values():
            routes.put(tx, {**columns, "now": now})
    return True


def _last(tx: Transaction, row: Row, kept: Kept) -> int:
    """The generation that was applied last: the newest, unless that is another one and the one that is bound is gone."""
    bound: int = row["generation"]
    newest = None if kept.newest is None else generations.spec(tx, row["uid"], kept.newest)
    gone = newest is None or (kept.digest is None and _digest(newest) != row["digest"])
    return bound if gone or kept.newest is None else kept.newest


def _applied(row: Row, text: str | None, files: _Files) -> tuple[Automation | None, str]:
    """What was applied, and its stored text: as it is kept, else as the files still say it."""
    if text is not None and _digest(text) == row["digest"]:
        return build.automation(decode(text)), text
    declared = files.automations.get(row["id"])
    if declared is None or declared.digest != row["digest"]:
        return None, ""
    return declared, as_written(declared.spec)


def _written_anew(tx: Transaction, row: Row, files: _Files) -> bool:
    declared = files.manifests.get(_action(row))
    if declared is None or declared.digest != row["digest"]:
        return False
    manifests.write_body(tx, row["digest"], encode(declared.document))
    return True


def _wanted(automation: Automation, owner: str) -> Mapping[str, Row]:
    return {
        trigger.route.id: {**route_columns(trigger.route, trigger_id=trigger.id, raw=trigger.raw), "owner": owner}
        for trigger in automation.triggers
        if trigger.route is not None
    }


def _digest(text: str | None) -> str:
    """Of what a stored text means; of nothing where it means nothing."""
    try:
        return digest(decode(text or "null"))
    except StoreDamaged:
        return digest(None)


def _action(row: Row) -> str:
    return f"action {row['action_id']}@{row['version']}"
