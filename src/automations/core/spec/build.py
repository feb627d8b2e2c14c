"""Documents that passed their schema become the model.

Nothing here judges: structure is the schema's, everything else `checks.py`'s. Defaults of the schemas are applied here and
nowhere else, so the rest of the program never guesses. To JSON Schema 2.0 is an integer (Validation 2020-12, §6.1.1); here it
becomes one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from automations.core.canonical import digest
from automations.core.instant import parse_duration
from automations.core.run.retry import retry_of
from automations.core.spec.model import (
    Approval,
    Automation,
    AutomationStatus,
    Binding,
    Concurrency,
    Debounce,
    Dependency,
    Lifecycle,
    Manifest,
    RateLimit,
    Route,
    RouteMapping,
    Signature,
    Step,
    Timeouts,
    Trigger,
    TriggerKind,
)

Data = Mapping[str, Any]

HIGH_RISK = ("high", "critical")
"""Risk levels of a manifest that nobody's silence agrees to."""


def automation(spec: Data) -> Automation:
    """The automation that a checked document describes."""
    triggers = tuple(trigger(spec["id"], index, raw) for index, raw in enumerate(spec["triggers"]))
    steps = [step(raw, final=False) for raw in spec["actions"]]
    steps += [step(raw, final=True) for raw in spec.get("finally", ())]
    lifecycle: Data = spec.get("lifecycle", {})
    return Automation(
        id=spec["id"],
        name=spec["name"],
        version=spec["version"],
        status=AutomationStatus(spec.get("status", "active")),
        triggers=triggers,
        steps=tuple(steps),
        vars=spec.get("vars", {}),
        timeouts=Timeouts(
            run=_duration(spec.get("timeout")),
            final=_duration(spec.get("finallyTimeout")),
            counts_approvals=spec.get("timeoutCountsApprovals", False),
        ),
        concurrency=_concurrency(spec["concurrency"]) if "concurrency" in spec else None,
        lifecycle=_lifecycle(lifecycle),
        renamed_from=lifecycle.get("renamedFrom"),
        priority=int(spec.get("priority", 0)),
        spec=spec,
        digest=digest(spec),
    )


def trigger(automation_id: str, index: int, raw: Data) -> Trigger:
    """One trigger; its id defaults to its index, and a webhook's route to `<automation id>.<trigger id>`."""
    identity = str(raw.get("id", index))
    return Trigger(
        id=identity,
        kind=TriggerKind(raw["kind"]),
        sources=_patterns(raw.get("source")),
        types=_patterns(raw.get("type")),
        subjects=_patterns(raw.get("subject")),
        filter=raw.get("filter", {}),
        expr=raw.get("expr"),
        route=_route(automation_id, identity, raw) if "route" in raw else None,
        event_schema=raw.get("eventSchema"),
        rate_limit=_rate_limit(raw["rateLimit"]) if "rateLimit" in raw else None,
        debounce=_debounce(raw["debounce"]) if "debounce" in raw else None,
        raw=raw,
    )


def step(raw: Data, *, final: bool) -> Step:
    """One step; `approvalGate.requirement` is the original's other word for `approval`."""
    approval = raw.get("approval") or raw.get("approvalGate", {}).get("requirement")
    if raw.get("approvalGate", {}).get("blockedUntilApproved"):
        approval = {"requiresApproval": True, **(approval or {})}
    return Step(
        id=raw["id"],
        action_id=raw["actionId"],
        manifest_version=raw.get("manifestVersion"),
        input=raw.get("input", {}),
        depends_on=tuple(_dependency(each) for each in raw.get("dependsOn", ())),
        when=raw.get("when"),
        retry=retry_of(raw.get("retry", {})),
        timeout=_duration(raw.get("timeout")),
        total_timeout=_duration(raw.get("totalTimeout")),
        on_failure=raw.get("onFailure", "stop"),
        approval=_approval(approval) if approval else None,
        final=final,
        priority=int(raw["priority"]) if "priority" in raw else None,
    )


def route(raw: Data) -> Route:
    """A route record (the contract's shape: `{id, automationId, path, status, signature?, mapping}`)."""
    return Route(
        id=raw["id"],
        automation_id=raw["automationId"],
        path=raw["path"],
        mapping=mapping(raw["mapping"]),
        signature=signature(raw["signature"]) if raw.get("signature") else None,
        status=raw.get("status", "active"),
    )


def signature(raw: Data) -> Signature:
    """How requests on a route prove their sender."""
    return Signature(
        secret_ref=raw["secretRef"],
        preset=raw.get("preset"),
        algorithm=raw.get("algorithm", "hmac-sha256"),
        header=raw.get("header"),
        prefix=raw.get("prefix"),
        encoding=raw.get("encoding", "hex"),
        timestamp_header=raw.get("timestampHeader"),
        tolerance_seconds=int(raw["toleranceSeconds"]) if "toleranceSeconds" in raw else None,
        rejects_replays=_rejects_replays(raw),
    )


