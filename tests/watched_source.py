"""One real directory, one source, one control plane, and rounds of the loop with time in the test's hands."""

from pathlib import Path
from typing import Any

from automations.adapters.files import DirectoryTree
from automations.core.canonical import decode
from automations.core.instant import SECOND
from automations.core.plan.prune import Policy
from automations.services.lead import Lead
from automations.services.reconcile.reconcile import Parts, Reconciler, Round, Source
from automations.services.reconcile.suspend import Suspend
from automations.store import sources
from automations.store.database import Database, Row
from control_plane import ControlPlane
from samples import raw


class Loop:
    """One directory, one source, one control plane. With a `daemon`'s name its ticks only bind what that one leads."""

    def __init__(
        self,
        database: Database,
        directory: Path,
        policy: Policy | None = None,
        *,
        daemon: str | None = None,
        source: str = "default",
    ) -> None:
        self.plane = ControlPlane(database)
        self.directory = directory
        plane = self.plane
        tree = DirectoryTree(directory, shown="specs")
        parts = Parts(database, plane.bindings, plane.applying, plane.clock, plane.ids, plane.telemetry)
        self.last = Round("settled")
        lead = Lead(database, source, me=daemon, clock=plane.clock, ttl=15 * SECOND) if daemon else None
        self.reconciler = Reconciler(Source(source, tree.root, policy or Policy()), tree, parts, lead=lead)

    def write(self, name: str, document: Any) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw(document))

    def remove(self, name: str) -> None:
        (self.directory / name).unlink()

    def round(self, *, seconds: int = 1, confirm: int | None = None) -> bool:
        """One round, a second later; whether it settled."""
        self.plane.clock.at += seconds * SECOND
        self.last = self.reconciler.reconcile(confirm=confirm)
        return self.last.settled

    def source(self) -> Row:
        with self.plane.database.read() as tx:
            row = sources.get(tx, "default")
        assert row is not None
        return row

    def condition(self, name: str) -> dict[str, str]:
        return dict(decode(self.source()["conditions_json"])[name])

    def valid(self, identity: str) -> dict[str, str]:
        return dict(decode(self.plane.automations()[identity]["conditions_json"])["SpecValid"])

    def generations(self) -> dict[str, int]:
        return {name: row["generation"] for name, row in self.plane.automations().items()}

    def sync(self) -> str:
        (shown,) = self.plane.inspect.status()["sources"]
        return str(shown["sync"])

    def suspend(self, name: str, *, until: int | None = None) -> None:
        """Pause by hand."""
        plane = self.plane
        Suspend(plane.database, plane.clock, plane.telemetry).suspend(name, reason="quiet", until=until, actor="ops")
