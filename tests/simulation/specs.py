"""The files that the simulated editor writes, each with what its author knows about it: a second opinion on our own reader."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from automations.core.instant import SECOND

SOURCE = "default"
GONE_AFTER = 20 * SECOND
"""How long the simulated source's files must lack something before the loop believes it (microseconds)."""
ONCE_WITHIN = 30 * SECOND
"""For how long a guarded path takes one body for one event (microseconds)."""
Steps = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Text:
    """One file's content. `claims` is the automation id in it; `revision` is new with every text."""

    raw: bytes
    revision: int
    claims: str | None = None
    good: bool = True
    door: "Door | None" = None
    renamed_from: str | None = None


@dataclass(frozen=True, slots=True)
class Door:
    """A webhook route as its author writes it; without an id it gets the automation's."""

    path: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What the editor wants an automation to be."""

    id: str
    revision: int
    shape: str
    door: Door | None = None
    renamed_from: str | None = None
    paused: bool = False
    limits: str = ""
    sharing: dict[str, Any] | None = None
    times: dict[str, Any] | None = None
    """`timeout` and `finallyTimeout` of the run, `step` for those of every step."""
    pinned: Mapping[str, str] = field(default_factory=dict)
    """Versions that steps name, by action."""


LIMITS: dict[str, dict[str, Any]] = {
    "": {},
    "window": {"debounce": {"key": "${{ event.data.n }}", "quiet": "4s", "max": "20s"}},
    "first": {"debounce": {"quiet": "2s", "emit": "first"}},
    "all": {"debounce": {"quiet": "3s", "max": "9s", "emit": "all"}},
    "drop": {"rateLimit": {"limit": 1, "per": "60s"}},
    "delay": {"rateLimit": {"limit": 1, "per": "30s", "excess": "delay"}},
    "both": {
        "rateLimit": {"limit": 1, "per": "20s", "excess": "delay"},
        "debounce": {"key": "${{ event.source }}", "quiet": "5s", "max": "15s"},
    },
}
"""What may stand between an event and its run, by a name."""


def manifest(action_id: str, revision: int, *, kind: str, version: str = "1.0.0") -> Text:
    """An action's manifest; its output must hold a whole number."""
    binding = {"kind": kind, "command": "true"}
    if kind == "http":
        binding = {"kind": kind, "method": "POST", "url": "https://example.com/x"}
    whole = {"type": "integer"}
    document = {
        "id": action_id,
        "name": action_id,
        "version": version,
        "inputSchema": {"type": "object", "required": ["n", "rev"], "properties": {"n": whole, "rev": whole}},
        "outputSchema": {"type": "object", "required": ["value"], "properties": {"value": whole}},
        "executorBindings": [binding],
        "metadata": {"rev": revision},
    }
    return Text(json.dumps(document).encode(), revision)


def automation(wish: Wish) -> Text:
    """A good automation."""
    steps, final = SHAPES[wish.shape]()
    triggers: Steps = [
        {"kind": "event", "id": "bus", "source": ["shop", "depot"], "type": "order.*", "filter": {"for": wish.id[:1]}}
        | LIMITS[wish.limits]
    ]
    if wish.door:
        route = {"path": wish.door.path} | ({"id": wish.door.id} if wish.door.id else {})
        triggers.append({"kind": "webhook", "id": "hook", "route": route})
    document: dict[str, Any] = {
        "schemaVersion": "1.0",
        "id": wish.id,
        "name": wish.id,
        "version": "1.0.0",
        "status": "paused" if wish.paused else "active",
        "vars": {"rev": wish.revision},
        "triggers": triggers,
        "actions": steps,
    }
    if final:
        document["finally"] = final
    if wish.sharing:
        document["concurrency"] = wish.sharing
    times = dict(wish.times or {})
    for step in (*steps, *final):
        step.update(times.get("step", {}))
        if step["actionId"] in wish.pinned:
            step["manifestVersion"] = wish.pinned[step["actionId"]]
    document.update({word: each for word, each in times.items() if word != "step"})
    if wish.renamed_from:
        document["lifecycle"] = {"renamedFrom": wish.renamed_from}
    raw = json.dumps(document, indent=1).encode()
    return Text(raw, wish.revision, wish.id, door=wish.door, renamed_from=wish.renamed_from)


