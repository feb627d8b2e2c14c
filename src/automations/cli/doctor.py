"""`doctor`: what is wrong with this store and its surroundings, and what to do about it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from automations.cli.command import Command
from automations.cli.table import clean, counted
from automations.core.plan.health import once

if TYPE_CHECKING:
    from automations.cli.context import Context
    from automations.core.doctor import Check
    from automations.core.spec.model import Route
    from automations.services.doctor import Surroundings

_MOST_STEPS = 3
"""Steps that are named for one secret."""
_MARKS = {"ok": "✓", "warning": "!", "error": "✗"}


def run(context: "Context", _: Mapping[str, Any]) -> int:
    """0 when nothing is wrong or only warnings were found, 1 when something is."""
    from automations.core.doctor import Grade, worst

    checks = context.runtime.doctor(_around(context)).examine()
    if context.json:
        found = {"ok": worst(checks) is not Grade.ERROR, "checks": [check.document() for check in checks]}
        context.document(found)
    else:
        context.say("\n".join(_told(checks)))
    return 1 if worst(checks) is Grade.ERROR else 0


def _told(checks: Sequence["Check"]) -> Iterator[str]:
    counts = {"warning": 0, "error": 0}
    for check, detail in zip(checks, _details(checks), strict=True):
        about = f" {clean(check.subject)}:" if check.subject else ""
        yield f"{_MARKS[check.grade]} {check.id:<20}{about} {clean(check.said(detail))}"
        if check.hint:
            yield f"  {'':<20} {clean(check.hint)}"
        if check.grade in counts:
            counts[check.grade] += 1
    if any(counts.values()):
        yield f"{counted(counts['error'], 'error')}, {counted(counts['warning'], 'warning')}"
    else:
        yield "all is well"


def _details(checks: Sequence["Check"]) -> list[str]:
    """What follows on each message, said once for each subject."""
    by_subject: dict[tuple[str, str], list[int]] = {}
    for at, check in enumerate(checks):
        by_subject.setdefault((check.id, check.subject), []).append(at)
    shown = [""] * len(checks)
    for places in by_subject.values():
        for at, detail in zip(places, once([checks[at].detail for at in places]), strict=True):
            shown[at] = detail
    return shown


def _around(context: "Context") -> "Surroundings":
    from automations.adapters.place import exposed, free_bytes, size
    from automations.core.doctor import Place
    from automations.services.doctor import Surroundings

    settings = context.settings
    database = settings.embedded_database
    place = None
    if database is not None:
        names = (database.name, f"{database.name}-wal", f"{database.name}-shm")
        place = Place(str(database.parent), free_bytes(database.parent), exposed(database.parent, names))
    wal = size(database.with_name(f"{database.name}-wal")) if database is not None else None

    def missing(routes: Iterable["Route"]) -> Iterator[dict[str, str]]:
        from automations.web.route_secrets import looked_for, without_secret

        for route in without_secret(routes, context.runtime.secrets):
            message = f"the signature of {route.path} has no secret, so every request there is answered 503"
            yield {"subject": route.id, "message": message, "hint": looked_for(route)}

    return Surroundings(place, wal, missing, lambda steps: _lacking(context, steps))


def _lacking(context: "Context", steps: Mapping[tuple[str, str], list[str]]) -> Iterator[dict[str, str]]:
    """What actions need and would not find here. Names only."""
    from automations.errors import SecretUnavailable

    for (kind, name), users in steps.items():
        who = ", ".join(users[:_MOST_STEPS]) + (f" and {len(users) - _MOST_STEPS} more" if users[_MOST_STEPS:] else "")
        if kind == "variable":
            if name not in context.settings.environment:
                message = f"{who} inherits this variable, and it is not set here"
                yield {"subject": name, "message": message}
            continue
        try:
            context.runtime.secrets.value(name)
        except SecretUnavailable as problem:
            message = f"{who} needs this secret, and an attempt without it fails: {problem.message}"
            yield {"subject": name, "message": message, "hint": problem.hint.rstrip(".")}


COMMANDS = (Command(("doctor",), "Examine the store and its surroundings; exit 1 when something is wrong.", run),)
