"""One automation before and after a change: what the rules about hazards look at."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from automations.core.diagnostic import Path
from automations.core.plan.heirs import Inheritance, inheritance
from automations.core.plan.state import InFlight
from automations.core.spec import build
from automations.core.spec.model import Automation, Step, Trigger, TriggerKind

BY_THEMSELVES = frozenset({TriggerKind.EVENT, TriggerKind.WEBHOOK, TriggerKind.SCHEDULE})
"""Kinds of triggers that fire without a person or a program asking for it."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """`before` is None for what is new; `in_flight` is its live work."""

    id: str
    before: Automation | None
    after: Automation
    in_flight: InFlight = field(default_factory=InFlight)

    def triggers(self) -> Iterator[tuple[Path, Trigger, Trigger | None]]:
        """Every trigger of the new version, its path, and the one that it carries on."""
        predecessors, _ = self._inheritance
        for index, (trigger, was) in enumerate(zip(self.after.triggers, predecessors, strict=True)):
            yield ("triggers", index), trigger, was

    def ended(self) -> tuple[Trigger, ...]:
        """The triggers of the old version that none carries on."""
        return self._inheritance[1]

    @property
    def _inheritance(self) -> Inheritance:
        return inheritance(self.before.triggers if self.before else (), self.after.triggers)

    def steps(self) -> Iterator[tuple[Path, Step, Step | None]]:
        """Every step of the new version, its path and what it was."""
        held = {step.id: step for step in self.before.steps} if self.before else {}
        sections = [
            (name, index) for name in ("actions", "finally") for index in range(len(self.after.spec.get(name, ())))
        ]
        for path, step in zip(sections, self.after.steps, strict=True):
            yield path, step, held.get(step.id)


def compared(automation: Automation, spec: Mapping[str, Any] | None, in_flight: InFlight) -> Comparison:
    """The comparison with an old spec, if there is one."""
    return Comparison(automation.id, build.automation(spec) if spec else None, automation, in_flight)


def starts_itself(automation: Automation) -> bool:
    """Whether anything but a person or a program starts it."""
    return any(trigger.kind in BY_THEMSELVES for trigger in automation.triggers)
