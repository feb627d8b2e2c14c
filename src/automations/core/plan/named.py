"""Named: what is asked for by name must be there, or a slip of a letter would pass for consent to something else."""

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from automations.core.diagnostic import has_errors
from automations.core.nearest import nearest

if TYPE_CHECKING:
    from automations.core.plan.plan import Request
    from automations.core.plan.state import State
    from automations.core.spec.catalogue import Catalogue


class Misnamed(NamedTuple):
    """What was asked for and cannot be meant, and what could be."""

    message: str
    hint: str


def misnamed(catalogue: "Catalogue", state: "State", request: "Request") -> Misnamed | None:
    """The first name of a request that names nothing to take over, or nothing that would go; files with errors come first."""
    if not (request.adopt or request.unprotect) or has_errors(catalogue.diagnostics):
        return None
    found = chain(_adopted(catalogue, state, request), _unprotected(catalogue, state, request))
    return next(found, None)


def _adopted(catalogue: "Catalogue", state: "State", request: "Request") -> Iterator[Misnamed]:
    live = {identity for identity, held in state.automations.items() if not held.deleted}
    foreign = [
        each for each in catalogue.automations if each in live and state.automations[each].owner != request.owner
    ]
    for name in sorted(request.adopt):
        if name not in catalogue.automations:
            why, hint = "is declared in none of these files", _meant(name, foreign) or "see: automations list"
        elif name not in live:
            why, hint = "is bound nowhere, so there is nothing to take over", "apply it without --adopt"
        else:
            continue  # also what this source has already: taking over twice is no mistake
        yield Misnamed(f"--adopt {name}: an automation of that name {why}", hint)


def _unprotected(catalogue: "Catalogue", state: "State", request: "Request") -> Iterator[Misnamed]:
    mine = [each for each, held in state.automations.items() if held.owner == request.owner and not held.deleted]
    going = [each for each in mine if each not in catalogue.automations]
    for name in sorted(request.unprotect):
        if name in catalogue.automations:
            why, hint = "is declared, and stays", f"remove it from {catalogue.automations[name].document.file} first"
        elif name not in mine:
            why, hint = "is not bound by this source", _meant(name, going) or "see: automations list"
        else:
            continue
        yield Misnamed(f"--unprotect {name}: an automation of that name {why}", hint)


def _meant(name: str, known: list[str]) -> str:
    found = nearest(name, known)
    return f"did you mean {found}?" if found else ""
