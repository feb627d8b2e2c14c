"""The clock and the ids: microseconds, and UUIDs of version 7 that only rise."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from automations.adapters.clock import SystemClock
from automations.adapters.ids import UuidIds

TEXT = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z")


def test_the_clock_tells_microseconds_of_the_unix_epoch() -> None:
    before = time.time_ns()
    now = SystemClock().now()
    assert before // 1000 <= now <= time.time_ns() // 1000


def test_an_id_is_a_version_7_uuid_with_its_millisecond_in_front() -> None:
    made = UuidIds(lambda: 0x017F22E279B0).new()  # the time of RFC 9562's own example (appendix A.6)
    assert TEXT.match(made)
    assert made.startswith("017f22e2-79b0-7")
    assert UUID(made).version == 7
    assert UUID(made).variant == "specified in RFC 4122"


def test_ids_of_one_millisecond_rise_and_differ() -> None:
    ids = UuidIds(lambda: 1_000)
    made = [ids.new() for _ in range(5_000)]
    assert made == sorted(set(made))


def test_ids_rise_when_the_clock_steps_back() -> None:
    times = iter([5_000, 5_001, 4_000, 3_999, 5_001, 5_002])
    ids = UuidIds(lambda: next(times))
    made = [ids.new() for _ in range(6)]
    assert made == sorted(set(made))


def test_ids_rise_past_the_end_of_a_millisecond_s_steps() -> None:
    ids = UuidIds(lambda: 1_000)
    first = ids.new()
    ids._counter = (1 << 74) - 1
    second = ids.new()
    assert first < second
    assert second.startswith("00000000-03e9-7")


def test_threads_never_get_one_id_twice() -> None:
    ids = UuidIds()
    with ThreadPoolExecutor(8) as pool:
        batches = list(pool.map(lambda _: [ids.new() for _ in range(500)], range(8)))
    assert len({made for batch in batches for made in batch}) == 4_000
    for batch in batches:
        assert batch == sorted(batch)


def test_two_makers_do_not_meet_in_one_millisecond() -> None:
    one, other = UuidIds(lambda: 1_000), UuidIds(lambda: 1_000)
    assert not {one.new() for _ in range(1_000)} & {other.new() for _ in range(1_000)}


@pytest.mark.parametrize("_", range(20))
def test_a_fraction_lies_between_zero_and_one(_: int) -> None:
    assert 0 <= UuidIds().fraction() < 1
