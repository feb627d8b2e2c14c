"""The API that programs call with a token: `POST /api/v1/events` and `POST /api/v1/automations/{id}/trigger`.

Every path below `/api/` is this module's. Whoever shows no good token learns nothing but that: not which paths exist, nor whether
a token was unknown, wrong, expired or revoked. The loop's thread only routes; what reads or writes the store runs on a few
threads of its own, and more requests than those can take are turned away.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from automations.core.strict_json import parse
from automations.core.token import Right
from automations.errors import AutomationsError, Conflict, InvalidInput, NotFound, StoreError
from automations.web.answers import answer, refuse
from automations.web.cloudevents import is_binary, structured

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from automations.core.token import Bearer
    from automations.services.trigger.send import Answer as Sent
    from automations.services.trigger.send import Send
    from automations.services.trigger.trigger import Start
    from automations.web.message import Answer, Request, Response

PREFIX = "/api/"
THREADS = 4
ROOM = 256
"""Requests that may be under way; the next one is turned away."""
EVENTS = "/api/v1/events"
_TRIGGER, _TRIGGERED = "/api/v1/automations/", "/trigger"
_SCHEME = "bearer "


@dataclass(frozen=True, slots=True)
class Verbs:
    """What the API offers. `bearer` tells who a token speaks for, `guarded` whether there is any token at all."""

    bearer: Callable[[str], Bearer | None]
    guarded: Callable[[], bool]
    send: Send
    start: Start


class Api:
    """Answers requests below `/api/`."""

    def __init__(self, verbs: Verbs) -> None:
        self._verbs = verbs
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="web-api")
        self._under_way = 0

    def handle(self, request: Request) -> Answer | None:
        """Answer a request if it is one for the API."""
        if not request.path.startswith(PREFIX):
            return None
        if self._under_way >= ROOM:
            return refuse("overloaded")
        return self._answered(request)

    def close(self) -> None:
        """End the threads; what they do is finished first. Blocks."""
        self._threads.shutdown(wait=True)

    async def _answered(self, request: Request) -> Response:
        self._under_way += 1
        try:
            return await self._loop.run_in_executor(self._threads, self._done, request)
        finally:
            self._under_way -= 1

    def _done(self, request: Request) -> Response:
        """On one of the API's threads: who asks, may they, and what comes of it."""
        try:
            bearer = self._bearer(request)
            return refuse("unauthorized") if bearer is None else self._routed(request, bearer)
        except StoreError:
            return refuse("store_unavailable")
        except AutomationsError as problem:
            return _told(problem)

    def _bearer(self, request: Request) -> Bearer | None:
        given = request.values().get("authorization", ())
        if len(given) != 1 or given[0][: len(_SCHEME)].lower() != _SCHEME:
            return None
        return self._verbs.bearer(given[0][len(_SCHEME) :].strip())

    def _routed(self, request: Request, bearer: Bearer) -> Response:
        automation_id = _triggered(request.path)
        if request.path != EVENTS and automation_id is None:
            return refuse("not_found")
        if request.method != "POST":
            return refuse("method_not_allowed")
        if not bearer.may(Right.SEND):
            return refuse("forbidden")
        headers = request.values()
        if headers.get("content-encoding", ("identity",)) != ("identity",):
            return refuse("unsupported_content_encoding")
        if automation_id is None:
            return self._events(request, headers)
        return self._trigger(request, headers, automation_id=automation_id, actor=bearer.actor)

    def _events(self, request: Request, headers: Mapping[str, tuple[str, ...]]) -> Response:
        raw = structured(headers, request.body) if is_binary(headers) else request.body
        answers = self._verbs.send.take(raw, key=_idempotency_key(headers))
        shown = [_sent(each) for each in answers.each]
        if answers.several:
            return answer(202, {"ok": all(each["ok"] for each in shown), "events": shown})
        return answer(202, shown[0])

    def _trigger(
        self, request: Request, headers: Mapping[str, tuple[str, ...]], *, automation_id: str, actor: str
    ) -> Response:
        inputs = parse(request.body) if request.body else {}
        if not isinstance(inputs, dict):
            raise InvalidInput("the body must be a JSON object of inputs", hint='such as: {"ref": "main"}')
        key = _idempotency_key(headers)
        started = self._verbs.start.api(automation_id, inputs, actor=actor, idempotency_key=key)
        duplicate = {"duplicate": True} if started.duplicate else {}
        return answer(202, {"ok": True, **started.reference, **duplicate})


def _sent(each: Sent) -> dict[str, Any]:
    """What became of one event: `{ok, eventId, dedupeKey?, materialized, automations?, duplicate?}`, or its refusal."""
    if each.taken is None or each.envelope is None:
        return each.refusal()
    shown: dict[str, Any] = {"ok": True, "eventId": each.taken.first_event_id or each.envelope.id}
    if each.envelope.dedupe_key is not None:
        shown["dedupeKey"] = each.envelope.dedupe_key
    shown["materialized"] = list(each.taken.materialized)
    waiting = [{"automationId": row["automation_id"], "outcome": row["outcome"]} for row in each.taken.outcomes]
    if waiting:
        shown["automations"] = waiting
    if each.taken.duplicate:
        shown["duplicate"] = True
    return shown


def _triggered(path: str) -> str | None:
    """The automation that a trigger's path names. Ids hold no slash, so an encoded one leads nowhere."""
    if not (path.startswith(_TRIGGER) and path.endswith(_TRIGGERED)):
        return None
    named = unquote(path[len(_TRIGGER) : -len(_TRIGGERED)])
    return named if named and "/" not in named else None


def _idempotency_key(headers: Mapping[str, tuple[str, ...]]) -> str | None:
    given = headers.get("idempotency-key", ())
    if len(given) > 1:
        raise InvalidInput("more than one Idempotency-Key", hint="send one")
    return given[0] if given else None


def _told(problem: AutomationsError) -> Response:
    """An expected failure: `{ok: false, error: <code>, message, hint?}`."""
    status = 422
    if isinstance(problem, NotFound):
        status = 404
    elif isinstance(problem, Conflict):
        status = 409
    elif problem.stable_code == "malformed_json":
        status = 400
    return answer(status, {**problem.document(), "error": problem.stable_code, "message": problem.message})
