"""A control plane with schedules, and daemons that look at the clock when a test says so."""

from typing import Any

from automations.core.canonical import decode
from automations.core.instant import SECOND, parse_iso
from automations.services.plan.definitions import Bindings
from automations.services.trigger.parts import Parts
from automations.services.trigger.schedule import Scheduler
from automations.services.trigger.schedule_view import every_schedule, misfires
from automations.store.database import Database
from control_plane import ControlPlane
from samples import spec, step

MINUTE = 60 * SECOND
MIDNIGHT = parse_iso("2026-06-01T00:00:00Z")


class Scheduled(ControlPlane):
    """A control plane with daemons that look at the clock."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.clock.at = MIDNIGHT + MINUTE
        self.scheduler = self.daemon()

    def daemon(self) -> Scheduler:
        """One more daemon, or one after a restart."""
        parts = Parts(self.database, Bindings(self.database), self.clock, self.ids, self.telemetry)
        return Scheduler(parts)

    def look(self, at: int, *, by: Scheduler | None = None) -> int:
        """Set the clock and tick; when the daemon wants to look again."""
        self.clock.at = at
        return (by or self.scheduler).tick(at)

    def started(self) -> list[str]:
        """Nominal times of the runs, oldest first."""
        with self.database.read() as tx:
            rows = tx.all("SELECT metadata_json FROM runs ORDER BY id")
        return [decode(row["metadata_json"])["schedule"]["nominalTime"][11:16] for row in rows]

    def hourly(self, **keys: Any) -> dict[str, Any]:
        """An automation that runs every hour."""
        trigger = {"kind": "schedule", "cron": "0 * * * *", "overlap": "parallel", **keys}
        return spec("a", triggers=[trigger], actions=[step(input={"at": "${{ schedule.nominalTime }}"})])


def at(text: str) -> int:
    return parse_iso(f"2026-06-01T{text}:00Z")


def ledger(plane: Scheduled) -> list[dict[str, Any]]:
    return misfires(plane.database, "a", before=None, limit=100)


def failing(plane: Scheduled, *times: str) -> None:
    """Look at these times; every run that starts fails."""
    for time in times:
        plane.look(at(time))
        for row in plane.claim(limit=10):
            plane.undone(row, retryable=False)


def standing(plane: Scheduled) -> dict[str, Any]:
    return every_schedule(plane.database, now=plane.clock.at)[0]
