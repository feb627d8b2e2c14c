"""The seams that services need from the outside world. Adapters fit them by shape; the simulation brings its own."""

from collections.abc import Callable, Mapping
from threading import Event
from typing import Any, Protocol

from automations.core.run.execution import Invocation, Outcome
from automations.core.spec.snapshot import Snapshot, Untrusted


class Clock(Protocol):
    """Says what time it is."""

    def now(self) -> int:
        """Microseconds since the Unix epoch, UTC."""
        ...


class Ids(Protocol):
    """Makes identifiers and the small randomness that jitter needs."""

    def new(self) -> str:
        """A time-ordered UUID (version 7, RFC 9562 §5.7) as lower-case text."""
        ...

    def fraction(self) -> float:
        """A number in [0, 1)."""
        ...


class Secrets(Protocol):
    """Resolves references at the edge."""

    def resolve(self, names: tuple[str, ...], ref: str | None) -> tuple[bytes, ...]:
        """Every value that is valid now (current first, then previous); empty when there is none."""
        ...


class Telemetry(Protocol):
    """Where services tell what happened; subscribers make logs and metrics of it. Never payloads, never secrets."""

    def emit(self, event: str, /, **fields: Any) -> None:
        """One thing that happened: a dotted name such as `run.materialized` and scalar fields."""
        ...


class Executor(Protocol):
    """Carries out one kind of binding."""

    kind: str

    def execute(self, invocation: Invocation, cancelled: Event) -> Outcome:
        """Run it to an outcome; return `Cancelled` soon after `cancelled` is set. Never raises for what the action did."""
        ...


class Running(Protocol):
    """An attempt under way."""

    def outcome(self) -> Outcome | None:
        """How it ended, or None while it runs."""
        ...

    def cancel(self, reason: str) -> None:
        """Stop it; its outcome will be `Cancelled` unless it ended before."""
        ...


class Launcher(Protocol):
    """Starts attempts without waiting for them."""

    def launch(self, invocation: Invocation) -> Running:
        """Start an attempt. Never raises for what the action does."""
        ...


class Tree(Protocol):
    """A directory of specs."""

    def take(self, known: Mapping[str, str], *, afresh: bool = False) -> Snapshot | Untrusted:
        """Look at all of it; files whose stamp is in `known` (name to stamp) need not be read, unless `afresh`."""
        ...


Wake = Callable[[], None]