def _rejects_replays(raw: Data) -> int | None:
    usual = "24h" if raw.get("preset") in _SIGN_NO_ID else "off"
    given = raw.get("rejectReplays", usual)
    return None if given == "off" else parse_duration(given)


_SIGN_NO_ID = frozenset({"github", "stripe", "shopify"})
"""Presets whose senders never send one body twice under two ids, though their signature would allow it."""


def mapping(raw: Data) -> RouteMapping:
    """How a body becomes an envelope."""
    return RouteMapping(
        source=raw["source"],
        type=raw["type"],
        type_template=raw.get("typeTemplate"),
        subject=raw.get("subject"),
        subject_path=raw.get("subjectPath"),
        data_path=raw.get("dataPath"),
        id_path=raw.get("idPath"),
        time_path=raw.get("timePath"),
        dedupe_key_path=raw.get("dedupeKeyPath"),
        dedupe_key_header=raw.get("dedupeKeyHeader"),
    )


def manifest(document: Data) -> Manifest:
    """The action manifest that a checked document describes."""
    return Manifest(
        id=document["id"],
        version=document["version"],
        input_schema=document["inputSchema"],
        output_schema=document.get("outputSchema"),
        bindings=tuple(Binding(kind=each["kind"], config=each) for each in document["executorBindings"]),
        approvals=_required(document.get("requiredApprovals", 0)),
        high_risk=document.get("riskLevel") in HIGH_RISK,
        document=document,
        digest=digest(document),
    )


def own_route_id(automation_id: str, trigger_id: str) -> str:
    """The id of a route whose author gave it none: it is named after its automation, and renamed with it."""
    return f"{automation_id}.{trigger_id}"


def _route(automation_id: str, trigger_id: str, raw: Data) -> Route:
    given: Data = raw["route"]
    identity = given.get("id", own_route_id(automation_id, trigger_id))
    sources, types = _patterns(raw.get("source")), _patterns(raw.get("type"))
    fallback = {"source": sources[0] if sources else identity, "type": types[0] if types else "webhook"}
    return Route(
        id=identity,
        automation_id=automation_id,
        path=given.get("path", f"/webhooks/{identity}"),
        mapping=mapping({**fallback, **given.get("mapping", {})}),
        signature=signature(given["signature"]) if given.get("signature") else None,
    )


def _rate_limit(raw: Data) -> RateLimit:
    limit = int(raw["limit"])
    return RateLimit(
        key=raw.get("key"),
        limit=limit,
        per=parse_duration(raw["per"]),
        burst=int(raw.get("burst", limit)),
        excess=raw.get("excess", "drop"),
    )


def _debounce(raw: Data) -> Debounce:
    return Debounce(
        key=raw.get("key"),
        quiet=parse_duration(raw["quiet"]),
        max=parse_duration(raw["max"]) if "max" in raw else None,
        emit=raw.get("emit", "last"),
    )


def _patterns(value: str | Sequence[str] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def _dependency(raw: str | Data) -> Dependency:
    if isinstance(raw, str):
        return Dependency(raw)
    return Dependency(raw["step"], raw.get("on", "default"))


def _concurrency(raw: Data) -> Concurrency:
    default = Concurrency()
    return Concurrency(
        key=raw.get("key", default.key),
        limit=int(raw.get("limit", default.limit)),
        overlap=raw.get("overlap", default.overlap),
        max_queued=int(raw.get("maxQueued", default.max_queued)),
        release_while_waiting=raw.get("releaseWhileWaiting", default.release_while_waiting),
    )


def _lifecycle(raw: Data) -> Lifecycle:
    default = Lifecycle()
    return Lifecycle(
        on_update=raw.get("onUpdate", default.on_update),
        on_delete=raw.get("onDelete", default.on_delete),
        drain_timeout=_duration(raw.get("drainTimeout")),
    )


def _approval(raw: Data) -> Approval | None:
    """Whom a step asks: who says whom, how many or until when, and not that nobody is asked, wants somebody to be asked."""
    if not raw.get("requiresApproval", raw.get("mode", "manual") == "manual"):
        return None
    return Approval(
        count=int(raw.get("count", 1)),
        reason=raw.get("reason", ""),
        allow_self=raw.get("allowSelf", False),
        roles=tuple(raw.get("roles", ())),
        expires=_duration(raw.get("expires")),
        on_expire=raw.get("onExpire", "reject"),
    )


def _required(raw: float | Sequence[Data]) -> tuple[Approval, ...]:
    """Whom a manifest asks: a number of people, or some for each listed kind of approval."""
    if isinstance(raw, int | float):
        return (Approval(int(raw)),) if raw else ()
    return tuple(
        Approval(int(each.get("count", 1)), each.get("reason", ""), roles=tuple(each.get("roles", ())))
        for each in raw
        if each.get("kind") != "none"
    )


def _duration(text: str | None) -> int | None:
    return None if text is None else parse_duration(text)
