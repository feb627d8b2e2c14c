"""Whether this daemon may bring the state to its tree: it leads the source, and its tree is not an older one than what is bound.

Checkouts of one repository do not move at the same moment. A daemon that takes over with a tree that it had already seen before
another bound the present state would turn the state back, until its own checkout moves on. So it waits for that, and lets
another lead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from automations.core.canonical import digest
from automations.core.instant import SECOND
from automations.core.spec.snapshot import Snapshot, Untrusted
from automations.services.lead import Led

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from automations.services.lead import Lead, Term

STANDBY = 5 * SECOND
"""How often one that stands by looks whether it may lead."""


class Succession:
    """One daemon's place among those that follow a source. Without a `lead` it is a person's own round, which always may."""

    def __init__(self, lead: Lead | None) -> None:
        self.term: Term | None = None
        self._lead = lead
        self._led = Led()
        self._tree: object = None
        self._digest = ""
        self._stamps: dict[str, str] = {}
        self._trusted = False
        self._seen_at = 0
        """How many trees had been bound when the present one was first seen."""
        self._gave_up: object = None

    @property
    def by(self) -> str:
        """Who bound what is bound."""
        return self._led.by

    @property
    def behind(self) -> bool:
        """Whether another bound a tree since the present one was first seen."""
        return self._lead is not None and self.by != self._lead.me and self._seen_at < self._led.bound

    def leads(self, take: Callable[[Mapping[str, str]], Snapshot | Untrusted]) -> bool:
        """Whether this daemon leads now; who stands by notes how its own tree moves. Raises StoreUnavailable."""
        if self._lead is None:
            return True
        self._led = led = self._lead.stands()
        self.term = led.term if led.term is not None and led.term.holder == self._lead.me else None
        if self.term is not None:
            return True
        if led.term is not None or self._gave_up is not None:
            self.saw(take(self._stamps))
        if led.term is None and self._gave_up != self._situation():
            self._gave_up = None
            self.term = self._lead.take()
        return self.term is not None

    def saw(self, found: Snapshot | Untrusted) -> None:
        """What the tree is now. One that could not be read for a while is still the same when it comes back as it was."""
        self._trusted = not isinstance(found, Untrusted)
        if isinstance(found, Untrusted):
            return
        self._stamps = {file.name: file.stamp for file in found.files}
        tree = [found.revision, list(self._stamps.items())]
        if tree != self._tree:
            self._tree, self._digest, self._seen_at = tree, "", self._led.bound

    def bearing(self) -> Term | None:
        """The term under which the present tree is bound."""
        if self.term is None:
            return None
        if not self._digest:
            self._digest = digest(self._tree)
        return self.term._replace(tree=self._digest)

    def in_step(self, *, committed: bool) -> None:
        """The present tree is what is bound.

        A leader's next tree counts also where it binds nothing yet: what it has to wait for is bound later. Raises
        LockNotHeld when another leads by now, StoreUnavailable.
        """
        self._seen_at = self._led.bound
        term = self.bearing()
        if self._lead is None or term is None or committed:
            return
        if self._led.by == term.holder and self._led.tree != term.tree:
            self._lead.follow(term)

    def step_down(self) -> None:
        """Let another lead, until the tree or what is bound is another. Raises StoreUnavailable."""
        if self._lead is not None:
            self._lead.give_up()
            self.term = None
            self._gave_up = self._situation()

    def may_be_replaced(self) -> bool:
        """Whether another daemon could lead instead. Raises StoreUnavailable."""
        return self.term is not None and self._lead is not None and self._lead.others()

    def _situation(self) -> object:
        return self._trusted, self._tree, self._led.bound, self._led.serial
