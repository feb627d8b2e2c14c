"""`test`: plays the `*.test.yaml` files beside specs against the real engine, in memory, on a virtual clock. Needs no store."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.cli.table import clean, counted

if TYPE_CHECKING:
    from automations.cli.context import Context
    from automations.core.fixture.case import Case, Fixture
    from automations.core.fixture.report import Played, Report
    from automations.core.spec.catalogue import Catalogue
    from automations.services.fixture.rehearse import Rehearsal

_GREEN, _RED, _PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[0m"
TEST_ENDINGS = (".test.yaml", ".test.yml", ".test.json")


def run(context: "Context", given: Mapping[str, Any]) -> int:
    """Play the cases; 0 when all pass and no file is wrong, else 1."""
    from automations.core.fixture.junit import junit

    catalogue, only = _catalogue(given["path"])
    report = _report(catalogue, only=only, wanted=given["filter"])
    if given["junit"]:
        _write(Path(given["junit"]), junit(report))
    if context.json:
        context.document(report.document())
    else:
        _show(context, report, given)
    nothing = given["filter"] and not report.played
    return 0 if report.passed and not nothing else 1


def _report(catalogue: "Catalogue", *, only: str | None, wanted: str | None) -> "Report":
    from automations.core.diagnostic import in_order
    from automations.core.fixture.case import fixture
    from automations.core.fixture.check import check_fixture
    from automations.core.fixture.report import Report
    from automations.runtime import rehearsal

    known = {identity: declared.value for identity, declared in catalogue.automations.items()}
    found = [each for each in catalogue.diagnostics if each.severity == "error"]
    played: list[Played] = []
    stage = rehearsal()
    for document in catalogue.tests:
        if only is not None and document.file != only:
            continue
        problems = check_fixture(document, automations=known, claimed=catalogue.claimed)
        found += problems
        if not problems and document.value["automation"] in known:
            played += _play(stage, catalogue, fixture(document), wanted=wanted)
    return Report(tuple(played), in_order(found))


def _play(stage: "Rehearsal", catalogue: "Catalogue", tests: "Fixture", *, wanted: str | None) -> "Iterator[Played]":
    for case in tests.cases:
        if wanted is None or wanted.casefold() in f"{tests.automation_id} {case.name}".casefold():
            yield _case(stage, catalogue, tests, case=case)


def _case(stage: "Rehearsal", catalogue: "Catalogue", tests: "Fixture", *, case: "Case") -> "Played":
    from automations.core.fixture.expectation import mismatches
    from automations.core.fixture.report import Played, Unmet
    from automations.errors import AutomationsError

    automation = catalogue.automations[tests.automation_id].value
    here = ("cases", case.index)
    named = (tests.automation_id, case.name, tests.document.at((*here, "name")))
    began = perf_counter()
    try:
        seen = stage.play(catalogue, automation, case)
    except AutomationsError as problem:
        return Played(*named, error=problem.message, seconds=perf_counter() - began)
    seconds = perf_counter() - began
    unmet = tuple(
        Unmet(tests.document.at((*here, "expect", *each.path)), each) for each in mismatches(case.expect, seen)
    )
    return Played(*named, unmet=unmet, notes=seen.notes, seconds=seconds)


def _show(context: "Context", report: "Report", given: Mapping[str, Any]) -> None:
    from automations.core.fixture.report import tree

    for diagnostic in report.diagnostics:
        context.say(clean(str(diagnostic)))
        if diagnostic.hint:
            context.say(clean(f"    {diagnostic.hint}"))
    for line in tree(report):
        context.say(_coloured(clean(line), context))
    if not report.played and report.diagnostics:
        context.say("no tests were played: the files above have to be mended first")
        return
    if not report.played:
        matching = f" that match {given['filter']}" if given["filter"] else ""
        context.say(f"no tests found in {given['path']}{matching}; put files that end in .test.yaml beside the specs")
        return
    passed = len(report.played) - report.failed
    files = len({each.span.file for each in report.played})
    wrong = f", {counted(len(report.diagnostics), 'error')} in files" if report.diagnostics else ""
    context.say(
        f"{counted(len(report.played), 'case')} in {counted(files, 'file')}: {passed} passed, {report.failed} failed{wrong}"
    )


def _coloured(line: str, context: "Context") -> str:
    """The mark of a case in its colour; `clean` took every other colour out."""
    if not context.color:
        return line
    for mark, colour in (("  ✓ ", _GREEN), ("  ✗ ", _RED)):
        if line.startswith(mark):
            return line.replace(mark, f"  {colour}{mark.strip()}{_PLAIN} ", 1)
    return line


def _catalogue(path: str) -> "tuple[Catalogue, str | None]":
    """What a folder declares; for one test file, what its folder does (or the nearest above that has the automation)."""
    from automations.cli.desired import snapshot_of
    from automations.errors import InvalidInput
    from automations.services.spec.catalogue import catalogue_of_files

    def of_folder(folder: str) -> "Catalogue":
        snapshot = snapshot_of(folder)
        files = [(snapshot.prefix + file.name, file.raw or b"") for file in snapshot.files]
        return catalogue_of_files(files, problems=snapshot.problems)

    file = Path(path)
    if not file.is_file():
        return of_folder(path), None
    if not file.name.lower().endswith(TEST_ENDINGS):
        raise InvalidInput(f"{path} is not a test file", hint="give a folder, or a file that ends in .test.yaml")
    for folder in _around(file):
        catalogue = of_folder(str(folder))
        shown = str(file) if folder == Path() else str(folder / file.relative_to(folder))
        mine = next((each for each in catalogue.tests if each.file == shown), None)
        if mine is None or mine.value["automation"] in catalogue.automations:
            break
    return catalogue, shown


def _around(file: Path) -> "Iterator[Path]":
    """The folder of a file and those above it, as far as the path names them."""
    yield from file.parents if file.parent != Path() else (Path(),)


def _write(path: Path, text: str) -> None:
    from automations.adapters.absent import absence
    from automations.errors import InvalidInput

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as problem:
        lost = isinstance(problem, FileNotFoundError)
        said, hint = (
            (f"cannot write {path}: {absence(path.parent)}", "make the folder first")
            if lost
            else (f"cannot write {path}: {problem.strerror}", "give --junit a file that can be written")
        )
        raise InvalidInput(said, hint=hint, code="file_unwritable") from problem


COMMANDS = (
    Command(
        ("test",),
        "Play the test files (*.test.yaml) beside specs, in memory and on a virtual clock.",
        run,
        arguments=(Argument("path", "A folder, or one test file.", default="automations.d"),),
        options=(
            Option("--junit", "Also write the report to this file as JUnit XML."),
            Option("--filter", "Only cases whose name or automation has this text in it."),
        ),
        quick=True,
    ),
)
