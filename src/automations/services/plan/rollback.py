"""The verb rollback: one automation back to one of its earlier generations, as a new plan and a new generation.

What stands now is rejected in the same commit: the loop does not bring it back until the source declares something else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from automations.core.canonical import decode
from automations.core.diagnostic import has_errors
from automations.core.plan.fitting import advice, fitting
from automations.core.plan.plan import Plan, Request
from automations.core.plan.state import API_OWNER
from automations.core.spec import build
from automations.core.spec.catalogue import Catalogue, Interpreted, ManifestKey, assemble, interpret
from automations.core.spec.model import Manifest
from automations.core.spec.writer import to_yaml
from automations.errors import Conflict, NotFound, SpecInvalid
from automations.services.identity import not_there
from automations.services.plan.apply import Rejection
from automations.services.plan.plan import plan
from automations.store import automations, manifests, sources, texts
from automations.store.database import Database, Row, Transaction


@dataclass(frozen=True, slots=True)
class Rollback:
    """What going back means: the plan, the file to commit with its text, and what is rejected (nothing without a source).

    `prefix` stands before file names, as in a snapshot.
    """

    plan: Plan
    file: str
    text: str
    rejection: Rejection | None
    prefix: str = ""


Where = Callable[[str, str | None, str], str]
"""From a source, the directory that a loop knows it by and a file of it: what to write before the file's name."""


def rollback_to(
    database: Database, automation_id: str, generation: int, *, now: int, where: Where = lambda *_: ""
) -> Rollback:
    """The plan to go back to a generation; nothing is written.

    Raises NotFound for an id or a generation that there is not, Conflict for a deleted automation, SpecInvalid when the old
    spec is not valid any more, with the manifests that it fits.
    """
    with database.read() as tx:
        row = automations.get(tx, automation_id)
        if row is None:
            raise _no_automation(tx, automation_id)
        if row["deleted_at"] is not None:
            raise Conflict(
                f"automation {automation_id} is deleted", hint="put its file back and apply; it keeps its history"
            )
        text = _text(tx, row, generation)
        owner = row["owner"]
        by_hand = owner == API_OWNER
        source = owner if by_hand else owner.partition(":")[2]
        standing = sources.get(tx, source)
        ours, others = _manifests(tx, owner)
    name = row["file"] or f"{automation_id}.yaml"
    prefix = "" if by_hand else where(source, standing["root"] if standing else None, name)
    file = prefix + name
    interpreted = interpret(text.encode(), file)
    catalogue = assemble([interpreted], known=others, beside=ours)
    if automation_id not in catalogue.automations or has_errors(catalogue.diagnostics):
        with database.read() as tx:
            kept = [build.manifest(decode(body)) for body in manifests.bodies(tx)]
        way = advice(fitting(interpreted, known=others, beside=ours, kept=kept))
        raise _invalid_now(automation_id, generation, catalogue, way=way)
    made = plan(database, catalogue, Request(source, prune=False, now=now, by_hand=by_hand), prefix=prefix)
    rejection = None if by_hand else Rejection(row["uid"], row["digest"], f"rolled back to generation {generation}")
    return Rollback(_only(made, automation_id, generation), file, text, rejection, prefix)


def _manifests(tx: Transaction, owner: str) -> tuple[Mapping[ManifestKey, Manifest], Mapping[ManifestKey, Manifest]]:
    """Today's manifests of this owner, and those of all others."""
    found: tuple[dict[ManifestKey, Manifest], dict[ManifestKey, Manifest]] = {}, {}
    for each in manifests.live(tx):
        whose = found[each["owner"] != owner]
        whose[each["action_id"], each["version"]] = build.manifest(decode(each["manifest_json"]))
    return found


def _invalid_now(automation_id: str, generation: int, catalogue: Catalogue, *, way: str) -> SpecInvalid:
    """The error for an old spec that has errors today; `way` is what leads back to it, empty where nothing is known to."""
    see = f"see it with: automations show {automation_id} --revision {generation}"
    return SpecInvalid(
        f"generation {generation} of {automation_id} is not valid any more; nothing was rolled back",
        tuple(each for each in catalogue.diagnostics if each.severity == "error"),
        hint=f"{way}; {see}" if way else see,
    )


def _no_automation(tx: Transaction, name: str) -> NotFound:
    """The error for what is no automation; an action is told as one."""
    action = name.partition("@")[0]
    known = {each["action_id"] for each in manifests.live(tx)} | {identity for identity, _ in manifests.gone(tx)}
    if action not in known:
        return not_there(tx, name, see="history")
    hint = "to take an action back, bring its earlier file back (git revert), and apply"
    return NotFound(f"{action} is an action; rollback is of automations", hint=hint)


def _only(made: Plan, automation_id: str, generation: int) -> Plan:
    """The part of a plan that is about this automation, and says why."""
    reason = f"rolled back to generation {generation}"
    # Where its file lies is the source's business: it does not move by going back.
    changes = tuple(
        replace(each, reason=reason) for each in made.changes if each.id == automation_id and each.action != "move"
    )
    hazards = tuple(each for each in made.hazards if each.id == automation_id or not each.id)
    return replace(made, changes=changes, hazards=hazards, withheld=(), moved_on=())


def _text(tx: Transaction, row: Row, generation: int) -> str:
    """The generation's file as it stood, if it still means what was applied, else its spec written anew."""
    kept = automations.generation(tx, row["uid"], generation)
    if kept is None or generation < 1:
        there = ", ".join(str(each["generation"]) for each in automations.generations(tx, row["uid"])[:10])
        raise NotFound(
            f"automation {row['id']} has no generation {generation}",
            hint=f"the newest are: {there}; see: automations history {row['id']}",
        )
    spec: dict[str, Any] = decode(kept["spec_json"])
    text = texts.get(tx, row["uid"], generation)
    if text is not None and spec["id"] == row["id"] and _means(interpret(text.encode(), "kept.yaml"), kept["digest"]):
        return text
    return to_yaml(_now_called(spec, row["id"]))


def _means(interpreted: Interpreted, digest: str) -> bool:
    return interpreted.automation is not None and interpreted.automation.digest == digest


def _now_called(spec: dict[str, Any], identity: str) -> dict[str, Any]:
    """The spec of a generation from before a rename, under today's id."""
    return spec if spec["id"] == identity else {**spec, "id": identity}
