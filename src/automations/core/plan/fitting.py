"""Which manifests an old spec fits, where it does not fit those of today: both moved together, and it cannot go back alone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from automations.core.diagnostic import Severity
from automations.core.spec.catalogue import Interpreted, ManifestKey, assemble
from automations.core.spec.manifests import rank
from automations.core.spec.model import Manifest

Manifests = Mapping[ManifestKey, Manifest]
MOST_TRIED = 50
"""Manifests of one action that are tried, the highest versions first."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A manifest that takes the place of today's, and how it stands.

    `steps` take it; they are `pinned` when all name its version. `bound` is whether it is there, beside a higher version;
    `rewritten` whether its version is there with another content.
    """

    manifest: Manifest
    steps: tuple[str, ...]
    pinned: bool
    bound: bool
    rewritten: bool

    @property
    def name(self) -> str:
        """Such as `ci.build 1.0.0`."""
        return f"{self.manifest.id} {self.manifest.version}"


def fitting(old: Interpreted, *, known: Manifests, beside: Manifests, kept: Iterable[Manifest]) -> tuple[Fit, ...]:
    """The manifests that make an old spec valid in the place of today's, as few as will do; none where nothing does.

    `known` are today's manifests of other owners, `beside` those of its own; `kept` is every one that ever was.
    """
    if old.automation is None:
        return ()
    wanted: dict[str, list[Manifest]] = {step.action_id: [] for step in old.automation.steps}
    for manifest in kept:
        if manifest.id in wanted:
            wanted[manifest.id].append(manifest)
    chosen: dict[str, Manifest] = {}
    left = _errors(old, known, beside, chosen)
    for action, candidates in wanted.items():
        highest_first = sorted(candidates, key=lambda each: rank(each.version), reverse=True)
        for manifest in highest_first[:MOST_TRIED]:
            errors = _errors(old, known, beside, {**chosen, action: manifest})
            if errors < left:
                left, chosen[action] = errors, manifest
    return () if left else tuple(_fit(old, each, {**known, **beside}) for each in chosen.values())


def advice(fits: Sequence[Fit]) -> str:
    """What to do to go back to a spec that fits these, as a sentence; empty for none."""
    if not fits:
        return ""
    names = " and ".join(each.name for each in fits)
    pins = ", ".join(f"manifestVersion: {fit.manifest.version} at step {step}" for fit in fits for step in fit.steps)
    if all(fit.bound for fit in fits):
        return f"it fits {names}: put this generation's text into its file with {pins}, and apply"
    first = f"it fits {names}, which {'has' if len(fits) == 1 else 'have'} to come back first"
    if all(fit.pinned for fit in fits):
        return f"{first}: put it into the files again (git revert), apply, and then roll back"
    both = "git revert what moved both, and apply"
    if any(fit.rewritten for fit in fits):
        return f"{first} as it was: {both}"
    return f"{first}: {both}; or put it back beside the higher version, and this generation's text with {pins}"


def _errors(old: Interpreted, known: Manifests, beside: Manifests, chosen: Mapping[str, Manifest]) -> int:
    """How many errors an old spec has with the chosen manifests in the place of all others of their actions."""
    others = {key: each for key, each in known.items() if key[0] not in chosen}
    own = {key: each for key, each in beside.items() if key[0] not in chosen}
    own |= {(each.id, each.version): each for each in chosen.values()}
    found = assemble([old], known=others, beside=own).diagnostics
    return sum(each.severity is Severity.ERROR for each in found)


def _fit(old: Interpreted, manifest: Manifest, there: Manifests) -> Fit:
    assert old.automation is not None  # noqa: S101  # nothing is fitted to what is no automation
    steps = [step for step in old.automation.steps if step.action_id == manifest.id]
    standing = there.get((manifest.id, manifest.version))
    bound = standing is not None and standing.digest == manifest.digest
    return Fit(
        manifest,
        steps=tuple(step.id for step in steps if step.manifest_version is None),
        pinned=all(step.manifest_version is not None for step in steps),
        bound=bound,
        rewritten=standing is not None and not bound,
    )
