"""The library face: the command line's verbs as methods, for programs that hold a store themselves.

A thin face over the same services as the command line and the server, so all three see one truth. Every method takes and gives
plain data in the records of the contract (camelCase keys, ISO times, what is absent has no key), and raises the errors of
`automations.errors`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from automations.core.canonical import digest_bytes, encode
from automations.core.instant import MILLISECOND
from automations.core.record import action_record
from automations.core.run.queue import Failure, Holder
from automations.core.run.replay import Mode
from automations.core.spec.catalogue import interpret
from automations.core.strict_json import parse
from automations.core.trigger.envelope import Envelope, from_document, to_document
from automations.core.trigger.type_template import render_type
from automations.errors import InvalidInput
from automations.runtime import open_runtime
from automations.services.inspect import Filter
from automations.services.run.dead_letters import Letters
from automations.services.run.queue import Claim, Done, Undone, pattern
from automations.services.run.replay import Wanted
from automations.services.trigger.ingest import Delivery, Ingested
from automations.services.trigger.webhook_routes import Wanted as WantedRoute
from automations.settings import Words, chosen_actor, load
from automations.store.actions import Which

Record = dict[str, Any]
"""A record of the contract, as it would be printed under `--json`."""
LEASE_MS = 30_000
_ROUTE = frozenset({"id", "path", "mapping", "signature"})
_MAPPING = frozenset(
    ("source", "type", "subject", "subjectPath", "dataPath", "idPath", "timePath", "dedupeKeyPath", "dedupeKeyHeader")
)


class AutomationsStore:
    """A store and everything that can be done with it. Thread-safe; close it, or use it in a `with` block.

    Without arguments it opens what the command line would: `HASNA_AUTOMATIONS_DIR`, else `AUTOMATIONS_DATA_DIR`, else
    `~/.hasna/automations`. `directory` names another data root, `url` another store, `actor` who is recorded for changes.
    Raises StoreError when the store cannot be opened.

    >>> from automations import AutomationsStore, example_automation_spec
    >>> store = AutomationsStore()
    >>> store.create_automation(example_automation_spec())["id"]
    'tickets.escalate-critical'
    >>> store.status()["counts"]["automations"]
    1
    >>> store.close()
    """

    def __init__(
        self, directory: str | Path | None = None, *, url: str | None = None, actor: str | None = None
    ) -> None:
        named = None if directory is None else str(directory)
        self._runtime = open_runtime(load(words=Words(directory=named, store=url, actor=actor)))
        self._actor = self._runtime.settings.actor

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the store; nothing else may be called afterwards."""
        self._runtime.close()

    def status(self) -> Record:
        """Where the store is, what is in it, how the daemon stands."""
        return self._runtime.inspect.status()

    # Automations and events

    def create_automation(self, spec: Mapping[str, Any]) -> Record:
        """Create or update an automation owned by `api`. Raises SpecInvalid with all findings, Conflict, StoreUnavailable."""
        interpreted = interpret(_json(spec, "the spec").encode(), "spec.json")
        return self._runtime.author.create(interpreted, actor=self._actor)

    def list_automations(self) -> list[Record]:
        """Every automation, whoever owns it, oldest first."""
        return self._runtime.inspect.automations()

    def get_automation(self, automation_id: str) -> Record:
        """One automation. Raises NotFound."""
        return self._runtime.inspect.automation(automation_id)

    def materialize_event(self, event: Mapping[str, Any]) -> list[Record]:
        """Take an event in: `{automation, run, actions}` for every run, the first time's for an event seen before.

        Raises InvalidInput for what is no event, StoreUnavailable.
        """
        runtime = self._runtime
        text = _json(event, "the event")
        envelope = from_document(parse(text), received_at=runtime.clock.now(), new_id=runtime.ids.new())
        return self._materialized(
            runtime.ingest.one(Delivery(envelope, digest_bytes(encode(json.loads(text)).encode())))
        )

    def list_runs(
        self, *, automation_id: str | None = None, before: str | None = None, limit: int = 50
    ) -> list[Record]:
        """Runs, newest first; `before` is the id of the last one of the page before."""
        return self._runtime.inspect.runs(Filter(automation_id, None, before, limit))

    def get_run(self, run_id: str) -> Record:
        """One run with its `actions`, their `attempts`, and its `event`. Raises NotFound."""
        return self._runtime.inspect.run(run_id)

    # The queue

    def claim_next_action(self, runner: str, *, lease_ms: int = LEASE_MS, action: str | None = None) -> Record | None:
        """Lease the next action to a runner, or None; `action` keeps to ids such as `todos.*`. Raises StoreUnavailable."""
        which = Which(only=() if action is None else (pattern(action),))
        rows = self._runtime.queue.claim(Claim(runner, lease=lease_ms * MILLISECOND, which=which))
        return action_record(rows[0]) if rows else None

    def heartbeat_action(
        self, action_id: str, runner: str, *, fence: int | None = None, lease_ms: int = LEASE_MS
    ) -> Record:
        """Prolong a live lease from now. Raises NotFound, Conflict when it is not this runner's."""
        row = self._runtime.queue.keep(action_id, Holder(runner, fence), lease=lease_ms * MILLISECOND)
        return action_record(row)

    def release_action(self, action_id: str, runner: str, *, fence: int | None = None) -> Record:
        """Give a claim back without spending an attempt. Raises NotFound, Conflict when it is not this runner's."""
        return action_record(self._runtime.queue.give_back(action_id, Holder(runner, fence)))

    def complete_action(
        self, action_id: str, runner: str, *, result: Mapping[str, Any] | None = None, fence: int | None = None
    ) -> Record:
        """Report success. The same report again, with its fence, is answered as before.

        Raises NotFound, Conflict when the action is not this runner's, StoreUnavailable.
        """
        said = None if result is None else json.loads(_json(result, "the result"))
        return action_record(self._runtime.queue.complete(Done(action_id, Holder(runner, fence), said)))

    def fail_action(
        self,
        action_id: str,
        runner: str,
        *,
        error: Mapping[str, Any] | None = None,
        retry_backoff_ms: int | None = None,
        fence: int | None = None,
    ) -> Record:
        """Report failure: `error` is `{code?, message?, retryable?}`. Retried later, or dead. Raises as `complete_action`."""
        said = {**Failure().document(), **(error or {})}
        backoff = None if retry_backoff_ms is None else retry_backoff_ms * MILLISECOND
        failure = Failure(str(said["code"]), str(said["message"]), bool(said["retryable"]), backoff=backoff)
        return action_record(self._runtime.queue.fail(Undone(action_id, Holder(runner, fence), failure)))

    def list_actions(self, *, status: str | None = None, after: str | None = None, limit: int = 50) -> list[Record]:
        """Actions that are not over (or of one status), oldest first; `after` is the last id of the page before."""
        return self._runtime.inspect.actions(status=status, after=after, limit=limit)

    def get_action(self, action_id: str) -> Record:
        """One action with its ended `attempts`. Raises NotFound."""
        return self._runtime.inspect.action(action_id)

    # Decisions

    def list_waiting_actions(self) -> list[Record]:
        """Actions that wait for an approval, oldest first."""
        return self._runtime.inspect.waiting()

    def approve_action(self, action_id: str, *, actor: str | None = None) -> Record:
        """Give one approval. Raises InvalidInput for an actor that nobody can be, NotFound, Conflict."""
        return action_record(self._runtime.approvals.approve(action_id, actor=self._who(actor)))

    def reject_action(self, action_id: str, *, reason: str | None = None, actor: str | None = None) -> Record:
        """End a waiting action for good. Raises InvalidInput for an actor that nobody can be, NotFound, Conflict."""
        return action_record(self._runtime.approvals.reject(action_id, actor=self._who(actor), reason=reason))

    def list_dead_actions(self) -> list[Record]:
        """Dead and rejected actions, oldest first; at most a thousand."""
        return self._runtime.inspect.dead_letters(Letters())

    def requeue_dead_action(self, action_id: str, *, reason: str | None = None) -> Record:
        """Put a dead action back into the queue; its run goes on. Raises NotFound, Conflict."""
        return action_record(self._runtime.replay.action(action_id, actor=self._actor, reason=reason))

    def replay_run(
        self,
        run_id: str,
        *,
        mode: str = "failed-actions",
        current: bool = False,
        from_step: str | None = None,
        reason: str | None = None,
    ) -> Record:
        """Try a run again: `{replayId, mode, runId, status, generation, replayOf?, steps}`.

        `mode` is `failed-actions`, `dead-actions` or `entire-run`, which makes a new run, from a step if one is named;
        `current` takes today's spec. Raises NotFound, Conflict, InvalidInput.
        """
        if mode not in set(Mode):
            raise InvalidInput(f"no such replay mode: {mode}", hint=f"one of: {', '.join(Mode)}")
        wanted = Wanted(Mode(mode), current=current, from_step=from_step, reason=reason)
        return self._runtime.replay.run(run_id, wanted, actor=self._actor)

    # Webhooks

    def create_webhook_route(self, automation_id: str, route: Mapping[str, Any]) -> Record:
        """Create a route or replace the one of that id: `{mapping: {source, type, …}, id?, path?, signature?}`.

        Raises InvalidInput, NotFound, Conflict.
        """
        mapping = dict(route.get("mapping", {}))
        unknown = sorted({*set(route) - _ROUTE, *set(mapping) - _MAPPING})
        missing = [key for key in ("source", "type") if not mapping.get(key)]
        if unknown or missing:
            what = f"unknown key {unknown[0]}" if unknown else f"mapping needs {missing[0]}"
            raise InvalidInput(f"webhook route: {what}", hint="such as: {'mapping': {'source': 's', 'type': 't'}}")
        signature = route.get("signature")
        signed = {"algorithm": "hmac-sha256", **signature} if signature else None
        wanted = WantedRoute(automation_id, mapping, route.get("id"), route.get("path"), signed)
        return self._runtime.webhook_routes.create(wanted, actor=self._actor)

    def list_webhook_routes(self) -> list[Record]:
        """All routes, oldest first."""
        return self._runtime.webhook_routes.every()

    def get_webhook_route(self, route: str) -> Record:
        """One route by id or path. Raises NotFound."""
        return self._runtime.webhook_routes.show(route)

    def set_webhook_route_status(self, route: str, status: str) -> Record:
        """Make a route `active`, `disabled` or `archived`. Raises NotFound, Conflict, InvalidInput."""
        if status not in ("active", "disabled", "archived"):
            raise InvalidInput(f"no such route status: {status}", hint="one of: active, disabled, archived")
        return self._runtime.webhook_routes.set_status(route, status, actor=self._actor)

    def rotate_webhook_route_secret(self, route: str, secret_ref: str) -> Record:
        """Point a signed route at another secret. Raises NotFound, Conflict, InvalidInput."""
        return self._runtime.webhook_routes.rotate_secret(route, secret_ref, actor=self._actor)

    def webhook_event(self, route: str, body: bytes | str, *, headers: Mapping[str, str] | None = None) -> Record:
        """The event that a request would become; nothing is written, no signature is asked for. Raises InvalidInput."""
        return to_document(self._envelope(route, _raw(body), headers=headers))

    def materialize_webhook_request(
        self, route: str, body: bytes | str, *, headers: Mapping[str, str] | None = None
    ) -> Record:
        """Take a request in as if it had come over HTTP, without a signature: `{route, event, materialized}`.

        Raises NotFound, InvalidInput for a body that the route cannot map, Conflict for an inactive route.
        """
        raw = _raw(body)
        envelope = self._envelope(route, raw, headers=headers)
        taken = self._runtime.ingest.one(Delivery(envelope, digest_bytes(raw)))
        return {
            "route": self.get_webhook_route(route),
            "event": to_document(envelope),
            "materialized": self._materialized(taken),
        }

    def _who(self, actor: str | None) -> str:
        return self._actor if actor is None else chosen_actor(actor)

    def _envelope(self, route: str, body: bytes, *, headers: Mapping[str, str] | None) -> Envelope:
        named = {name.lower(): (value,) for name, value in (headers or {}).items()}
        return self._runtime.webhook_routes.event(route, body=body, headers=named, render=render_type)

    def _materialized(self, taken: Ingested) -> list[Record]:
        return self._runtime.inspect.materialized(taken.materialized)


def _raw(body: bytes | str) -> bytes:
    return body.encode() if isinstance(body, str) else body


def _json(value: Any, what: str) -> str:
    """Plain data as JSON text. Raises InvalidInput for anything that is not plain data."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as problem:
        raise InvalidInput(f"{what} is not plain JSON data: {problem}", hint="use dict, list, str, numbers") from None
