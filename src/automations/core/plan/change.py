"""A change: one thing that applying a plan would do, with its reason, its place on both sides, and its effects."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from automations.core.plan.diff import Field
from automations.core.plan.effects import Effects
from automations.core.plan.state import InFlight
from automations.core.spec.model import Automation, Manifest

Action = Literal["create", "update", "rename", "move", "adopt", "delete"]
ACTIONS: tuple[Action, ...] = ("create", "update", "rename", "move", "adopt", "delete")
Resource = Literal["automation", "action"]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that applying would do.

    `file` and `line` (from 1) are where the new text stands, for a delete where the old one stood. `fields` have the lines
    of the new side, `before_lines` those of the old one, as far as the old text was kept. `based_on` is the generation
    judged (0 for what is new); `uid` is None for what is new. `resembles` is the id that goes and looks like this new one.
    `source` gives the bytes of the file, if they are still what was read.
    """

    id: str
    resource: Resource
    action: Action
    reason: str
    file: str | None
    line: int
    fields: tuple[tuple[Field, int], ...] = ()
    previous_file: str | None = None
    previous_id: str | None = None
    previous_owner: str | None = None
    uid: str | None = None
    based_on: int = 0
    in_flight: InFlight = field(default_factory=InFlight)
    automation: Automation | None = None
    manifest: Manifest | None = None
    before_file: str | None = None
    before_line: int | None = None
    before_lines: tuple[int | None, ...] = ()
    effects: Effects = field(default_factory=Effects)
    resembles: str | None = None
    destructive: bool = False
    source: Callable[[], bytes | None] | None = field(default=None, compare=False, repr=False)

    @property
    def suggestion(self) -> str | None:
        """The line that makes a rename of a new automation and one that goes."""
        return None if self.resembles is None else f"lifecycle: {{renamedFrom: {self.resembles}}}"
