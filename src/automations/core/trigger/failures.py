"""How many runs of a schedule failed in a row, counted in the order in which they were started.

A run that is not over yet holds the count up: what came after it is counted when it has ended. One that was cancelled, superseded
or dropped says nothing about whether the work can be done.
"""

from collections.abc import Iterable
from typing import NamedTuple

FAILED = frozenset({"failed", "timed_out"})
SUCCEEDED = frozenset({"succeeded"})


class Ended(NamedTuple):
    """A run as the count needs it."""

    run_id: str
    status: str
    over: bool


class Count(NamedTuple):
    """Failures in a row up to and with the run `counted`."""

    failures: int
    counted: str


def count(standing: Count, following: Iterable[Ended]) -> Count:
    """Go on counting with the runs that were started after the one that was counted last."""
    failures, counted = standing
    for run in following:
        if not run.over:
            break
        counted = run.run_id
        if run.status in FAILED:
            failures += 1
        elif run.status in SUCCEEDED:
            failures = 0
    return Count(failures, counted)
