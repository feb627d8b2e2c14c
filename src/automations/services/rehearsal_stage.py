"""Where a case is played: the services over one empty store, with a clock that only the case moves and ids that count."""

import json
from collections.abc import Mapping
from typing import Any

from automations.core.plan.plan import Request
from automations.core.spec.catalogue import Catalogue
from automations.services.apply import Apply, Authority
from automations.services.approval import Approvals
from automations.services.approval import Parts as ApprovalParts
from automations.services.definitions import Bindings
from automations.services.event_view import event_list, why
from automations.services.ingest import Ingest
from automations.services.plan import plan
from automations.services.programs import Programs
from automations.services.queue import Queue
from automations.services.schedule import Parts as ScheduleParts
from automations.services.schedule import Scheduler
from automations.services.timers import Parts as TimersParts
from automations.services.timers import Timers
from automations.services.trigger import Parts as StartParts
from automations.services.trigger import Start
from automations.services.webhook_routes import Wanted, WebhookRoutes
from automations.store import actions, deadlines, events, roles, timers
from automations.store.database import Database, Row
from automations.store.migrate import migrate

SOURCE = "rehearsed"
MOST_EVENTS = 1000
"""Events of a case that are looked at for why they started nothing."""


class SetClock:
    """Says what it was set to (microseconds)."""

    def __init__(self, at: int) -> None:
        self.at = at

    def now(self) -> int:
        """See `ports.Clock`."""
        return self.at


class CountingIds:
    """Ids that rise by one, so that a case always plays the same; jitter is always half."""

    def __init__(self) -> None:
        self._last = 0

    def new(self) -> str:
        """See `ports.Ids`."""
        self._last += 1
        return f"00000000-0000-7000-8000-{self._last:012d}"

    def fraction(self) -> float:
        """See `ports.Ids`."""
        return 0.5


class Silence:
    """Nobody listens."""

    def emit(self, event: str, /, **fields: Any) -> None:
        """See `ports.Telemetry`."""


class Stage:
    """The services of one case. `route_ids` are the webhook routes of its automation."""

    def __init__(self, database: Database, *, at: int) -> None:
        self.database = database
        self.clock = SetClock(at)
        ids, silence = CountingIds(), Silence()
        migrate(database, now=at, lineage=ids.new())
        self.bindings = Bindings(database)
        programs = Programs()
        parts: Mapping[str, Any] = {"clock": self.clock, "ids": ids, "telemetry": silence}
        self._apply = Apply(database, **parts)
        self._routes = WebhookRoutes(database, self.clock, ids)
        self.ingest = Ingest(database, self.bindings, **parts)
        self.queue = Queue(database, programs, **parts)
        self.start = Start(StartParts(database, self.bindings, **parts))
        self.scheduler = Scheduler(ScheduleParts(database, self.bindings, **parts))
        self.approvals = Approvals(ApprovalParts(database, programs, **parts))
        self.timers = Timers(TimersParts(database, self.bindings, **parts))
        self.route_ids: tuple[str, ...] = ()

    def put(self, part: Catalogue) -> None:
        """Apply what a case needs: one automation and the manifests that its steps may mean."""
        self._apply.strict(plan(self.database, part, Request(SOURCE)), Authority(SOURCE))
        for declared in part.automations.values():
            hooks = [trigger for trigger in declared.value.triggers if trigger.kind == "webhook"]
            if any(hook.route is None for hook in hooks):
                mapping = {"source": "test", "type": "test"}
                self._routes.create(Wanted(declared.value.id, mapping, id="rehearsed"), actor=SOURCE)
                self.route_ids = ("rehearsed",)
            self.route_ids = (*(hook.route.id for hook in hooks if hook.route), *self.route_ids)

    def next_due(self) -> int | None:
        """When something that waits for its time goes on (microseconds); None when nothing does."""
        with self.database.read() as tx:
            instants = (
                actions.next_available(tx, actions.Which()),
                actions.next_expiry(tx),
                timers.next_due(tx),
                deadlines.next_deadline(tx),
            )
        return min((at for at in instants if at is not None), default=None)

    def tick(self) -> None:
        """Let everything that waits for its time look at the clock."""
        self.approvals.tick(self.clock.now())
        self.timers.tick(self.clock.now())
        self.queue.recover()

    def vouch(self, actor: str, row: Row) -> None:
        """Whoever a case names has the roles that its step asks for: a case says what follows, not who is who."""
        gate = json.loads(row["approval_json"] or "{}").get("requirement", {})
        with self.database.write() as tx:
            for role in gate.get("roles", ()):
                roles.grant(tx, {"actor": actor, "role": role, "granted_by": SOURCE, "now": self.clock.now()})

    def waiting(self) -> list[Row]:
        """Actions that wait for a decision, oldest first."""
        with self.database.read() as tx:
            return actions.waiting(tx)

    def why_not(self) -> list[str]:
        """For every event that started nothing, what stood in its way."""
        unmatched = event_list(self.database, events.Wanted(outcome="unmatched", limit=MOST_EVENTS))
        judged = [why(self.database, self.bindings, event["eventId"]) for event in unmatched]
        return [_because(verdict) for each in judged for verdict in each["triggers"]]


def _because(verdict: Mapping[str, Any]) -> str:
    what = f"trigger {verdict['trigger']}"
    if "predicate" not in verdict:
        return f"{what}: {verdict.get('reason', verdict['outcome'])}"
    saw = f" saw {verdict['value']!r}" if "value" in verdict else ""
    return f"{what}: {verdict['predicate']}{saw}" + (f" ({verdict['reason']})" if "reason" in verdict else "")
