"""The verbs of `webhooks`: routes made imperatively, owned by `api`, and trying a route from here.

Routes that a spec declares are shown and tried like all others, but changed only in their spec.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from automations.core.audit import Entry
from automations.core.canonical import as_written, digest_bytes, encode
from automations.core.plan.state import API_OWNER
from automations.core.record import route_record
from automations.core.spec import build
from automations.core.spec.checks import path_problem
from automations.core.spec.webhook_route import id_problem, normalised_path, signature_problem
from automations.core.strict_json import parse
from automations.core.trigger.envelope import Envelope
from automations.core.trigger.webhook import normalise
from automations.errors import Conflict, InvalidInput, NotFound
from automations.services import audit
from automations.services.identity import not_there
from automations.services.ports import Clock, Ids
from automations.store import automations, routes, state
from automations.store.database import Database, Row, Transaction

Render = Callable[[str, Any], str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `webhooks create` asks for: the contract's `mapping` and `signature`, and where."""

    automation_id: str
    mapping: Mapping[str, Any]
    id: str | None = None
    path: str | None = None
    signature: Mapping[str, Any] | None = None
    unsigned: bool = False


@dataclass(frozen=True, slots=True)
class WebhookRoutes:
    """Creates, changes and tries routes."""

    database: Database
    clock: Clock
    ids: Ids

    def create(self, wanted: Wanted, *, actor: str) -> dict[str, Any]:
        """Create a route or replace the one of that id. Raises InvalidInput, NotFound, Conflict in the original's words."""
        identity = self.ids.new() if wanted.id is None else wanted.id
        path = normalised_path(wanted.path or f"/webhooks/{identity}")
        problem = id_problem(identity) or path_problem(path)
        if problem is None and wanted.signature:
            problem = signature_problem(wanted.signature)
        if problem:
            raise InvalidInput(problem, hint="see: automations webhooks create --help")
        now = self.clock.now()
        with self.database.write() as tx:
            held = automations.get(tx, wanted.automation_id)
            if held is None or held["deleted_at"] is not None:
                raise not_there(tx, wanted.automation_id)
            _check(tx, wanted, identity=identity, path=path)
            row = {
                "id": identity,
                "automation_id": wanted.automation_id,
                "trigger_id": None,
                "path": path,
                "status": "active",
                "owner": API_OWNER,
                "signature_json": encode(dict(wanted.signature)) if wanted.signature else None,
                "mapping_json": as_written(dict(wanted.mapping)),
                "now": now,
            }
            routes.put(tx, row)
            _commit(tx, Entry(now, actor, "webhooks.create", identity, {"path": path}))
            return route_record(_find(tx, identity))

    def every(self) -> list[dict[str, Any]]:
        """All routes that are not deleted, oldest first."""
        with self.database.read() as tx:
            return [route_record(row) for row in routes.every(tx) if row["deleted_at"] is None]

    def show(self, name: str) -> dict[str, Any]:
        """One route by id or path. Raises NotFound."""
        with self.database.read() as tx:
            return route_record(_find(tx, name))

    def set_status(self, name: str, status: str, *, actor: str) -> dict[str, Any]:
        """Enable (`active`), disable (`disabled`) or archive (`archived`) a route. Raises NotFound, Conflict."""
        return self._change(name, {"status": status}, Entry(self.clock.now(), actor, f"webhooks.{status}", name, {}))

    def rotate_secret(self, name: str, secret_ref: str, *, actor: str) -> dict[str, Any]:
        """Point a signed route at another secret. Raises NotFound, Conflict, InvalidInput."""
        problem = signature_problem({"secretRef": secret_ref})
        if problem:
            raise InvalidInput(problem, hint="such as: secret://team/webhook")
        route = self.show(name)
        if "signature" not in route:
            raise Conflict(
                f"webhook route has no signature config: {route['id']}", hint="create it anew with --secret-ref"
            )
        signature = encode({**route["signature"], "secretRef": secret_ref})
        entry = Entry(self.clock.now(), actor, "webhooks.rotate-secret", name, {"secretRef": secret_ref})
        return self._change(name, {"signature_json": signature}, entry)

    def event(self, name: str, *, body: bytes, headers: Mapping[str, tuple[str, ...]], render: Render) -> Envelope:
        """What a request on this route would become; nothing is written and no signature is asked for."""
        route = self.show(name)
        if route["status"] != "active":
            raise Conflict(
                f"webhook route is not active: {route['id']}", hint=f"automations webhooks enable {route['id']}"
            )
        return normalise(
            build.route(route),
            body=parse(body),
            body_digest=digest_bytes(body),
            headers=headers,
            received_at=self.clock.now(),
            render=render,
        )

    def _change(self, name: str, columns: Mapping[str, Any], entry: Entry) -> dict[str, Any]:
        with self.database.write() as tx:
            row = _find(tx, name)
            if row["owner"] != API_OWNER:
                raise Conflict(
                    f"webhook route {row['id']} is declared by {row['owner']}",
                    hint=f"change the spec of automation {row['automation_id']} instead",
                )
            kept = {key: row[key] for key in _KEPT}
            routes.put(tx, {**kept, **columns, "now": entry.at})
            _commit(tx, entry)
            return route_record(_find(tx, row["id"]))


_KEPT = ("id", "automation_id", "trigger_id", "path", "status", "owner", "signature_json", "mapping_json")


def _check(tx: Transaction, wanted: Wanted, *, identity: str, path: str) -> None:
    for row in routes.every(tx):
        if row["deleted_at"] is not None:
            continue
        if row["id"] == identity:
            _check_same(row, wanted)
        elif row["path"] == path:
            raise Conflict(f"webhook route path is in use by {row['id']}: {path}", hint="choose another --path")


def _check_same(row: Row, wanted: Wanted) -> None:
    """Making a route anew is fine for its owner; dropping its signature has to be said."""
    if row["owner"] != API_OWNER:
        raise Conflict(
            f"webhook route {row['id']} is declared by {row['owner']}",
            hint=f"change the spec of automation {row['automation_id']} instead",
        )
    if row["signature_json"] and not wanted.signature and not wanted.unsigned:
        raise Conflict(
            f"webhook route {row['id']} is signed, and this would take its signature away",
            hint="give --secret-ref, or say --unsigned",
        )


def _find(tx: Transaction, name: str) -> Row:
    for row in routes.every(tx):
        if row["deleted_at"] is None and name in (row["id"], row["path"]):
            return row
    raise NotFound(f"webhook route not found: {name}", hint="see: automations webhooks list")


def _commit(tx: Transaction, entry: Entry) -> None:
    """Routes are definitions: the serial rises, so that every server takes the change in."""
    serial = state.read(tx)["serial"]
    if not state.bump(tx, serial=serial):
        raise Conflict("another definition was committed at the same moment", hint="try again")
    audit.append(tx, entry)
