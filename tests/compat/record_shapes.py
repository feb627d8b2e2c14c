"""The records of the contract, key by key: what must be there, what may be, of which type, and what ours adds.

A shape maps keys to types; a key ending in `?` may be absent. What is absent has no key: null is never a value here. `Ours` names
the keys that the original does not have. Any other key is a mistake.
"""

import re
from collections.abc import Mapping
from typing import Any

Shape = Mapping[str, Any]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class At:
    """A time: ISO-8601 in UTC, milliseconds, `Z`."""


class Ours(dict[str, Any]):
    """A shape's keys that the original does not have."""


STATUS: Shape = {
    "service": str,
    "schemaVersion": str,
    "dataDir": str,
    "dbPath": str,
    "counts": {
        "automations": int,
        "runs": int,
        "queuedActions": int,
        "deadActions": int,
        "replayRequests": int,
        "webhookRoutes": int,
    },
    "daemon": {
        "leaseId?": str,
        "pid?": int,
        "hostname?": str,
        "heartbeatAt?": At,
        "expiresAt?": At,
        "active": bool,
        "metadata?": dict,
    },
    "": Ours({"serial": int, "sources": list}),
}
AUTOMATION: Shape = {
    "id": str,
    "spec": dict,
    "status": str,
    "createdAt": At,
    "updatedAt": At,
    "": Ours(
        {
            "generation": int,
            "observedGeneration?": int,
            "digest": str,
            "owner": str,
            "file?": str,
            "conditions": dict,
            "health?": str,
        }
    ),
}
RUN: Shape = {
    "id": str,
    "automationId": str,
    "status": str,
    "trigger": dict,
    "triggerEventId?": str,
    "idempotencyKey?": str,
    "createdAt": At,
    "updatedAt": At,
    "startedAt?": At,
    "completedAt?": At,
    "error?": dict,
    "metadata?": dict,
    "": Ours(
        {
            "generation": int,
            "replayOf?": str,
            "replays?": list,
            "slot?": {"key": str, "limit?": int, "state?": str},
            "stop?": {"status": str, "at": At, "by?": str, "reason?": str},
            "deadlineAt?": At,
        }
    ),
}
ERROR: Shape = {"code": str, "message": str, "retryable": bool, "metadata?": dict}
DEAD_LETTER: Shape = {
    "reason": str,
    "failedAt": At,
    "lastError?": ERROR,
    "attempts": int,
    "replayable": bool,
    "metadata?": dict,
}
GATE: Shape = {
    "requirement": {
        "requiresApproval": bool,
        "reason?": str,
        "": Ours({"count": int, "roles?": list, "groups?": list, "expiresAfterMs?": int, "onExpire?": str}),
    },
    "blockedUntilApproved": bool,
    "decision?": {
        "id": str,
        "status": str,
        "requestedAt": At,
        "decidedAt?": At,
        "reason?": str,
        "metadata?": {"decidedBy": str},
        "": Ours({"approvals?": list, "content?": str, "expiresAt?": At}),
    },
}
ACTION: Shape = {
    "id": str,
    "automationRunId": str,
    "stepId": str,
    "actionId": str,
    "idempotencyKey": str,
    "status": str,
    "invocation": {
        "id": str,
        "actionId": str,
        "manifestVersion": str,
        "input": dict,
        "automationId": str,
        "runId": str,
        "requestedAt": At,
        "idempotencyKey": str,
        "metadata": dict,
    },
    "attempt": int,
    "maxAttempts": int,
    "availableAt": At,
    "createdAt": At,
    "updatedAt": At,
    "claimedBy?": str,
    "claimedAt?": At,
    "leaseExpiresAt?": At,
    "approvalGate?": GATE,
    "result?": dict,
    "error?": ERROR,
    "deadLetter?": DEAD_LETTER,
    "metadata?": dict,
    "": Ours(
        {
            "state?": str,
            "completedAt?": At,
            "fence?": int,
            "reason?": str,
            "attempts?": list,
            "attemptDeadlineAt?": At,
            "deadlineAt?": At,
            "cancelRequested?": bool,
            "cancel?": {"by?": str, "reason?": str, "requestedAt?": At},
            "missing?": list,
            "startedBy?": str,
            "replays?": list,
        }
    ),
}
ROUTE: Shape = {
    "id": str,
    "automationId": str,
    "path": str,
    "status": str,
    "signature?": {"algorithm": str, "secretRef": str, "header?": str, "encoding?": str, "prefix?": str},
    "mapping": {
        "source": str,
        "type": str,
        "subject?": str,
        "subjectPath?": str,
        "dataPath?": str,
        "idPath?": str,
        "timePath?": str,
        "dedupeKeyPath?": str,
        "dedupeKeyHeader?": str,
    },
    "createdAt": At,
    "updatedAt": At,
    "metadata?": dict,
    "": Ours({"owner": str}),
}
EVENT: Shape = {
    "id": str,
    "source": str,
    "type": str,
    "subject?": str,
    "time": At,
    "data": dict,
    "dedupeKey?": str,
    "metadata?": dict,
}
WEBHOOK_EVENT: Shape = {
    **EVENT,
    "metadata": {
        "webhook": {
            "routeId": str,
            "automationId": str,
            "path": str,
            "receivedAt": At,
            "rawBodySha256": str,
            "signatureConfigured": bool,
        }
    },
}
MATERIALIZED: Shape = {"automation": AUTOMATION, "run": RUN, "actions": [ACTION]}
WEBHOOK_TEST: Shape = {"route": ROUTE, "event": WEBHOOK_EVENT, "materialized": [MATERIALIZED]}
RUNNING: Shape = {"ok": bool, "leaseId": str, "pid": int, "heartbeatAt": At, "once": bool}
SERVING: Shape = {
    "ok": bool,
    "mode": str,
    "leaseId": str,
    "pid": int,
    "heartbeatAt": At,
    "host": str,
    "port": int,
    "maxBodyBytes": int,
    "routes": int,
}
SIMULATED: Shape = {
    "persisted": bool,
    "automation": str,
    "event": EVENT,
    "run": {"idempotencyKey": str, "trigger": dict, "": Ours({"automationId": str})},
    "actions": [
        {
            "stepId": str,
            "actionId": str,
            "idempotencyKey": str,
            "": Ours(
                {"status": str, "when?": bool, "reason?": str, "input?": dict, "error?": dict, "dependsOn?": list}
            ),
        }
    ],
    "": Ours({"fires": bool, "triggers": list}),
}