def spoilt(text: Text, revision: int, *, how: str) -> Text:
    """The same file after a bad edit: a mistyped key, or no longer readable at all (then nobody knows whose it is)."""
    if how == "torn":
        return Text(text.raw[: len(text.raw) // 2], revision, None, good=False)
    raw = text.raw.replace(b'"actions"', b'"acti\xc3\xb6ns"', 1)
    return Text(raw, revision, text.claims, good=False, door=text.door)


def _step(identity: str, action: str, **more: Any) -> dict[str, Any]:
    given = {"n": "${{ event.data.n }}", "rev": "${{ vars.rev }}"}
    return {"id": identity, "actionId": action, "input": given, **more}


SHARINGS: tuple[dict[str, Any] | None, ...] = (
    None,
    None,
    {"key": "all", "maxQueued": 2},
    {"key": "${{ event.data.for }}", "limit": 2},
    {"key": "n${{ event.data.n % 2 }}", "overlap": "latest"},
    {"key": "all", "overlap": "cancel-running"},
    {"key": "${{ event.data.n }}", "limit": 2, "overlap": "cancel-running"},
    {"overlap": "skip"},
    {"key": "all", "overlap": "parallel"},
    {"key": "all", "releaseWhileWaiting": True},
)
TIMES: tuple[dict[str, Any] | None, ...] = (
    None,
    None,
    None,
    None,
    {"timeout": "20s"},
    {"timeout": "2m", "finallyTimeout": "20s"},
    {"step": {"timeout": "3s"}},
    {"step": {"timeout": "10s", "totalTimeout": "30s"}, "timeout": "5m"},
)


def _chain() -> tuple[Steps, Steps]:
    return [
        _step("s1", "sim.local"),
        _step("s2", "sim.http", dependsOn=["s1"], retry={"maxAttempts": 5, "base": "2s", "cap": "40s"}),
        _step("s3", "sim.local", dependsOn=["s2"], retry={"maxAttempts": 1}),
    ], []


def _diamond() -> tuple[Steps, Steps]:
    return [
        _step("s1", "sim.local"),
        _step("s2", "sim.http", dependsOn=["s1"], onFailure="continue", retry={"maxAttempts": 2, "jitter": "full"}),
        _step("s3", "sim.external", dependsOn=[{"step": "s1", "on": "completed"}]),
        _step("s4", "sim.local", dependsOn=["s2", {"step": "s3", "on": "succeeded"}]),
    ], [_step("f1", "sim.local"), _step("f2", "sim.external", dependsOn=["f1"])]


def _branch() -> tuple[Steps, Steps]:
    return [
        _step("s1", "sim.local", onFailure="continue"),
        _step("s2", "sim.local", dependsOn=["s1"], when="event.data.n % 2 == 0"),
        _step("s3", "sim.http", dependsOn=[{"step": "s2", "on": "succeeded"}]),
        _step("s4", "sim.local", dependsOn=[{"step": "s1", "on": "failed"}]),
        _step("s5", "sim.local", dependsOn=["s2"], when="has(steps.s1.output) && steps.s1.output.value > 2"),
    ], []


def _gate() -> tuple[Steps, Steps]:
    return [
        _step("s1", "sim.external", retry={"maxAttempts": 6, "base": "1s"}),
        _step("s2", "sim.local", dependsOn=["s1"], approval={"requiresApproval": True, "count": 2, "expires": "5m"}),
        _step("s3", "sim.local", dependsOn=["s2"]),
        _step("s4", "sim.local", dependsOn=["s1"], approval={"requiresApproval": True}),
    ], [_step("f1", "sim.local")]


SHAPES: dict[str, Callable[[], tuple[Steps, Steps]]] = {
    "chain": _chain,
    "diamond": _diamond,
    "branch": _branch,
    "gate": _gate,
}
