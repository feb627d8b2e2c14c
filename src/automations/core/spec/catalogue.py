"""A catalogue: everything that a tree of spec files declares, and everything that is wrong with it.

`interpret` looks at one file alone; `assemble` puts files together and checks what only shows across them. A file that is bad
never hides another: valid ones go on, and what a bad file may have meant counts as present, so that nothing is pruned by a
typing error.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Generic, TypeVar

from automations.core.canonical import digest
from automations.core.diagnostic import Diagnostic, Path, Severity, has_errors, in_order
from automations.core.expression.template import Scan
from automations.core.run.program import executable
from automations.core.spec import build
from automations.core.spec.checks import check, inputs_of
from automations.core.spec.document import Document
from automations.core.spec.emission import Emitter, check_circles
from automations.core.spec.finding import paths_of_steps, place
from automations.core.spec.graph import guesses
from automations.core.spec.manifests import (
    Shelf,
    check_inputs,
    check_manifest,
    check_secrets,
    check_silence,
    resolve,
    resolve_all,
    shelve,
)
from automations.core.spec.model import Automation, Manifest
from automations.core.spec.never import check_filters
from automations.core.spec.reader import read
from automations.core.spec.remainder import Remainder, remainder
from automations.core.spec.structure import check as check_structure
from automations.core.spec.structure import kind_of
from automations.core.spec.typed import check_concurrency, check_event_schemas, check_steps, check_triggers

T = TypeVar("T", Automation, Manifest)

ManifestKey = tuple[str, str]
"""An action's id and its manifest's version."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What was found when an automation's steps were held against the manifests of a digest."""

    shelf: str
    findings: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True)
class Interpreted:
    """One file: what it declares (exactly one of automation and manifest, or neither), and what is wrong with it.

    `claims` is the automation id that the file wants, known even for many bad files. `routes` are the trigger's index, id and
    path of each route; `advice` is what its steps and the manifests were found to say, if that is remembered. `rest` is what can
    be looked at of an automation whose structure is wrong.
    """

    file: str
    document: Document | None
    automation: Automation | None = None
    manifest: Manifest | None = None
    claims: str | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    routes: tuple[tuple[int, str, str], ...] = ()
    advice: Advice | None = None
    rest: Remainder | None = None


@dataclass(frozen=True)  # no slots: with them Python 3.11 cannot make a frozen generic by its parametrized name
class Declared(Generic[T]):
    """A good declaration and the document it stands in."""

    value: T
    document: Document

    def line(self, path: Path = ()) -> int:
        """The line (from 1) where `path` stands."""
        return self.document.at(path).line


@dataclass(frozen=True)  # no slots: its digest is kept once somebody asked
class Catalogue:
    """What the tree declares. Bad files count as present: by the id they claim, or by their name alone.

    `claimed` maps ids to the bad files that want them; `unidentified` are bad files of which nobody knows what they are.
    """

    automations: Mapping[str, "Declared[Automation]"]
    manifests: Mapping[ManifestKey, "Declared[Manifest]"]
    diagnostics: tuple[Diagnostic, ...]
    claimed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    bad_files: frozenset[str] = frozenset()
    unidentified: frozenset[str] = frozenset()
    digests: Mapping[str, str] = field(default_factory=dict)
    tests: tuple[Document, ...] = ()
    """Test files whose structure is good; whether they fit an automation is `core/fixture`'s to say."""
    advice: Mapping[str, Advice] = field(default_factory=dict)
    broken: frozenset[str] = frozenset()
    """Actions that bad manifests say they describe."""

    @cached_property
    def digest(self) -> str:
        """One digest over all that is declared: two trees that mean the same have the same."""
        return digest(sorted(self.digests.items()))

    @property
    def empty(self) -> bool:
        """Whether no file declares anything, nor might: what a wrong directory looks like."""
        return not (self.automations or self.manifests or self.claimed or self.bad_files or self.unidentified)


def interpret(raw: bytes, file: str, shelf: Shelf | None = None) -> Interpreted:
    """Read and check one file by itself. Never raises for what the file holds.

    A `shelf` that is likely to be that of the tree lets steps be held against it now, while what was compiled is at hand.
    """
    reading = read(raw, file)
    if reading.document is None:
        return Interpreted(file, None, diagnostics=reading.diagnostics)
    return interpret_document(reading.document, reading.diagnostics, shelf)


