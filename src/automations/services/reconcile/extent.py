"""How much a round looks at after its commit: every row of its source, or only what may stand otherwise than at the last look.

Among ten thousand automations a save changes one. What a round did not touch, and what nobody had anything to say of, stands as
it stood at the last look, as long as nobody else changed definitions: whoever does raises the serial. Rows that somebody edits by
hand raise nothing; they are found by the next resync, which looks at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from automations.core.plan.plan import Plan
from automations.core.plan.state import Held


@dataclass(frozen=True, slots=True)
class Extent:
    """What is known since the last look, at which `serial`; of nothing before the first.

    `spoken` are the ids of which something was said then: it may be over by now.
    """

    serial: int | None = None
    spoken: frozenset[str] = frozenset()
    held: Mapping[str, Held] = field(default_factory=dict)

    def knows(self, serial: int) -> bool:
        """Whether everything still is as it was at the last look, but for rows that were edited by hand."""
        return self.serial == serial

    def narrowed(self, made: Plan, *, speaks: frozenset[str]) -> frozenset[str]:
        """The ids to look at after a commit; `speaks` are those of which something is to be said now."""
        return self.spoken | speaks | touched(made)


def touched(made: Plan) -> frozenset[str]:
    """The ids of the automations that a plan changes, with those that they had before."""
    mine = [change for change in made.changes if change.resource == "automation"]
    return frozenset(each for change in mine for each in (change.id, change.previous_id) if each is not None)
