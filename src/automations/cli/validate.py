"""`validate` (alias `lint`): the problems of one file, or of all files of a folder, at once. Needs no store."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.cli.table import clean, counted
from automations.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from automations.cli.context import Context
    from automations.core.spec.catalogue import Catalogue

_ABOUT_ACTIONS = frozenset({"spec/no-manifest", "spec/manifest-version"})
"""Findings that other files of the tree may do away with."""


FORMATS = ("human", "json", "github", "sarif")


def run(context: "Context", given: Mapping[str, Any]) -> int:
    """Print all findings; 0 when none is an error (with --strict: none at all), else 1. Raises UsageError for a format."""
    if given["format"] not in FORMATS:
        raise UsageError(f"unknown format: {given['format']}", hint=f"one of: {', '.join(FORMATS)}")
    form = "json" if context.json and given["format"] != "sarif" else given["format"]
    catalogue, single = _catalogue(context, _named(given["path"], form))
    errors = [each for each in catalogue.diagnostics if each.severity == "error"]
    failing = catalogue.diagnostics if given["strict"] else errors
    if form == "json":
        context.document(_document(catalogue, single=single, valid=not failing, errors=failing))
    elif form == "sarif":
        from automations.core.plan.render.sarif import sarif_of

        context.say(json.dumps(sarif_of(catalogue.diagnostics), indent=2, ensure_ascii=False))
    else:
        for line in _lines(catalogue, form):
            context.say(line)
        context.say(_verdict(catalogue, single=single, errors=len(errors), valid=not failing))
    return 1 if failing else 0


def _named(path: str, form: str) -> str:
    """The path as other programs place findings: from the working directory, which is a checkout's top in a pipeline."""
    from automations.cli.desired import from_here

    return from_here(path) if form in ("github", "sarif") else path


def _lines(catalogue: "Catalogue", form: str) -> "Iterator[str]":
    if form == "github":
        from automations.core.plan.render.github import annotations

        yield from annotations(catalogue.diagnostics)
        return
    for diagnostic in catalogue.diagnostics:
        yield clean(str(diagnostic))
        if diagnostic.hint:
            yield clean(f"    {diagnostic.hint}")


def _verdict(catalogue: "Catalogue", *, single: bool, errors: int, valid: bool) -> str:
    warnings, files = len(catalogue.diagnostics) - errors, counted(len(catalogue.digests), "file")
    if not valid:
        return f"invalid: {counted(errors, 'error')}, {counted(warnings, 'warning')} in {files}"
    return "valid" if single else f"valid: {files}, {counted(warnings, 'warning')}"


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
    snapshot = one_file(Path(path)) if single else snapshot_of(path, absent="file_unreadable", lenient=True)
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
        options=(
            Option("--strict", "Warnings count as errors.", "flag", default=False),
            Option("--format", f"How to print it: {' or '.join(FORMATS)}.", default="human"),
        ),
        quick=True,
        aliases=("lint",),
    ),
)