def differences(value: Any, shape: Any, path: str = "") -> list[str]:
    """How a value differs from a shape; nothing when it conforms."""
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{path}: not a list"]
        return [each for index, item in enumerate(value) for each in differences(item, shape[0], f"{path}[{index}]")]
    if isinstance(shape, Mapping):
        return _of_record(value, shape, path)
    if shape is At:
        return [] if isinstance(value, str) and TIME.fullmatch(value) else [f"{path}: {value!r} is no time"]
    same = type(value) is shape
    return [] if same else [f"{path}: {value!r} is not {shape.__name__}"]


def _of_record(value: Any, shape: Shape, path: str) -> list[str]:
    if not isinstance(value, Mapping):
        return [f"{path}: {value!r} is no object"]
    known = {key: each for key, each in (*shape.items(), *shape.get("", {}).items()) if key}
    names = {key.removesuffix("?"): each for key, each in known.items()}
    found = [f"{path}.{key}: missing" for key in known if not key.endswith("?") and key not in value]
    found += [f"{path}.{key}: not in the contract" for key in value if key not in names]
    for key, each in names.items():
        if key in value:
            found += differences(value[key], each, f"{path}.{key}")
    return found


def conforms(value: Any, shape: Any) -> Any:
    """The value itself, asserted to be of this shape."""
    found = differences(value, shape)
    assert not found, found
    return value
