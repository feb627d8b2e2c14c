"""`validate` (alias `lint`): every problem of one file, or of all files of a folder, at once. Needs no store."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.cli.table import clean, counted

if TYPE_CHECKING:
    from automations.cli.context import Context
    from automations.core.spec.catalogue import Catalogue

_ABOUT_ACTIONS = frozenset({"spec/no-manifest", "spec/manifest-version"})
"""Findings that other files of the tree may do away with."""


def run(context: "Context", given: Mapping[str, Any]) -> int:
    """Print all findings; 0 when none is an error (with --strict: none at all), else 1."""
    catalogue, single = _catalogue(context, given["path"])
    errors = [each for each in catalogue.diagnostics if each.severity == "error"]
    failing = catalogue.diagnostics if given["strict"] else errors
    if context.json:
        context.document(_document(catalogue, single=single, valid=not failing, errors=failing))
        return 1 if failing else 0
    for diagnostic in catalogue.diagnostics:
        context.say(clean(str(diagnostic)))
        if diagnostic.hint:
            context.say(clean(f"    {diagnostic.hint}"))
    warnings = len(catalogue.diagnostics) - len(errors)
    total = len(catalogue.digests)
    if failing:
        context.say(
            f"invalid: {counted(len(errors), 'error')}, {counted(warnings, 'warning')} in {counted(total, 'file')}"
        )
        return 1
    context.say("valid" if single else f"valid: {counted(total, 'file')}, {counted(warnings, 'warning')}")
    return 0


def _catalogue(context: "Context", path: str) -> "tuple[Catalogue, bool]":
    from automations.adapters.executors.kinds import executor_kinds
    from automations.adapters.files import one_file
    from automations.cli.desired import is_folder, snapshot_of
    from automations.core.spec.catalogue import with_executors
    from automations.services.spec.catalogue import catalogue_of_files

    if path == "-":
        files = [("-", sys.stdin.buffer.read((1 << 20) + 1))]
        return with_executors(catalogue_of_files(files), executor_kinds()), True
    single = not is_folder(path)
    snapshot = one_file(Path(path)) if single else snapshot_of(path, absent="file_unreadable")
    files = [(snapshot.prefix + file.name, file.raw or b"") for file in snapshot.files]
    catalogue = catalogue_of_files(files, problems=snapshot.problems)
    if single and any(each.code in _ABOUT_ACTIONS for each in catalogue.diagnostics):
        from automations.cli.surroundings import actions_around

        catalogue = catalogue_of_files(files, known=actions_around(Path(path), context.settings.sources))
    return with_executors(catalogue, executor_kinds()), single


def _document(catalogue: "Catalogue", *, single: bool, valid: bool, errors: Any) -> dict[str, Any]:
    found = [each.document() for each in catalogue.diagnostics]
    if not valid:
        return {"valid": False, "errors": [each.message for each in errors], "diagnostics": found}
    body: dict[str, Any] = {"valid": True}
    documents = [each.document for each in catalogue.automations.values()]
    documents += [each.document for each in catalogue.manifests.values()]
    if single and documents:
        body["spec"] = documents[0].value
    elif not single:
        body["files"] = len(catalogue.digests)
    return {**body, "diagnostics": found} if found else body


COMMANDS = (
    Command(
        ("validate",),
        "Check a spec, a folder of specs, or standard input (-).",
        run,
        arguments=(Argument("path", "A file, a folder, or - for standard input.", default="automations.d"),),
        options=(Option("--strict", "Warnings count as errors.", "flag", default=False),),
        quick=True,
        aliases=("lint",),
    ),
)
