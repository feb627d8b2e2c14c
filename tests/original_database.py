"""A database as the original program leaves one behind: its tables, its JSON columns, its schema version."""

import json
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import apsw

from automations.core.instant import SECOND, iso
from control_plane import START

Data = dict[str, Any]

TABLES = {
    "automations": "id TEXT PRIMARY KEY, spec_json TEXT NOT NULL, status TEXT, created_at TEXT, updated_at TEXT",
    "automation_runs": """id TEXT PRIMARY KEY, automation_id TEXT, status TEXT, trigger_json TEXT, trigger_event_id TEXT,
      idempotency_key TEXT UNIQUE, created_at TEXT, updated_at TEXT, started_at TEXT, completed_at TEXT, error_json TEXT,
      metadata_json TEXT""",
    "automation_actions": """id TEXT PRIMARY KEY, automation_run_id TEXT, step_id TEXT, action_id TEXT,
      idempotency_key TEXT UNIQUE, status TEXT, invocation_json TEXT, attempt INTEGER, max_attempts INTEGER,
      available_at TEXT, created_at TEXT, updated_at TEXT, claimed_by TEXT, claimed_at TEXT, lease_expires_at TEXT,
      approval_gate_json TEXT, result_json TEXT, error_json TEXT, dead_letter_json TEXT, metadata_json TEXT""",
    "automation_replay_requests": """id TEXT PRIMARY KEY, automation_run_id TEXT, requested_at TEXT, requested_by TEXT,
      mode TEXT, reason TEXT, metadata_json TEXT""",
    "webhook_routes": """id TEXT PRIMARY KEY, automation_id TEXT, path TEXT UNIQUE, status TEXT, signature_json TEXT,
      mapping_json TEXT, created_at TEXT, updated_at TEXT, metadata_json TEXT""",
}
BEGAN = iso(START - 60 * SECOND)
TOUCHED = iso(START - 30 * SECOND)
GATE: Data = {"requirement": {"requiresApproval": True, "reason": "money"}, "blockedUntilApproved": True}


class OriginalDatabase:
    """Builds the file; `close` it before it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = apsw.Connection(str(path))
        self.connection.pragma("user_version", 3)
        for name, columns in TABLES.items():
            self.connection.execute(f"CREATE TABLE {name} ({columns})")
        self._count = count(1)

    def close(self) -> None:
        self.connection.close()

    def put(self, table: str, **columns: Any) -> None:
        """A row as it is; plain data of `…_json` columns is written as JSON."""
        row = {name: json.dumps(each) if name.endswith("_json") and not isinstance(each, str) else each
               for name, each in columns.items() if each is not None}  # fmt: skip
        names = ", ".join(row)
        sql = f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(row))})"  # noqa: S608  # fixed names
        self.connection.execute(sql, tuple(row.values()))

    def automation(self, identity: str, *steps: Data, status: str = "active", **spec: Any) -> None:
        """An automation of these steps that `ticket.created` of `tickets` starts."""
        trigger = {"kind": "event", "source": "tickets", "type": "ticket.created"}
        document = {
            "schemaVersion": "1.0", "id": identity, "name": identity, "version": "1", "triggers": [trigger],
            "actions": list(steps) or [{"id": "a", "actionId": "x.one"}], "status": status, **spec,
        }  # fmt: skip
        self.put("automations", id=identity, spec_json=document, status=status, created_at=BEGAN, updated_at=TOUCHED)

    def run(self, identity: str, automation: str, *, event: str = "e1", kind: str = "event", **columns: Any) -> None:
        """A run that an event of `tickets` began."""
        self.put(
            "automation_runs",
            **{
                "id": identity, "automation_id": automation, "status": "materialized",
                "trigger_json": {"kind": kind}, "trigger_event_id": event, "idempotency_key": f"{automation}:{event}",
                "created_at": BEGAN, "updated_at": BEGAN,
                "metadata_json": {"eventSource": "tickets", "eventType": "ticket.created"}, **columns,
            },
        )  # fmt: skip

    def action(self, run: str, step: str = "a", *, status: str = "queued", given: Any = None, **columns: Any) -> str:
        """An action of a run; its id."""
        identity = f"{run}.{step}"
        invocation = {
            "id": f"invocation-{next(self._count)}", "actionId": "x.one", "manifestVersion": "1.0.0",
            "input": {} if given is None else given, "automationId": "q", "runId": run, "requestedAt": BEGAN,
            "idempotencyKey": f"key:{identity}", "metadata": {"eventId": "e1"},
        }  # fmt: skip
        self.put(
            "automation_actions",
            **{
                "id": identity, "automation_run_id": run, "step_id": step, "action_id": "x.one",
                "idempotency_key": f"key:{identity}", "status": status, "invocation_json": invocation, "attempt": 0,
                "max_attempts": 3, "available_at": BEGAN, "created_at": BEGAN, "updated_at": TOUCHED, **columns,
            },
        )  # fmt: skip
        return identity

    def route(
        self, identity: str, automation: str, *, mapping: Mapping[str, Any] | None = None, **columns: Any
    ) -> None:
        """A route that takes events of `tickets`."""
        self.put(
            "webhook_routes",
            **{
                "id": identity, "automation_id": automation, "path": f"/webhooks/{identity}", "status": "active",
                "mapping_json": {"source": "tickets", "type": "ticket.created", **(mapping or {})},
                "created_at": BEGAN, "updated_at": TOUCHED, **columns,
            },
        )  # fmt: skip


def gate(status: str, **keys: Any) -> Data:
    """An approval gate with a decision."""
    decision = {"id": f"decision-{status}", "status": status, "requestedAt": BEGAN, **keys}
    return {**GATE, "blockedUntilApproved": status != "approved", "decision": decision}


def built(path: Path, *fill: Callable[[OriginalDatabase], Any]) -> Path:
    """A file that these filled."""
    database = OriginalDatabase(path)
    for each in fill:
        each(database)
    database.close()
    return path
