"""Secrets of signed routes, looked up for the requests of one second at a time.

What was taken away or replaced is believed for that second at most. Nobody is refused before the secret was looked for again, so
that a new one counts at once. Nothing is kept longer, and nothing of it is ever shown.
"""

from collections.abc import Iterable, Iterator
from time import monotonic

from automations.adapters.secrets import route_secret_names
from automations.core.spec.model import Route
from automations.errors import SecretUnavailable
from automations.services.ports import Secrets

MAX_AGE = 1.0
"""Seconds for which a resolved secret is used again."""
LOOKED_AGAIN = 0.05
"""Seconds between looks for the sake of requests that are about to be refused: a flood of them reads no more often than that."""
_MOST = 1024


def looked_for(route: Route) -> str:
    """Where a signed route's secret would be found, for whoever has to put it there; names only."""
    ref = route.signature.secret_ref if route.signature else None
    return f"none of these is set: {', '.join(route_secret_names(route.id, ref))}, nor is there a file for {ref}"


def without_secret(routes: Iterable[Route], secrets: Secrets) -> Iterator[Route]:
    """The signed routes that no secret is found for: until there is one, every request there is answered 503."""
    for route in routes:
        if route.signature is None:
            continue
        ref = route.signature.secret_ref
        try:
            found = secrets.resolve(route_secret_names(route.id, ref), ref)
        except SecretUnavailable:
            found = ()
        if not found:
            yield route


class RouteSecrets:
    """Resolves secrets by route, on the event loop's thread."""

    __slots__ = ("_again", "_known", "_secrets")

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._known: dict[tuple[str, str], tuple[float, tuple[bytes, ...]]] = {}
        self._again: dict[tuple[str, str], float] = {}

    def of(self, route: Route, ref: str) -> tuple[bytes, ...]:
        """Return the route's secrets, current first; empty when there is none. Raises SecretUnavailable."""
        key = (route.id, ref)
        known = self._known.get(key)
        now = monotonic()
        if known is not None and now - known[0] <= MAX_AGE:
            return known[1]
        return self._look(route, ref, now=now)

    def anew(self, route: Route, ref: str) -> tuple[bytes, ...] | None:
        """The same, looked for again; None when another refusal has just made us look. Raises SecretUnavailable."""
        key, now = (route.id, ref), monotonic()
        if now - self._again.get(key, -LOOKED_AGAIN) < LOOKED_AGAIN:
            return None
        if len(self._again) >= _MOST:
            self._again.clear()
        self._again[key] = now
        return self._look(route, ref, now=now)

    def _look(self, route: Route, ref: str, *, now: float) -> tuple[bytes, ...]:
        key = (route.id, ref)
        self._known.pop(key, None)
        values = self._secrets.resolve(route_secret_names(route.id, ref), ref)
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[key] = (now, values)
        return values
