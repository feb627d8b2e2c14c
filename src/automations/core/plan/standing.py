"""How an automation and a source stand after a look, as conditions: a pure function from facts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from automations.core.instant import iso
from automations.core.plan.conditions import Condition
from automations.core.plan.health import QUIET
from automations.core.reason import shown


@dataclass(frozen=True, slots=True)
class Pause:
    """A suspension: who, why, since when, and until when (microseconds; None for without end)."""

    owner: str
    reason: str
    since: int
    until: int | None = None

    def holds(self, now: int) -> bool:
        """Whether it has not ended yet."""
        return self.until is None or now < self.until

    def words(self) -> str:
        """For a person: who, why, until when."""
        until = "" if self.until is None else f", until {iso(self.until)}"
        return f"by {self.owner}{until}: {shown(self.reason)}"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an automation or a source after a look. Texts are empty where there is nothing to say.

    `invalid` sums up its files' errors; `waiting` is why a change of it was not carried out (reason, message); `blocked` why
    it is not deleted though it is gone from the files; `stalled` what stands in the way until something changes.
    """

    invalid: str = ""
    drift: str = ""
    waiting: tuple[str, str] | None = None
    blocked: tuple[str, str] | None = None
    stalled: tuple[str, str] | None = None


def conditions_of(facts: Facts) -> tuple[Condition, ...]:
    """Every condition, the good ones as well. `Ready` sums up: it does what its file says."""
    valid = Condition("SpecValid", "False", "Invalid", facts.invalid) if facts.invalid else _good("SpecValid", "Valid")
    bound = _good("Bound", "Applied")
    quiet = (
        _quiet("Reconciling", facts.waiting),
        _quiet("Stalled", facts.stalled),
        _quiet("Drifted", ("Changed", facts.drift) if facts.drift else None),
        _quiet("Suspended", None),
        _quiet("PruneBlocked", facts.blocked),
    )
    return (_ready((valid, bound, *quiet)), valid, bound, *quiet)


def _ready(found: tuple[Condition, ...]) -> Condition:
    for condition in found:
        wanted = "False" if condition.type in QUIET else "True"
        if condition.status != wanted and condition.type not in ("PruneBlocked", "Reconciling"):
            return Condition(
                "Ready", "False", condition.type if condition.type in QUIET else condition.reason, condition.message
            )
    return Condition("Ready", "True", "Reconciled")


def _good(name: str, reason: str) -> Condition:
    return Condition(name, "True", reason)


def _quiet(name: str, said: tuple[str, str] | None) -> Condition:
    return Condition(name, "True", *said) if said else Condition(name, "False", f"Not{name}")


def worth_keeping(held: Mapping[str, Any], conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """The conditions without quiet ones that do not hold and never did: thousands of automations say nothing of them."""
    return tuple(each for each in conditions if each.type not in QUIET or each.status != "False" or each.type in held)
