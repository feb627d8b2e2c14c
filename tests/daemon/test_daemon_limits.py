"""The daemon's times fit those of the parts that it stops."""

from automations.adapters.executors.process import Limits
from automations.daemon.daemon import WEB_GRACE
from automations.daemon.drain import GRACE, STOPPING


def test_an_action_that_ignores_term_is_killed_and_released_before_the_daemon_leaves() -> None:
    limits = Limits()
    assert limits.grace + limits.drain < STOPPING


def test_a_drain_ends_before_container_platforms_kill() -> None:
    assert WEB_GRACE < GRACE
    assert GRACE + STOPPING < 30
