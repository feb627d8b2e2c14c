"""The example that `spec example` prints and `example_automation_spec` gives to library users."""

from typing import Any


def example_automation_spec() -> dict[str, Any]:
    """Make a small valid automation as plain data, anew at each call so that callers may change it."""
    return {
        "schemaVersion": "1.0",
        "id": "tickets.escalate-critical",
        "name": "Escalate critical tickets",
        "version": "1.0.0",
        "description": "Materialize critical ticket events into deterministic action runs.",
        "status": "active",
        "triggers": [
            {
                "kind": "event",
                "source": "open-events",
                "type": "ticket.created",
                "filter": {"priority": "critical"},
            },
        ],
        "actions": [
            {
                "id": "create-escalation-task",
                "actionId": "todos.create",
                "manifestVersion": "1.0.0",
                "input": {"title": "Escalate critical ticket"},
            },
        ],
        "audit": {"eventSource": "hasna.automations"},
    }
