"""What the actions of an automation need from wherever they are carried out: secrets by name, and variables that they inherit.

Only bindings that workers of ours carry out count: a runner from outside has its own.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from automations.core.canonical import as_written
from automations.core.expression.secret import ROOT, SecretReference
from automations.core.expression.template import INPUT_ROOTS, compile_template
from automations.core.run.edge import BINDING_ROOTS, TEMPLATED
from automations.core.run.program import executable
from automations.core.spec.model import AutomationStatus, Binding
from automations.core.trigger.bindings import Bound


class Need(NamedTuple):
    """One thing that a step needs: a secret, or a variable of the environment."""

    kind: Literal["secret", "variable"]
    name: str
    automation_id: str
    step_id: str


def needs(bound: Iterable[Bound]) -> Iterator[Need]:
    """What the steps of active automations need, each thing once for each step."""
    for each in bound:
        if each.automation.status is not AutomationStatus.ACTIVE:
            continue
        for step in each.automation.steps:
            manifest = each.manifests.get(step.id)
            binding = executable(manifest) if manifest else None
            if binding is None:
                continue
            names = {*_secrets(step.input, INPUT_ROOTS), *_of_binding(binding)}
            yield from (Need("secret", name, each.automation.id, step.id) for name in sorted(names))
            inherited = binding.config.get("inheritEnv")
            for name in sorted(set(inherited)) if isinstance(inherited, list) else ():
                yield Need("variable", str(name), each.automation.id, step.id)


def by_name(found: Iterable[Need]) -> Mapping[tuple[str, str], list[str]]:
    """The steps (`automation/step`) by kind and name."""
    steps: dict[tuple[str, str], list[str]] = {}
    for each in found:
        steps.setdefault((each.kind, each.name), []).append(f"{each.automation_id}/{each.step_id}")
    return steps


def _of_binding(binding: Binding) -> Iterator[str]:
    key = TEMPLATED.get(binding.kind, "")
    return _secrets(binding.config.get(key), BINDING_ROOTS)


def _secrets(value: Any, roots: frozenset[str]) -> Iterator[str]:
    # Few values name one, and compiling all templates of thousands of specs takes long.
    if value and ROOT in as_written(value):
        for text in compile_template(value, roots=roots).secrets():
            yield from (part.name for part in text.parts if isinstance(part, SecretReference))
