"""Every row of an applied spec, changed by hand, on every store: it is told, or put right, and the daemon lives on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from automations.core.plan.prune import Policy
from automations.services.audit_view import entries
from automations.store.audit import Wanted
from automations.store.database import Database
from samples import action, spec, step, webhook_trigger
from watched_source import Loop

HOOKED = spec("a", version="2", triggers=[webhook_trigger("/x")], actions=[step("s", actionId="known")])
EDITED = '{"schemaVersion":"1.0","id":"a","name":"evil","version":"2","triggers":[],"actions":[]}'
SECOND = "' WHERE generation = 2 AND uid = (SELECT uid FROM automations WHERE id = 'a')"
ROUTE = "its route /x"

EDITS: Mapping[str, tuple[str, str, str]] = {
    "a route's status": ("a", "UPDATE routes SET status = 'disabled'", f"the status of {ROUTE} is not what"),
    "a route's path": ("a", "UPDATE routes SET path = '/y'", f"the path of {ROUTE} is not what"),
    "a route's owner": ("a", "UPDATE routes SET owner = 'api'", f"the owner of {ROUTE} is not what"),
    "a route's signature": (
        "a", """UPDATE routes SET signature_json = '{"preset":"github","secretRef":"secret://mine"}'""",
        f"the signature of {ROUTE} is not what",
    ),
    "a route's mapping": ("a", """UPDATE routes SET mapping_json = '{"source":"x","type":"y"}'""", f"the mapping of {ROUTE}"),
    "a route's trigger": ("a", "UPDATE routes SET trigger_id = 'other'", f"the trigger of {ROUTE} is not what"),
    "a route's automation": ("a", "UPDATE routes SET automation_id = 'b'", f"the automation of {ROUTE} is not what"),
    "a route that is switched off": ("a", "UPDATE routes SET deleted_at = 1", f"{ROUTE} is gone"),
    "a route that is gone": ("a", "DELETE FROM routes", f"{ROUTE} is gone"),
    "a route too many": (
        "a",
        """INSERT INTO routes (id, automation_id, trigger_id, path, status, owner, mapping_json, created_at, updated_at)
           SELECT 'planted', automation_id, trigger_id, '/planted', status, owner, mapping_json, 1, 1 FROM routes""",
        "its route /planted is not one of its spec's",
    ),
    "a status": ("b", "UPDATE automations SET status = 'paused' WHERE id = 'b'", "its status is paused, its spec says active"),
    "an older generation": ("a", "UPDATE automations SET generation = 1 WHERE id = 'a'", "generation 1 is bound, the last"),
    "a generation that never was": ("a", "UPDATE automations SET generation = 9 WHERE id = 'a'", "generation 9, which is"),
    "a stored spec": (
        "a", "UPDATE generations SET spec_json = '" + EDITED + SECOND,  # noqa: S608  # fixed texts
        "the stored spec is not what was applied",
    ),
    "a stored spec that is no JSON": (
        "b", "UPDATE generations SET spec_json = '{' WHERE uid = (SELECT uid FROM automations WHERE id = 'b')",
        "the stored spec is not what was applied",
    ),
    "a stored spec that is gone": (
        "b", "DELETE FROM generations WHERE uid = (SELECT uid FROM automations WHERE id = 'b')",
        "generation 1, which is bound, is gone",
    ),
    "the newest stored spec that is gone": (
        "a", "DELETE FROM generations" + SECOND.lstrip("'"),  # noqa: S608  # fixed texts
        "generation 2, which is bound, is gone",
    ),
    "a generation's digest": (
        "a", "UPDATE generations SET digest = 'x" + SECOND,  # noqa: S608  # fixed texts
        "the digest of generation 2 is not",
    ),
    "a stored manifest": (
        "action known@1.0.0",
        """UPDATE manifest_bodies SET manifest_json = '{"id":"known","name":"evil","version":"1.0.0","inputSchema":{},
           "executorBindings":[{"kind":"local-shell","command":"evil"}]}'""",
        "the stored manifest is not what was applied",
    ),
}  # fmt: skip
SEEN_BY_THE_PLAN = {
    "an automation's digest": "UPDATE automations SET digest = 'x' WHERE id = 'a'",
    "a file's name": "UPDATE automations SET file = 'elsewhere.yaml' WHERE id = 'a'",
    "a tombstone": "UPDATE automations SET deleted_at = 1 WHERE id = 'a'",
    "an automation that is gone": "DELETE FROM automations WHERE id = 'a'",
    "a manifest's digest": "UPDATE manifests SET digest = 'x'",
    "a manifest that is switched off": "UPDATE manifests SET deleted_at = 1",
    "a manifest that is gone": "DELETE FROM manifests",
    "a manifest whose text is gone": "DELETE FROM manifest_bodies",
}


def begun(database: Database, directory: Path, *, self_heal: bool) -> Loop:
    """A loop in step, with an automation of two generations, a second one and a manifest."""
    directory.mkdir(exist_ok=True)
    loop = Loop(database, directory, Policy(self_heal=self_heal))
    loop.write("a.yaml", HOOKED | {"version": "1"})
    loop.write("b.yaml", spec("b"))
    loop.write("m.yaml", action("known"))
    loop.round()
    loop.write("a.yaml", HOOKED)
    loop.round()
    return loop


def again(loop: Loop) -> Loop:
    """The loop of a daemon that begins anew: it has no table of before."""
    fresh = Loop(loop.plane.database, loop.directory, loop.reconciler._source.policy)
    fresh.plane.ids.begin(5000)
    fresh.plane.clock.at = loop.plane.clock.at
    return fresh