def interpret_document(
    document: Document, found: tuple[Diagnostic, ...] = (), shelf: Shelf | None = None
) -> Interpreted:
    """The same from a document that was read already."""
    kind = kind_of(document) or "automation"
    structure = check_structure(document, kind)
    if structure:
        claims, rest = _claims(document.value, kind), remainder(document, structure) if kind == "automation" else None
        found = (*found, *structure, *(rest.findings() if rest else ()))
        return Interpreted(document.file, document, claims=claims, diagnostics=found, rest=rest)
    if kind == "action":
        manifest = build.manifest(document.value)
        return Interpreted(
            document.file, document, manifest=manifest, diagnostics=(*found, *check_manifest(document, manifest))
        )
    if kind == "test":
        return Interpreted(document.file, document, diagnostics=found)
    return _checked(document, found, shelf)


def accept(document: Document) -> Interpreted:
    """Build the model of a document in which nothing was found."""
    kind = kind_of(document) or "automation"
    if kind == "action":
        return Interpreted(document.file, document, manifest=build.manifest(document.value))
    if kind == "test":
        return Interpreted(document.file, document)
    automation = build.automation(document.value)
    return Interpreted(document.file, document, automation=automation, claims=automation.id, routes=_routes(automation))


def _checked(document: Document, found: tuple[Diagnostic, ...], shelf: Shelf | None) -> Interpreted:
    automation = build.automation(document.value)
    inputs = inputs_of(automation)
    said = (*found, *check(document, automation, inputs=inputs))
    advice = None
    if shelf is not None and not has_errors(said):
        advice = Advice(shelf.digest, tuple(_actions(document, automation, manifests=shelf, inputs=inputs)))
    return Interpreted(
        document.file,
        document,
        automation=automation,
        claims=automation.id,
        diagnostics=said,
        routes=_routes(automation),
        advice=advice,
    )


def _routes(automation: Automation) -> tuple[tuple[int, str, str], ...]:
    return tuple(
        (index, each.route.id, each.route.path)
        for index, each in enumerate(automation.triggers)
        if each.route is not None
    )


def assemble(
    files: Iterable[Interpreted],
    *,
    known: Mapping[ManifestKey, Manifest] | None = None,
    beside: Mapping[ManifestKey, Manifest] | None = None,
) -> Catalogue:
    """Put files together. `known` are manifests that others own, `beside` those of the same source in other files."""
    interpreted = tuple(files)
    diagnostics = [diagnostic for each in interpreted for diagnostic in each.diagnostics]
    for rule in (_same_automation, _same_manifest, _same_route):
        diagnostics.extend(rule(interpreted))
    bad = {diagnostic.span.file for diagnostic in diagnostics if diagnostic.severity is Severity.ERROR}
    manifests = {
        (each.manifest.id, each.manifest.version): Declared(each.manifest, each.document)
        for each in interpreted
        if each.manifest and each.document and each.file not in bad
    }
    own = {**(beside or {}), **{key: declared.value for key, declared in manifests.items()}}
    shelf = shelve(own.values(), (known or {}).values())
    advice = _advice((each for each in interpreted if each.file not in bad), shelf)
    diagnostics.extend(finding for each in advice.values() for finding in each.findings)
    diagnostics.extend(_of_bad((each for each in interpreted if each.file in bad), shelf))
    if broken := _broken(interpreted, bad):
        diagnostics = _but_of(broken, diagnostics, interpreted)
    bad |= {diagnostic.span.file for diagnostic in diagnostics if diagnostic.severity is Severity.ERROR}
    automations = {
        each.automation.id: Declared(each.automation, each.document)
        for each in interpreted
        if each.automation and each.document and each.file not in bad
    }
    return Catalogue(
        automations=automations,
        manifests=manifests,
        diagnostics=in_order(diagnostics),
        claimed=_claimed(each for each in interpreted if each.file in bad),
        bad_files=frozenset(bad),
        unidentified=frozenset(each.file for each in interpreted if each.file in bad and not each.claims),
        digests={each.file: _meaning(each) for each in interpreted},
        tests=_tests(each for each in interpreted if each.file not in bad),
        advice=advice,
        broken=broken,
    )


def with_executors(catalogue: Catalogue, kinds: Collection[str]) -> Catalogue:
    """The catalogue as it is seen where only these kinds of bindings can be carried out: other manifests get a warning."""
    found = []
    for declared in catalogue.manifests.values():
        binding = executable(declared.value)
        if binding is not None and binding.kind not in kinds:
            path = ("executorBindings", declared.value.bindings.index(binding))
            message = (
                f"nothing here carries out {binding.kind} bindings: {declared.value.id} waits for a worker that does"
            )
            hint = f"install this program with its extra {binding.kind}, or start a worker or runner elsewhere that can"
            span = declared.document.at(path)
            found.append(Diagnostic("action/no-executor", Severity.WARNING, message, span, path, hint))
    return replace(catalogue, diagnostics=in_order((*catalogue.diagnostics, *found))) if found else catalogue


