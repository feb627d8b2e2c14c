"""Writers of one process are served in order of arrival, and one that gives up leaves no gap."""

import threading
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

from automations.store.sqlite_lanes import Turns


def until_waiting(turns: Turns, number: int) -> None:
    """Return once `number` threads wait in line."""
    deadline = monotonic() + 30
    while len(turns._waiting) != number:
        assert monotonic() < deadline
        threading.Event().wait(0.001)


def test_turns_are_taken_in_order_of_arrival() -> None:
    turns = Turns()
    order: list[int] = []

    def take(name: int) -> None:
        assert turns.acquire(30)
        order.append(name)
        turns.release()

    assert turns.acquire(0)
    with ThreadPoolExecutor(5) as pool:
        for name in range(5):
            pool.submit(take, name)
            until_waiting(turns, name + 1)
        turns.release()
    assert order == [0, 1, 2, 3, 4]


def test_one_who_gave_up_is_not_waited_for() -> None:
    turns = Turns()
    assert turns.acquire(0)
    assert not turns.acquire(0)
    assert not turns.acquire(0.001)
    turns.release()
    assert turns.acquire(0)
