"""Webhooks: a request on a route becomes an event that is committed before it is acknowledged.

The order of work: route, method, encoding, signature over the raw bytes, JSON, mapping, commit, 202. Nothing is
written, and nothing but a bounded log line is kept, for a request that did not pass all of it.
"""

import asyncio
from functools import partial
from hashlib import sha256

from automations.core.spec.model import Route, Signature
from automations.core.strict_json import parse
from automations.core.trigger.bindings import Table
from automations.core.trigger.envelope import Envelope
from automations.core.trigger.signature import Headers, Rejected, verify
from automations.core.trigger.type_template import render_type
from automations.core.trigger.webhook import normalise
from automations.errors import AutomationsError, InvalidInput, RouteMoved, SecretUnavailable, StoreError
from automations.services.ports import Clock
from automations.services.trigger.ingest import Delivery
from automations.web.answers import STATUSES, accept, refuse
from automations.web.commit import GroupCommit, Result
from automations.web.message import Answer, Request, Response
from automations.web.outcomes import Outcomes
from automations.web.route_secrets import RouteSecrets, looked_for
from automations.web.tables import Tables


class _Rejection(Exception):  # a verdict on its way to the answer, not an error of the program
    def __init__(self, code: str, route: Route | None = None, *, detail: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.route_id = route.id if route else None
        self.detail = detail


class Webhooks:
    """Answers requests on webhook routes."""

    def __init__(
        self, tables: Tables, secrets: RouteSecrets, *, commit: GroupCommit, clock: Clock, outcomes: Outcomes
    ) -> None:
        self._tables = tables
        self._secrets = secrets
        self._commit = commit
        self._clock = clock
        self._outcomes = outcomes
        self._loop = asyncio.get_running_loop()

    def handle(self, request: Request) -> Answer:
        """Answer a request: at once when it is refused, after the commit when it is not."""
        table = self._tables.current()
        return self._handle_later(request) if table is None else self._judged(request, table)

    async def oversized(self, request: Request, max_body_bytes: int) -> Response:
        """Answer a request with a body beyond `max_body_bytes`, unless something is wrong before that."""
        try:
            _route_for(request, await self._tables.refreshed())
        except StoreError as problem:
            return self._rejected(_Rejection("store_unavailable", detail=problem.stable_code))
        except _Rejection as rejection:
            return self._rejected(rejection)
        self._outcomes.rejected(413, "webhook_payload_too_large", route_id=None)
        return refuse("webhook_payload_too_large", maxBodyBytes=max_body_bytes)

    async def _handle_later(self, request: Request) -> Response:
        try:
            table = await self._tables.refreshed()
        except StoreError as problem:
            return self._rejected(_Rejection("store_unavailable", detail=problem.stable_code))
        answer = self._judged(request, table)
        return answer if isinstance(answer, Response) else await answer

    def _judged(self, request: Request, table: Table) -> Answer:
        try:
            route = _route_for(request, table)
            delivery = self._delivery(request, route)
        except _Rejection as rejection:
            return self._rejected(rejection)
        answer: asyncio.Future[Response] = self._loop.create_future()
        if not self._commit.submit(delivery, partial(self._committed, answer, route, delivery.envelope)):
            return self._rejected(_Rejection("overloaded", route))
        return answer

    def _delivery(self, request: Request, route: Route) -> Delivery:
        headers = request.values()
        now = self._clock.now()
        if headers.get("content-encoding", _IDENTITY) != _IDENTITY:
            raise _Rejection("unsupported_content_encoding", route)
        if route.signature is not None:
            self._authenticate(request, headers, route=route, signature=route.signature, now=now)
        try:
            body = parse(request.body)
        except InvalidInput as problem:
            raise _Rejection("malformed_json", route) from problem
        digest = sha256(request.body).hexdigest()
        try:
            envelope = normalise(
                route, body=body, body_digest=digest, headers=headers, received_at=now, render=render_type
            )
        except InvalidInput as problem:
            raise _Rejection("webhook_materialization_failed", route, detail=problem.message) from problem
        once_within = route.signature.rejects_replays if route.signature else None
        return Delivery(envelope, f"sha256:{digest}", once_within, route)

    def _authenticate(
        self, request: Request, headers: Headers, *, route: Route, signature: Signature, now: int
    ) -> None:
        """Raises _Rejection unless the request proves that its sender knows the route's secret."""
        unavailable: str | None = None
        secrets: tuple[bytes, ...] = ()
        try:
            secrets = self._secrets.of(route, signature.secret_ref)
        except SecretUnavailable as problem:
            unavailable = problem.message
        verdict = verify(signature, secrets=secrets, headers=headers, body=request.body, now=now)
        if isinstance(verdict, Rejected) and verdict.reason != "missing":
            anew = self._anew(route, signature)
            if anew and anew != secrets:
                secrets, unavailable = anew, None
                verdict = verify(signature, secrets=secrets, headers=headers, body=request.body, now=now)
        if not isinstance(verdict, Rejected):
            return
        if not secrets and verdict.reason != "missing":
            raise _Rejection("webhook_secret_unavailable", route, detail=unavailable or looked_for(route))
        raise _Rejection(f"webhook_signature_{verdict.reason}", route, detail=verdict.detail)

    def _anew(self, route: Route, signature: Signature) -> tuple[bytes, ...] | None:
        """The route's secrets as they are by now, for somebody who does not know those of a moment ago."""
        try:
            return self._secrets.anew(route, signature.secret_ref)
        except SecretUnavailable:
            return None

    def _committed(self, answer: "asyncio.Future[Response]", route: Route, envelope: Envelope, result: Result) -> None:
        if isinstance(result, AutomationsError):
            answer.set_result(self._rejected(_failed(result, route)))
        else:
            self._outcomes.accepted(route.id, runs=len(result.materialized), duplicate=result.duplicate)
            answer.set_result(accept(route, envelope, result))

    def _rejected(self, rejection: _Rejection) -> Response:
        code, route_id = rejection.code, rejection.route_id
        self._outcomes.rejected(STATUSES[code], code, route_id=route_id, detail=rejection.detail)
        return refuse(code, route_id=route_id)


_IDENTITY = ("identity",)


def _route_for(request: Request, table: Table) -> Route:
    """Find the active route of an exact path. Whatever is no POST is refused first, as the original does."""
    bound = table.routes.get(request.path)
    if request.method != "POST":
        raise _Rejection("method_not_allowed")
    if bound is None:
        raise _Rejection("webhook_route_not_found")
    if bound.gone:
        raise _Rejection("webhook_route_gone", bound.route)
    if bound.route.status != "active":
        raise _Rejection("webhook_route_inactive", bound.route)
    return bound.route


def _failed(problem: AutomationsError, route: Route) -> _Rejection:
    if isinstance(problem, (StoreError, RouteMoved)):
        return _Rejection("store_unavailable", route, detail=problem.stable_code)
    if problem.stable_code == "internal_error":
        return _Rejection("internal_error", route)
    return _Rejection("webhook_materialization_failed", route, detail=problem.stable_code)
