"""The world outside the services, in virtual time: clock, ids, telemetry, running attempts, and a directory of files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from automations.core.instant import SECOND
from automations.core.run.execution import Cancelled, Failed, Invocation, Outcome, Succeeded
from automations.core.spec.snapshot import Snapshot, SpecFile, Untrusted
from simulation.specs import Text

ROOT = "/specs"
START = 1_767_225_600 * SECOND


class VirtualClock:
    """Time as the simulation moves it. `looked` hears of every reading."""

    def __init__(self, looked: Callable[[int], None]) -> None:
        self.at = START
        self._looked = looked

    def now(self) -> int:
        """See `services.ports.Clock`."""
        self._looked(self.at)
        return self.at


class SeededIds:
    """Time-ordered ids (RFC 9562 §5.7) that only rise, and fractions, both from the seed."""

    def __init__(self, clock: VirtualClock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self._last = 0

    def new(self) -> str:
        """See `services.ports.Ids`."""
        self._last = max(self._last + 1, (self._clock.at // 1000) << 12)
        digits = f"{self._last >> 12:012x}7{self._last & 0xFFF:03x}{0x8 << 60 | self._random.getrandbits(60):016x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    def fraction(self) -> float:
        """See `services.ports.Ids`."""
        return self._random.random()


class Recorder:
    """Telemetry that hands everything on."""

    def __init__(self, told: Callable[[str, Mapping[str, Any]], None]) -> None:
        self._told = told

    def emit(self, event: str, /, **fields: Any) -> None:
        """See `services.ports.Telemetry`."""
        self._told(event, fields)


@dataclass(slots=True)
class Attempt:
    """An attempt under way, which ends at an instant or (None) never by itself; ended is ended, whatever clocks do."""

    clock: VirtualClock
    ends_at: int | None
    ending: Outcome
    ended: Outcome | None = None

    def outcome(self) -> Outcome | None:
        """See `services.ports.Running`."""
        if self.ended is None and self.ends_at is not None and self.ends_at <= self.clock.at:
            self.ended = self.ending
        return self.ended

    def cancel(self, reason: str) -> None:
        """See `services.ports.Running`."""
        if self.outcome() is None:
            self.ended = Cancelled(reason)


class VirtualLauncher:
    """Starts attempts that end when and how the seed says. `calm` makes all end soon and well."""

    def __init__(self, clock: VirtualClock, random: Random, *, launched: Callable[[Invocation], None]) -> None:
        self._clock = clock
        self._random = random
        self._launched = launched
        self.calm = False
        self._under_way: list[Attempt] = []

    def launch(self, invocation: Invocation) -> Attempt:
        """See `services.ports.Launcher`."""
        self._launched(invocation)
        seconds = 0.5 if self.calm else self._random.choice((0.0, 0.0, 0.2, 0.5, 2.0, 9.0, 45.0, None))
        ends_at = None if seconds is None else self._clock.at + int(seconds * SECOND)
        attempt = Attempt(self._clock, ends_at, self._ending(invocation))
        self._under_way.append(attempt)
        return attempt

    def heal(self) -> None:
        """Let everything that hangs end now."""
        self.calm = True
        for attempt in self._under_way:
            if attempt.ends_at is None:
                attempt.ends_at = self._clock.at

    def _ending(self, invocation: Invocation) -> Outcome:
        drawn = 0.0 if self.calm else self._random.random()
        if drawn < 0.72:
            return Succeeded({"value": invocation.fence + invocation.attempt}, {"exitCode": 0})
        if drawn < 0.75:
            return Succeeded({"value": "not a number"})
        if drawn < 0.80:
            return Failed("EXIT_65", "bad data", retryable=False)
        after = self._random.choice((None, None, 5 * SECOND, 90 * SECOND))
        return Failed("HTTP_503", "try again", retryable=True, retry_after=after)


@dataclass(slots=True)
class VirtualTree:
    """A directory. `trouble` is why it cannot be trusted right now. `taken` hears what was seen (None if nothing)."""

    files: dict[str, Text] = field(default_factory=dict)
    trouble: str | None = None
    taken: Callable[[Mapping[str, Text] | None], None] = lambda _: None

    def take(self, known: Mapping[str, str], *, afresh: bool = False) -> Snapshot | Untrusted:
        """See `services.ports.Tree`."""
        if self.trouble is not None:
            self.taken(None)
            return Untrusted(ROOT, self.trouble, f"{ROOT} is not as it should be")
        self.taken(dict(self.files))
        found = tuple(
            self._file(name, text, known={} if afresh else known) for name, text in sorted(self.files.items())
        )
        return Snapshot(ROOT, "specs/", None, found)

    def _file(self, name: str, text: Text, *, known: Mapping[str, str]) -> SpecFile:
        stamp = f"stamp-{text.revision}"
        return SpecFile(name, stamp, None if known.get(name) == stamp else text.raw, lambda: self._bytes(name))

    def _bytes(self, name: str) -> bytes:
        if name not in self.files:
            raise FileNotFoundError(name)
        return self.files[name].raw
