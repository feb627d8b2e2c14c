"""Which file holds which command, so that running one imports only its own."""

from importlib import import_module

from automations.cli.command import Command

FILES = {
    "init": "status",
    "status": "status",
    "plan": "plan",
    "apply": "apply",
    "reconcile": "reconcile",
    "suspend": "suspend",
    "resume": "suspend",
    "adopt": "adopt",
    "rollback": "rollback",
    "diff": "difference",
    "drift": "difference",
    "export": "export",
    "validate": "validate",
    "lint": "validate",
    "test": "test",
    "fmt": "fmt",
    "list": "show",
    "show": "show",
    "runs": "runs",
    "schedules": "schedules",
    "queue": "queue",
    "worker": "worker",
    "approvals": "approvals",
    "roles": "roles",
    "events": "events",
    "why": "events",
    "trigger": "trigger",
    "history": "audit",
    "audit": "audit",
    "schema": "schema",
    "spec": "spec",
    "create": "create",
    "simulate": "simulate",
    "dlq": "dlq",
    "webhooks": "webhooks",
    "runtimes": "runtimes",
    "import-store": "import_store",
    "doctor": "doctor",
    "token": "token",
}
"""First word of a command to the module of `automations.cli` that declares it."""

DAEMON_FILE = "daemon"

GROUPS = {
    "runs": "See and steer runs.",
    "schedules": "When schedules fire, and what they skipped.",
    "queue": "The queue protocol for runners.",
    "approvals": "What waits for a person.",
    "roles": "Who may decide as what.",
    "events": "Send events, and see what became of them.",
    "audit": "What was done, by whom, and whether that record is whole.",
    "dlq": "Dead letters: what was given up, and trying it again.",
    "webhooks": "Webhook routes made here, beside those that specs declare.",
    "spec": "Specs to start from.",
    "token": "Who may talk to the server.",
}


def commands_of(file: str) -> tuple[Command, ...]:
    """The commands that one file declares."""
    found: tuple[Command, ...] = import_module(f"automations.cli.{file}").COMMANDS
    return found


def every_command() -> tuple[Command, ...]:
    """All commands of `automations`, in the order of help."""
    return tuple(command for file in dict.fromkeys(FILES.values()) for command in commands_of(file))


def daemon_commands() -> tuple[Command, ...]:
    """All commands of `automations-daemon`."""
    return commands_of(DAEMON_FILE)


def find(words: tuple[str, ...]) -> Command | None:
    """The quick command that these words begin with, or None."""
    file = FILES.get(words[0]) if words else None
    if file is None:
        return None
    return among(commands_of(file), words)


def among(commands: tuple[Command, ...], words: tuple[str, ...]) -> Command | None:
    """The command whose words these begin with, longest first, or None."""
    for command in sorted(commands, key=lambda each: -len(each.words)):
        if words[: len(command.words)] == command.words or (words and words[0] in command.aliases):
            return command
    return None