def edit(database: Database, statement: str) -> None:
    with database.write() as tx:
        tx.run(statement)


def rows(database: Database) -> dict[str, Any]:
    """Everything that was made of the specs, without who wrote it and when."""
    columns = {
        "automations": "uid, id, owner, status, generation, digest, file, deleted_at",
        "generations": "uid, generation, digest, spec_json",
        "routes": "id, automation_id, trigger_id, path, status, owner, signature_json, mapping_json",
        "manifests": "action_id, version, owner, digest, deleted_at",
        "manifest_bodies": "digest, manifest_json",
    }
    with database.read() as tx:
        live = {"routes": "WHERE deleted_at IS NULL"}
        return {
            name: sorted(map(repr, tx.all(f"SELECT {each} FROM {name} {live.get(name, '')}")))  # noqa: S608  # fixed names
            for name, each in columns.items()
        }


def drifted(loop: Loop) -> dict[str, str]:
    said = loop.condition("Drifted")
    return {} if said["status"] == "False" else dict(each.split(": ", 1) for each in [said["message"]])


@pytest.mark.parametrize("restart", [False, True], ids=["running", "begun anew"])
@pytest.mark.parametrize("name", EDITS)
def test_what_was_edited_is_told_and_left(database: Database, tmp_path: Path, name: str, *, restart: bool) -> None:
    loop = begun(database, tmp_path / "specs", self_heal=False)
    identity, statement, words = EDITS[name]
    edit(database, statement)
    before = rows(database)
    loop = again(loop) if restart else loop
    for afresh in (True, False):  # what was found edited is looked at until it is right again
        assert loop.reconciler.reconcile(resync=True, afresh=afresh).settled
        (told,) = drifted(loop).items()
        assert told[0] == identity
        assert told[1].startswith(words)
    assert rows(database) == before
    assert loop.sync() == "OutOfSync"


@pytest.mark.parametrize("restart", [False, True], ids=["running", "begun anew"])
@pytest.mark.parametrize("name", EDITS)
def test_with_self_heal_it_is_put_right_row_by_row(
    database: Database, tmp_path: Path, name: str, *, restart: bool
) -> None:
    loop = begun(database, tmp_path / "specs", self_heal=True)
    before = rows(database)
    identity, statement, words = EDITS[name]
    edit(database, statement)
    assert rows(database) != before
    loop = again(loop) if restart else loop
    assert loop.reconciler.reconcile(resync=True, afresh=True).settled
    assert rows(database) == before
    assert (drifted(loop), loop.sync()) == ({}, "Synced")
    newest = entries(database, Wanted(), limit=1)[0]
    assert newest["action"] == "heal"
    assert newest["detail"]["healed"][identity].startswith(words)
    assert {each.automation.name for each in loop.plane.bindings.current().bound.values()} == {"a", "b"}


@pytest.mark.parametrize("name", SEEN_BY_THE_PLAN)
def test_what_the_plan_sees_is_bound_again(database: Database, tmp_path: Path, name: str) -> None:
    loop = begun(database, tmp_path / "specs", self_heal=False)
    edit(database, SEEN_BY_THE_PLAN[name])
    loop = again(loop)
    for _ in range(2):
        assert loop.reconciler.reconcile(resync=True, afresh=True).settled
    assert (drifted(loop), loop.sync()) == ({}, "Synced")
    row = loop.plane.automations()["a"]
    assert (row["file"], row["digest"]) == ("a.yaml", loop.plane.bindings.current().bound["a"].automation.digest)
    assert loop.plane.routes() == {"/x": "a"}
    assert loop.plane.bindings.current().bound["a"].manifests["s"].id == "known"


def test_what_somebody_gave_to_another_owner_is_told_and_stays_with_that_owner(
    database: Database, tmp_path: Path
) -> None:
    loop = begun(database, tmp_path / "specs", self_heal=True)
    edit(database, "UPDATE automations SET owner = 'api' WHERE id = 'a'")
    loop = again(loop)
    assert loop.reconciler.reconcile(resync=True, afresh=True).settled
    assert "owned by api" in loop.condition("SpecValid")["message"]
    assert list(loop.plane.automations()) == ["b"]


def test_an_edit_of_the_file_puts_right_what_was_edited_in_the_store_at_the_same_time(
    database: Database, tmp_path: Path
) -> None:
    loop = begun(database, tmp_path / "specs", self_heal=True)
    edit(database, "UPDATE automations SET generation = 1 WHERE id = 'a'")
    loop.write("a.yaml", HOOKED | {"version": "3"})
    assert loop.reconciler.reconcile(resync=True, afresh=True).settled
    assert (loop.generations()["a"], loop.sync()) == (3, "Synced")


def test_a_stored_spec_that_no_file_can_give_back_is_told_and_never_taken_for_what_was_applied(
    database: Database, tmp_path: Path
) -> None:
    loop = begun(database, tmp_path / "specs", self_heal=True)
    edit(database, EDITS["a stored spec"][1])
    loop.write("a.yaml", "id: a\n: [")
    before = rows(database)
    assert loop.reconciler.reconcile(resync=True, afresh=True).settled
    assert rows(database) == before
    assert drifted(loop) == {"a": "the stored spec is not what was applied"}
    loop.write("a.yaml", HOOKED)
    assert loop.round(seconds=30)
    assert (drifted(loop), loop.sync()) == ({}, "Synced")
