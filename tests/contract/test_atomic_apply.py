"""Apply is all or nothing: a failure at any statement, a lost lock or a hundred rivals leave the old state or the new one."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest

from automations.core.plan.plan import Plan
from automations.errors import AutomationsError, LockNotHeld, Refused, StalePlan, StoreUnavailable
from automations.services.plan.apply import Alongside, Authority, Rejection
from automations.services.plan.lock import TTL, DefinitionsLock
from automations.store import destructions
from automations.store.database import Database, Transaction
from control_plane import ControlPlane
from samples import action, event_trigger, spec, webhook_trigger

ME = Authority("tester")
TABLES = (
    "state", "automations", "generations", "generation_texts", "manifests", "manifest_bodies", "routes", "audit",
    "holds", "applied_plans", "destructions", "left_paths", "events",
)  # fmt: skip


class FailsAt(Transaction):
    """A transaction whose statement of a number does not happen."""

    def __init__(self, inner: Transaction, failing: "FailingDatabase") -> None:
        self._inner, self._failing = inner, failing
        self.for_update, self.skip_locked = inner.for_update, inner.skip_locked

    def all(self, sql: str, /, **parameters: Any) -> Any:
        self._failing.step()
        return self._inner.all(sql, **parameters)

    def one(self, sql: str, /, **parameters: Any) -> Any:
        self._failing.step()
        return self._inner.one(sql, **parameters)

    def run(self, sql: str, /, **parameters: Any) -> int:
        self._failing.step()
        return self._inner.run(sql, **parameters)

    def many(self, sql: str, rows: Any, /) -> int:
        self._failing.step()
        return self._inner.many(sql, rows)

    def script(self, sql: str, /) -> None:
        self._failing.step()
        self._inner.script(sql)

    def exclude(self, names: Iterable[str], /) -> None:
        self._failing.step()
        self._inner.exclude(names)


class FailingDatabase:
    """A database on which the n-th statement of a writing transaction fails; with none it only counts."""

    def __init__(self, inner: Database, at: int | None = None) -> None:
        self._inner, self._at = inner, at
        self.dialect = inner.dialect
        self.statements = 0

    def step(self) -> None:
        self.statements += 1
        if self.statements == self._at:
            raise StoreUnavailable(f"statement {self._at} failed")

    def read(self) -> Any:
        return self._inner.read()

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        with self._inner.write() as tx:
            yield FailsAt(tx, self)

    def script(self, sql: str, /) -> None:
        self._inner.script(sql)

    def close(self) -> None:
        self._inner.close()


@pytest.fixture
def plane(database: Database) -> ControlPlane:
    return ControlPlane(database)


def everything(plane: ControlPlane) -> Any:
    with plane.database.read() as tx:
        return {table: sorted(map(repr, tx.all(f"SELECT * FROM {table}"))) for table in TABLES}  # noqa: S608  # fixed names


BEFORE = {
    "a.yaml": spec("a", triggers=[webhook_trigger("/x")]),
    "b.yaml": spec("b", triggers=[webhook_trigger("/y")]),
    "c.yaml": spec("c", triggers=[webhook_trigger("/z", id="hook")]),
    "d.yaml": spec("d"),
    "m.yaml": action(),
    "n.yaml": action("gone"),
}
AFTER = {
    "a.yaml": spec("a", triggers=[webhook_trigger("/y")]),
    "b.yaml": spec("b", triggers=[webhook_trigger("/x")]),
    "c.yaml": spec("c.new", triggers=[webhook_trigger("/z", id="hook")], lifecycle={"renamedFrom": "c"}),
    "moved/e.yaml": spec("e", triggers=[event_trigger(type="*")]),
    "m.yaml": action(description="another"),
}


def commit(plane: ControlPlane, database: Any, made: Plan) -> None:
    held = plane.applying._database
    plane.applying._database = database
    try:
        uid = plane.automations()["a"]["uid"]
        plane.applying.commit(made, ME, alongside=Alongside("digest", Rejection(uid, "d", "r")))
    finally:
        plane.applying._database = held


def test_a_failure_at_any_statement_leaves_the_old_state(plane: ControlPlane) -> None:
    plane.apply(BEFORE)
    made = plane.plan(AFTER)
    assert {change.action for change in made.changes} == {"create", "update", "rename", "delete"}
    before = everything(plane)
    for number in count(1):
        failing = FailingDatabase(plane.database, number)
        if number > 300:
            raise AssertionError("an apply of eight changes takes no 300 statements")
        try:
            commit(plane, failing, made)
        except StoreUnavailable:
            assert everything(plane) == before, f"statement {number}"
            continue
        assert failing.statements < number
        break
    after = everything(plane)
    assert after != before
    assert plane.routes() == {"/x": "b", "/y": "a", "/z": "c.new"}
    assert plane.plan(AFTER).changes == ()
    with pytest.raises(StalePlan):
        plane.applying.commit(made, ME, alongside=Alongside("digest"))
    assert everything(plane) == after


def test_of_a_hundred_edits_at_once_one_is_committed_and_ninety_nine_are_refused(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a")})
    plans = [plane.plan({"a.yaml": spec("a", version=str(number + 2))}) for number in range(100)]
    begin, ended = threading.Barrier(10), []

    def edit(mine: list[Plan]) -> None:
        begin.wait()
        for made in mine:
            try:
                plane.applying.strict(made, ME)
                ended.append("committed")
            except StalePlan:
                ended.append("refused")

    workers = [threading.Thread(target=edit, args=(plans[number::10],)) for number in range(10)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(ended) == ["committed"] + ["refused"] * 99
    row = plane.automations()["a"]
    assert row["generation"] == 2
    assert row["digest"] in {change.automation.digest for made in plans for change in made.changes if change.automation}
    assert plane.serial() == 2


# The lock


def test_who_has_the_lock_is_named_with_what_for_and_nobody_else_commits(plane: ControlPlane) -> None:
    locks = DefinitionsLock(plane.database, clock=plane.clock)
    mine = locks.take("ann@laptop", purpose="apply specs")
    with pytest.raises(
        LockNotHeld, match=r"locked by ann@laptop to apply specs since 2023-11-14T22:13:20\.000Z"
    ) as held:
        locks.take("bob@laptop", purpose="apply")
    assert held.value.exit_status == 6
    made = plane.plan({"a.yaml": spec("a")})
    before = everything(plane)
    with pytest.raises(LockNotHeld):
        plane.applying.strict(made, ME)
    assert everything(plane) == before
    assert locks.take("ann@laptop", purpose="apply specs") == mine  # kept
    plane.applying.strict(made, Authority("ann", lock=mine))
    locks.drop(mine)
    plane.applying.strict(plane.plan({"b.yaml": spec("b")}, prune=False), ME)


def test_a_lock_that_was_lost_in_between_fences_its_old_holder_off(plane: ControlPlane) -> None:
    locks = DefinitionsLock(plane.database, clock=plane.clock)
    mine = locks.take("ann", purpose="apply")
    made = plane.plan({"a.yaml": spec("a")})
    plane.clock.at += TTL
    theirs = locks.take("bob", purpose="apply")
    assert theirs.epoch == mine.epoch + 1
    for _ in range(2):
        with pytest.raises(LockNotHeld, match="bob"):
            plane.applying.strict(made, Authority("ann", lock=mine))
        plane.clock.at += TTL  # not even when bob's has ended: nobody knows what he did
    locks.drop(mine)  # not hers any more
    assert locks.take("bob", purpose="apply") == theirs
    locks.drop(theirs)
    with pytest.raises(LockNotHeld, match="given up"):
        plane.applying.strict(made, Authority("ann", lock=mine))
    assert plane.serial() == 0


# What the last ten minutes destroyed counts


def many(numbers: Any, **keys: Any) -> dict[str, Any]:
    return {f"{number:02}.yaml": spec(f"a{number:02}", **keys) for number in numbers}


def test_deletes_in_small_bites_are_added_up_over_ten_minutes(plane: ControlPlane) -> None:
    plane.apply(many(range(20)))

    def bite(left: int) -> None:
        made = plane.plan(many(range(left)), now=plane.clock.at)
        plane.applying.strict(made, ME)

    bite(18)
    bite(16)
    with pytest.raises(Refused, match="1 of 16 automations would be deleted, after 4 in the last ten minutes"):
        bite(15)
    plane.clock.at += 600_000_001
    bite(15)
    with plane.database.read() as tx:
        assert [(row["count"], row["deletes"]) for row in destructions.since(tx, 0)] == [(1, 1)]


def test_switching_off_counts_as_a_delete_does_and_takes_the_exact_number(plane: ControlPlane) -> None:
    files = many(range(10))
    plane.apply(files)
    off = {**files, **many(range(2), status="paused"), "02.yaml": spec("a02", triggers=[{"kind": "manual"}])}
    made = plane.plan(off, now=plane.clock.at)
    assert (made.destroys, made.deletes) == (3, 0)
    for allowed in (None, 2, 4):
        with pytest.raises(Refused):
            plane.applying.strict(made, Authority("ann", allow_deletes=allowed))
    plane.applying.strict(made, Authority("ann", allow_deletes=3))
    assert [code for code, _ in sorted((each.code, each.id) for each in made.hazards)] == [
        "AU001",
        "AU101",
        "AU102",
        "AU102",
    ]


def test_a_protected_automation_goes_only_by_name(plane: ControlPlane) -> None:
    plane.apply({"a.yaml": spec("a", lifecycle={"protect": True}), "b.yaml": spec("b")})
    with pytest.raises(AutomationsError):
        plane.applying.strict(plane.plan({"b.yaml": spec("b")}, unprotect=frozenset({"b"})), ME)
    made = plane.plan({"b.yaml": spec("b")}, unprotect=frozenset({"a"}))
    assert [(each.code, each.id) for each in made.hazards] == [("AU100", "a"), ("AU503", "a")]
    plane.applying.strict(made, ME)
    assert set(plane.automations()) == {"b"}
