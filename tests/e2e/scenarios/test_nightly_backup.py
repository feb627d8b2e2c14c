"""A daemon that was away for some nights: each schedule makes up for what its spec says, once, and the ledger knows the rest.

Both changes of the clocks are in the scenario's test files, which play on a virtual clock.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from automations.adapters.clock import SystemClock
from automations.core.instant import SECOND, iso
from e2e.conftest import PATIENCE, Site, until
from e2e.scenarios.conftest import Scenario

OUTAGE = 5 * 86_400 * SECOND


@pytest.fixture
def backups(staged: Callable[[str], Scenario]) -> Scenario:
    return staged("nightly-backup")


def kill(daemon: Any) -> None:
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.wait(timeout=PATIENCE)


def away_since(site: Site, instant: int) -> None:
    """Make a store as it would be if the last daemon had been killed at that instant."""
    database = apsw.Connection(str(Path(site.environment["HASNA_AUTOMATIONS_DIR"]) / "automations.db"))
    database.execute("UPDATE schedules SET cursor_at = ?, updated_at = ?", (instant, instant))
    database.close()


def missed(site: Site, name: str, *, since: int, now: int) -> list[str]:
    """The nights of an automation between two instants, by its own forecast."""
    told = site.automations("schedules", "next", name, "--after", iso(since), "--count", "10")
    nights = [str(each["nominalTime"]) for each in told]
    return [night for night in nights if night <= iso(now)]


def misfires(site: Site, name: str) -> list[tuple[str, str]]:
    return [(each["nominalTime"], each["reason"]) for each in site.automations("schedules", "misfires", name)]


def test_after_an_outage_each_schedule_makes_up_for_what_it_says_and_the_ledger_knows_the_rest(
    backups: Scenario,
) -> None:
    site = backups.site
    daemon, _ = site.start("run", "automations.d")
    until(lambda: len(site.automations("schedules", "list")) == 2, what="both schedules are known")
    kill(daemon)
    now = SystemClock().now()
    nights = missed(site, "backup.database", since=now - OUTAGE, now=now)
    assert 4 <= len(nights) <= 6
    assert site.runs() == []
    away_since(site, now - OUTAGE)
    for _ in range(3):
        daemon, _ = site.start("run", "automations.d")
        until(lambda: len(site.runs(status="succeeded")) == 4, what="the missed backups are made")
        kill(daemon)
    assert len(site.runs()) == 4
    assert backups.written("database") == nights[-1:]
    assert sorted(backups.written("invoices")) == nights[-3:]
    assert misfires(site, "backup.database") == [(night, "superseded") for night in reversed(nights[:-1])]
    assert misfires(site, "backup.invoices") == [(night, "over_max") for night in reversed(nights[:-3])]


def test_a_backup_that_a_kill_interrupted_is_made_once_more_and_its_night_once(backups: Scenario) -> None:
    site = backups.site
    daemon, _ = site.start("run", "automations.d", "--no-worker")
    until(lambda: len(site.automations("schedules", "list")) == 2, what="both schedules are known")
    kill(daemon)
    now = SystemClock().now()
    away_since(site, now - OUTAGE)
    nights = missed(site, "backup.invoices", since=now - OUTAGE, now=now)
    daemon, _ = site.start("run", "automations.d", "--no-worker")
    until(lambda: len(site.runs()) == 4, what="the missed nights are queued")
    kill(daemon)
    site.start("run", "automations.d")
    until(lambda: len(site.runs(status="succeeded")) == 4, what="the next daemon makes the backups")
    assert sorted(backups.written("invoices")) == nights[-3:]
    assert len(backups.written("database")) == 1