def _advice(files: Iterable[Interpreted], shelf: Shelf) -> dict[str, Advice]:
    """By file, what its steps and the manifests say of each other; what is remembered counts while these are the same."""
    found = {}
    for each in files:
        if each.automation is not None and each.document is not None:
            advice = each.advice if each.advice is not None and each.advice.shelf == shelf.digest else None
            if advice is None:
                advice = Advice(shelf.digest, held_against(each.document, each.automation, shelf))
            found[each.file] = advice
    return found


def held_against(document: Document, automation: Automation, shelf: Shelf) -> tuple[Diagnostic, ...]:
    """What an automation's steps, the manifests of a shelf and the data say of each other."""
    return tuple(_actions(document, automation, manifests=shelf, inputs=inputs_of(automation)))


def with_circles(catalogue: Catalogue) -> Catalogue:
    """The catalogue with a warning for every circle of events. It looks at everything, so plans from memory do without."""
    manifests = {key: declared.value for key, declared in catalogue.manifests.items()}
    if not any(each.document.get("audit", {}).get("eventTypes") for each in manifests.values()):
        return catalogue
    shelf = shelve(manifests.values())
    emitters = {
        identity: Emitter(each.document, each.value, resolve_all(each.value.steps, shelf))
        for identity, each in catalogue.automations.items()
    }
    found = tuple(check_circles(emitters))
    return replace(catalogue, diagnostics=in_order((*catalogue.diagnostics, *found))) if found else catalogue


def _of_bad(files: Iterable[Interpreted], shelf: Shelf) -> Iterator[Diagnostic]:
    """What else is wrong with bad files: all that is no guess is told in one go."""
    for each in files:
        if each.automation is not None and each.document is not None:
            inputs, unsure = inputs_of(each.automation), guesses(each.automation.steps)
            yield from _actions(each.document, each.automation, manifests=shelf, inputs=inputs, unsure=unsure)
        elif (rest := each.rest) is not None:
            inputs = inputs_of(rest.automation)
            found = _actions(rest.document, rest.automation, manifests=shelf, inputs=inputs, unsure=None)
            yield from (one for one in found if rest.sure(one, absence=one.code != "spec/no-manifest"))


def _tests(files: Iterable[Interpreted]) -> tuple[Document, ...]:
    others = (each.document for each in files if each.document and not (each.automation or each.manifest))
    return tuple(each for each in others if kind_of(each) == "test")


def _broken(files: Sequence[Interpreted], bad: Collection[str]) -> frozenset[str]:
    """The actions that bad manifests say they describe."""
    documents = (each.document for each in files if each.file in bad and each.document is not None)
    values = [each.value for each in documents if kind_of(each) == "action" and isinstance(each.value, Mapping)]
    return frozenset(str(each.get("id")) for each in values)


def _but_of(broken: Collection[str], found: list[Diagnostic], files: Sequence[Interpreted]) -> list[Diagnostic]:
    """Findings without those that miss a manifest which is there, and bad: that is told already."""
    documents = {each.file: each.document for each in files}
    return [each for each in found if _missed(each, documents) not in broken]


def _missed(found: Diagnostic, documents: Mapping[str, Document | None]) -> str | None:
    """The action that a finding says has no manifest; None for other findings."""
    document = documents.get(found.span.file)
    if found.code != "spec/no-manifest" or document is None:
        return None
    value = document.value
    for part in found.path:
        value = value[part]
    return str(value)


def _claimed(files: Iterable[Interpreted]) -> dict[str, frozenset[str]]:
    claims: dict[str, set[str]] = defaultdict(set)
    for each in files:
        for identity in (each.claims, _renames(each)):
            if identity:
                claims[identity].add(each.file)
    return {identity: frozenset(names) for identity, names in claims.items()}


def _renames(each: Interpreted) -> str | None:
    """The id that a bad file says its automation had: that one is not gone."""
    value = each.document.value if each.document is not None else None
    lifecycle = value.get("lifecycle") if isinstance(value, Mapping) else None
    previous = lifecycle.get("renamedFrom") if isinstance(lifecycle, Mapping) else None
    return previous if isinstance(previous, str) else None


