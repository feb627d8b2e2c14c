"""Hazards: what a reviewer should not overlook, and what is refused unless it is asked for by exact number."""

from dataclasses import dataclass

from automations.core.diagnostic import Path
from automations.core.plan.risks import RISKS, RiskSeverity

MOST_DELETES = 10
"""More deletes than this in ten minutes are refused without an exact count."""
DELETE_SHARE = 0.2
"""More than this share of what a source owns (but always one) is refused without an exact count."""
WINDOW = 600 * 1_000_000
"""Destruction of this long ago (microseconds) still counts."""


@dataclass(frozen=True, slots=True)
class Hazard:
    """A documented risk (`docs/reference/hazards.md`) of one automation or action; without an id, of the whole plan.

    `path` is where in the new document, `file` and `line` (from 1) where that stands, if it stands anywhere.
    """

    code: str
    id: str
    message: str
    path: Path = ()
    file: str | None = None
    line: int = 1

    @property
    def severity(self) -> RiskSeverity:
        """How much it matters."""
        return RISKS[self.code].severity

    @property
    def refused(self) -> bool:
        """Whether it stops an apply without its override."""
        return RISKS[self.code].refused


@dataclass(frozen=True, slots=True)
class Destroyed:
    """What a source destroyed within the window: automations deleted, switched off or left without a trigger."""

    count: int = 0
    deletes: int = 0


def mass_hazard(
    *, deletes: int, others: int, owned: int, recent: Destroyed = Destroyed(), empty: bool = False
) -> tuple[Hazard, ...]:
    """The refusal, if one is due, of deleting some and switching others off, of `owned` automations that there are now.

    `empty` says that no file declares anything: then not even the only one goes unasked.
    """
    new = deletes + others
    if not too_many(new, owned=owned, recent=recent) and not (empty and new):
        return ()
    done = "deleted" if not others else "deleted or switched off" if deletes else "switched off"
    before = f", after {recent.count} in the last ten minutes" if recent.count else ""
    why = "nothing at all is declared: " if empty else ""
    message = f"{why}{new} of {owned} automations would be {done}{before}; to do that, say --allow-deletes={new}"
    return (Hazard("AU001", "", message),)


def too_many(count: int, *, owned: int, recent: Destroyed = Destroyed()) -> bool:
    """Whether destroying `count` of `owned` automations at once is too much, after what was destroyed just before."""
    total, of = count + recent.count, owned + recent.deletes
    return count > 0 and (total > max(1, int(of * DELETE_SHARE)) or total > MOST_DELETES or (total == of and of > 1))
