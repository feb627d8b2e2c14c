"""The writer thread: who shares a commit with whom."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from automations.core.trigger.envelope import Envelope
from automations.errors import AutomationsError, StoreUnavailable
from automations.services.trigger.ingest import Delivery, Ingested
from automations.web import commit as module
from automations.web.commit import MOST, GroupCommit
from web_server import eventually


def delivery(number: int) -> Delivery:
    return Delivery(Envelope(id=str(number), source="s", type="t"), "sha256:0")


class Store:
    """Commits that wait until they are let through, and remember their groups."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.begun = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)

    def commit(self, group: Sequence[Delivery]) -> list[Ingested | AutomationsError]:
        self.groups.append([each.envelope.id for each in group])
        self.begun.release()
        assert self.gate.acquire(timeout=20)
        return [Ingested(each.envelope.id, ()) for each in group]


def with_commits(work: Callable[[GroupCommit, Store], Any], room: int = 2048) -> Store:
    """Run `work` on a loop with a started group commit; everything is let through and joined at the end."""
    store = Store()

    async def main() -> None:
        group = GroupCommit(store.commit, asyncio.get_running_loop(), room=room)
        group.start()
        try:
            await work(group, store)
        finally:
            group.finish()
            store.gate.release(1000)
            await asyncio.to_thread(group.join)
            await asyncio.sleep(0)

    asyncio.run(main())
    return store


async def begun(store: Store) -> None:
    assert await asyncio.to_thread(store.begun.acquire, timeout=20)


def test_a_lone_delivery_is_committed_without_waiting_for_company() -> None:
    async def work(group: GroupCommit, store: Store) -> None:
        assert group.submit(delivery(1), lambda _: None)
        await begun(store)

    assert with_commits(work).groups == [["1"]]


def test_what_arrives_during_a_commit_goes_together_in_the_next() -> None:
    async def work(group: GroupCommit, store: Store) -> None:
        results: list[Any] = []
        group.submit(delivery(0), results.append)
        await begun(store)
        for number in range(1, 4):
            group.submit(delivery(number), results.append)
            await asyncio.sleep(0)
        store.gate.release()
        await begun(store)
        store.gate.release()
        await asyncio.to_thread(eventually, lambda: len(results) == 4)
        assert [result.event_row_id for result in results] == ["0", "1", "2", "3"]

    assert with_commits(work).groups == [["0"], ["1", "2", "3"]]


def test_after_company_a_group_waits_to_be_as_large_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMPANY", 0.5)

    async def work(group: GroupCommit, store: Store) -> None:
        results: list[Any] = []
        store.gate.release(1000)
        for number in range(3):
            group.submit(delivery(number), results.append)
        await asyncio.to_thread(eventually, lambda: len(results) == 3)
        for number in range(3, 6):  # each in a turn of its own
            group.submit(delivery(number), results.append)
            await asyncio.to_thread(eventually, group._queue.empty)
        await asyncio.to_thread(eventually, lambda: len(results) == 6)
        group.submit(delivery(6), results.append)
        await asyncio.to_thread(eventually, lambda: len(results) == 7)

    assert with_commits(work).groups == [["0", "1", "2"], ["3", "4", "5"], ["6"]]


def test_a_group_has_at_most_its_size() -> None:
    async def work(group: GroupCommit, store: Store) -> None:
        for number in range(MOST + 5):
            group.submit(delivery(number), lambda _: None)
        await begun(store)

    assert [len(group) for group in with_commits(work).groups] == [MOST, 5]


def test_beyond_its_room_deliveries_are_turned_away_until_there_is_room_again() -> None:
    async def work(group: GroupCommit, store: Store) -> None:
        done = asyncio.Event()
        assert group.submit(delivery(0), lambda _: done.set())
        assert group.submit(delivery(1), lambda _: None)
        assert not group.submit(delivery(2), lambda _: None)
        store.gate.release()
        await done.wait()
        assert group.submit(delivery(3), lambda _: None)

    assert with_commits(work, room=2).groups[0] == ["0", "1"]


def test_the_end_waits_for_everything_that_was_submitted() -> None:
    results: list[Any] = []

    async def work(group: GroupCommit, store: Store) -> None:
        for number in range(3):
            group.submit(delivery(number), results.append)
        group.finish()
        assert not group.submit(delivery(9), results.append)
        await begun(store)

    with_commits(work)
    assert [result.event_row_id for result in results] == ["0", "1", "2"]


@pytest.mark.parametrize("raised", [StoreUnavailable("gone"), RuntimeError("a bug")])
def test_a_commit_that_raises_fails_its_group_and_no_other(raised: Exception) -> None:
    async def main() -> list[Any]:
        calls: list[int] = []

        def commit(group: Sequence[Delivery]) -> list[Ingested | AutomationsError]:
            calls.append(len(group))
            if len(calls) == 1:
                raise raised
            return [Ingested("fine", ())]

        loop = asyncio.get_running_loop()
        group = GroupCommit(commit, loop)
        group.start()
        results = []
        for number in range(2):
            answered = loop.create_future()
            group.submit(delivery(number), answered.set_result)
            results.append(await answered)
        group.finish()
        await asyncio.to_thread(group.join)
        return results

    failed, fine = asyncio.run(main())
    assert isinstance(failed, AutomationsError)
    assert isinstance(fine, Ingested)


def test_what_waited_too_long_is_given_up_without_being_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", -1.0)
    results: list[Any] = []

    async def work(group: GroupCommit, store: Store) -> None:
        del store
        group.submit(delivery(0), results.append)
        await asyncio.to_thread(eventually, lambda: results)

    assert with_commits(work).groups == []
    assert isinstance(results[0], StoreUnavailable)