def _meaning(each: Interpreted) -> str:
    if each.automation:
        return each.automation.digest
    if each.manifest:
        return each.manifest.digest
    return digest(each.document.value) if each.document else "unreadable"


def _claims(value: Any, kind: str) -> str | None:
    identity = value.get("id") if isinstance(value, Mapping) and kind == "automation" else None
    return identity if isinstance(identity, str) else None


def _same_automation(files: tuple[Interpreted, ...]) -> Iterator[Diagnostic]:
    claims: dict[str, list[Interpreted]] = defaultdict(list)
    claiming = [each for each in files if each.claims]
    if len({each.claims for each in claiming}) < len(claiming):  # else there is nothing to sort out, as nearly always
        for each in claiming:
            claims[str(each.claims)].append(each)
    for identity, claimants in claims.items():
        yield from _contested(
            f"automation id {identity}", [(each, ("id",)) for each in claimants], code="spec/duplicate-id"
        )


def _same_manifest(files: tuple[Interpreted, ...]) -> Iterator[Diagnostic]:
    claims: dict[ManifestKey, list[Interpreted]] = defaultdict(list)
    for each in files:
        if each.manifest:
            claims[each.manifest.id, each.manifest.version].append(each)
    for (identity, version), claimants in claims.items():
        places = [(each, ("id",)) for each in claimants]
        yield from _contested(f"action {identity} version {version}", places, code="spec/duplicate-action")


def _same_route(files: tuple[Interpreted, ...]) -> Iterator[Diagnostic]:
    claims: dict[tuple[str, str], list[tuple[Interpreted, Path]]] = defaultdict(list)
    for each in files:
        for index, identity, path in each.routes:
            claims["path", path].append((each, ("triggers", index, "route", "path")))
            claims["id", identity].append((each, ("triggers", index, "route", "id")))
    for (what, value), claimants in claims.items():
        yield from _contested(f"webhook route {what} {value}", claimants, code="spec/duplicate-route")


def _contested(what: str, claimants: list[tuple[Interpreted, Any]], *, code: str) -> Iterator[Diagnostic]:
    """Every claimant is invalid, and each is told of all the others."""
    if len(claimants) < 2:
        return
    places = [each.document.at(path) for each, path in claimants if each.document]
    for (each, path), span in zip(claimants, places, strict=True):
        others = ", ".join(str(other) for other in places if other != span)
        message = f"{what} is also declared at {others}"
        yield Diagnostic(
            code, Severity.ERROR, message, span, path, f"keep one declaration; {each.file} is not used until then"
        )


def _actions(
    document: Document,
    automation: Automation,
    *,
    manifests: Shelf,
    inputs: Sequence[Scan],
    unsure: Collection[str] | None = (),
) -> Iterator[Diagnostic]:
    """What its steps, the manifests and the data say of each other.

    `unsure` are the steps before which nobody knows what comes; None where the data is not known at all.
    """
    pins = {}
    for (path, _), step, given in zip(paths_of_steps(document.value), automation.steps, inputs, strict=True):
        manifest, versions = resolve(step, manifests)
        if manifest is not None:
            pins[step.id] = manifest
        yield from check_secrets(document, path, step=step, manifest=manifest, given=given)
        if manifest is not None:
            yield from check_silence(document, path, step=step, manifest=manifest)
            yield from check_inputs(document, path, step=step, manifest=manifest, given=given)
        elif versions and step.manifest_version:
            message = f"action {step.action_id} has no version {step.manifest_version}"
            span = document.at((*path, "manifestVersion"))
            hint = f"known versions: {', '.join(versions)}"
            yield Diagnostic("spec/manifest-version", Severity.ERROR, message, span, (*path, "manifestVersion"), hint)
        else:
            message = f"action {step.action_id} has no manifest here: an external runner must claim it"
            span = document.at((*path, "actionId"))
            hint = "add a manifest file for it beside the specs, or start a runner that knows it"
            hint = f"did you mean {near}? {hint}" if (near := manifests.nearest(step.action_id)) else hint
            yield Diagnostic("spec/no-manifest", Severity.WARNING, message, span, (*path, "actionId"), hint)
    if unsure is None:
        return
    about_data = (
        *(check_triggers(automation), check_filters(automation), check_concurrency(automation)),
        *(check_steps(automation, pins, inputs=inputs, unsure=unsure), check_event_schemas(automation, inputs)),
    )
    for found in about_data:
        yield from (place(document, each) for each in found)
