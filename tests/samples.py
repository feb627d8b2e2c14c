"""Documents that tests begin with: small, valid, and changed by keyword. Everything here is plain data or made from it."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from automations.core.run.execution import Invocation
from automations.core.run.program import Program, compile_program
from automations.core.spec import build
from automations.core.spec.catalogue import Catalogue, assemble, interpret
from automations.core.spec.model import Automation, Binding, Manifest

Data = dict[str, Any]


def step(identity: str = "work", **keys: Any) -> Data:
    """A step document."""
    return {"id": identity, "actionId": "todos.create", **keys}


def event_trigger(**keys: Any) -> Data:
    """A trigger for `tickets`' `ticket.created`."""
    return {"kind": "event", "source": "tickets", "type": "ticket.created", **keys}


def webhook_trigger(path: str | None = None, **route: Any) -> Data:
    """A webhook trigger; without a path the route's own default."""
    given = {**route, **({} if path is None else {"path": path})}
    return {"kind": "webhook", "source": "github", "type": "push", "route": given}


def spec(identity: str = "tickets.escalate", **keys: Any) -> Data:
    """An automation document; `keys` replace or add top-level keys."""
    return {
        "schemaVersion": "1.0",
        "id": identity,
        "name": identity,
        "version": "1.0.0",
        "triggers": [event_trigger()],
        "actions": [step()],
        **keys,
    }


def action(identity: str = "todos.create", version: str = "1.0.0", **keys: Any) -> Data:
    """An action manifest that only an external runner or a shell can carry out."""
    return {
        "id": identity,
        "name": identity,
        "version": version,
        "inputSchema": {"type": "object"},
        "executorBindings": [{"kind": "local-shell", "command": "true"}],
        **keys,
    }


def automation(identity: str = "tickets.escalate", /, **keys: Any) -> Automation:
    """The model of `spec`."""
    return build.automation(spec(identity, **keys))


def manifest(identity: str = "todos.create", version: str = "1.0.0", **keys: Any) -> Manifest:
    """The model of `action`."""
    return build.manifest(action(identity, version, **keys))


def invocation(binding: str, config: Mapping[str, Any], **data: Any) -> Invocation:
    """An attempt at an action whose binding is of this kind; `data` is its input. No two are of one queued action."""
    return Invocation(
        action_row_id=str(uuid4()),
        run_id="run-1",
        automation_id="deploys",
        step_id="ship",
        action_id="k8s.deploy",
        manifest_version="1.2.3",
        idempotency_key="deploys:event-1:ship",
        attempt=2,
        fence=5,
        input=data,
        binding=Binding(binding, config),
    )


def program(*steps: Data, finals: tuple[Data, ...] = (), manifests: Mapping[str, Manifest] | None = None) -> Program:
    """A compiled automation of these steps; `manifests` by step id."""
    made = automation(actions=list(steps), **({"finally": list(finals)} if finals else {}))
    return compile_program("uid-1", 1, automation=made, manifests=manifests or {})


def raw(document: Any) -> bytes:
    """A file's bytes: text as it is, anything else as indented JSON, which is YAML too."""
    if isinstance(document, bytes):
        return document
    return document.encode() if isinstance(document, str) else json.dumps(document, indent=2).encode()


def catalogue(files: Mapping[str, Any], *, known: Mapping[tuple[str, str], Manifest] | None = None) -> Catalogue:
    """What a tree declares: file names to documents (or text, or bytes)."""
    return assemble([interpret(raw(document), name) for name, document in sorted(files.items())], known=known)
