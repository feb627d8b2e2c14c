"""Patience with a tree that could not be applied: longer with every failure, begun anew as soon as the tree is another.

The tree is looked at all the while; only the attempt waits. So a notification that was lost costs one resync at most.
"""

from dataclasses import dataclass

from automations.core.instant import SECOND

FIRST, LONGEST = SECOND, 300 * SECOND


@dataclass(frozen=True, slots=True)
class Backoff:
    """After `failures` failures with the tree of this digest, the next attempt is at `until` (microseconds)."""

    digest: str = ""
    failures: int = 0
    until: int = 0

    def after(self, digest: str, *, now: int, longest: int = LONGEST) -> "Backoff":
        """One more failure with a tree."""
        failures = self.failures + 1 if digest == self.digest else 1
        return Backoff(digest, failures, now + min(longest, FIRST << min(failures - 1, 9)))

    def waits(self, digest: str, *, now: int) -> bool:
        """Whether this tree is to be left alone for now. A clock that was set back ends the wait."""
        return digest == self.digest and now < self.until <= now + LONGEST
