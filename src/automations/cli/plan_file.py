"""Plan files on disk: written by `plan --out`, read by `apply`."""

from pathlib import Path
from typing import TYPE_CHECKING

from automations.adapters.absent import unreadable
from automations.errors import InvalidInput

if TYPE_CHECKING:
    from automations.cli.context import Context
    from automations.core.plan.plan import Plan

LARGEST = 512 * 1024 * 1024
"""Bytes of a plan file that is read."""


def write_plan(context: "Context", plan: "Plan", *, prefix: str, path: str) -> None:
    """Write a plan file that only its owner may read, whole or not at all.

    Raises InvalidInput when it would hold the value of a secret that is known here, or cannot be written.
    """
    from automations.adapters.redaction import Redactor
    from automations.adapters.replacing import put
    from automations.core.canonical import as_written
    from automations.core.plan.file import to_file

    text = as_written(to_file(plan, prefix=prefix, now=context.runtime.clock.now()))
    if Redactor(context.runtime.secrets.known()).text(text) != text:
        raise InvalidInput(
            "the plan file would hold the value of a secret that is known here; it was not written",
            hint="refer to it in the spec (secret://… or ${{ secrets.NAME }}) instead of writing it down",
        )
    put(Path(path), text.encode())


def read_plan(context: "Context", path: str) -> "tuple[Plan, str, str]":
    """The plan, its prefix and the file's digest, held against this store.

    Raises InvalidInput for what is no plan file or was altered, StalePlan for one that expired, is for another store, or was
    made before the definitions last changed.
    """
    from automations.core.strict_json import parse
    from automations.services.plan.plan_file import admit

    try:
        with Path(path).open("rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError as problem:
        raise unreadable(path, problem) from None
    if len(raw) > LARGEST:
        raise InvalidInput(f"{path} is larger than a plan file may be", hint="plan fewer files at once")
    try:
        value = parse(raw, max_depth=100)
    except InvalidInput:
        raise InvalidInput(
            f"{path} is not a plan file", hint="apply takes a directory of specs, or what `plan --out` wrote"
        ) from None
    return admit(context.runtime.database, value, now=context.runtime.clock.now())
