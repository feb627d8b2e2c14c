"""A program: one automation generation with its expressions, templates and schemas compiled, ready to be run many times.

A run is pinned to (generation, manifests), so a program never changes and may be cached for as long as anyone likes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from automations.core.expression.matcher import When, compile_when
from automations.core.expression.secret import SecretText, secret_field, without_fields
from automations.core.expression.template import INPUT_ROOTS, Template, compile_template
from automations.core.instant import SECOND
from automations.core.run.concurrency import KEY_ROOTS
from automations.core.spec.conform import Conformity, compile_schema
from automations.core.spec.model import Approval, Automation, Binding, Manifest, Step

EXTERNAL = "external"
"""The executor of an action that nothing here can carry out: an external runner must claim it."""

OPTIONAL = "mcp"
"""A kind of binding that only workers with its extra carry out."""

EXECUTABLE = ("local-shell", "http", "python", OPTIONAL)
"""Kinds of bindings that workers of ours carry out."""


STOPPING = 10 * SECOND
"""How long (microseconds) an executor of ours may take to stop an attempt that ran out of time, and to report it."""


@dataclass(frozen=True, slots=True)
class StepProgram:
    """One step, compiled."""

    step: Step
    when: When | None
    input: Template
    manifest: Manifest | None
    accepts: Conformity | None
    binding: Binding | None
    secrets: tuple[SecretText, ...] = ()
    """The places in the input that take secrets."""
    misplaced: tuple[SecretText, ...] = ()
    """Those of them that the manifest does not mark with `x-secret`."""

    @property
    def executor(self) -> str:
        """The kind of executor that carries this step out, or `external`."""
        return self.binding.kind if self.binding else EXTERNAL

    @property
    def attempt_limit(self) -> int | None:
        """After how long (microseconds) the queue takes an attempt back; None for never.

        An executor of ours ends a late attempt itself, and is given the time to say what it saw.
        """
        if self.step.timeout is None:
            return None
        return self.step.timeout + (STOPPING if self.binding else 0)

    @property
    def manifest_version(self) -> str:
        """The version of the manifest that the step runs with; the original's default where none is known."""
        return self.manifest.version if self.manifest else self.step.manifest_version or "1.0.0"

    @property
    def approvals(self) -> int:
        """How many people must agree before the step runs; 0 for none."""
        return sum(each.count for each in self.asks)

    @property
    def asks(self) -> tuple[Approval, ...]:
        """Who must agree before the step runs: those whom the step asks, and those whom its manifest asks besides."""
        mine = (self.step.approval,) if self.step.approval else ()
        return mine + (self.manifest.approvals if self.manifest else ())


@dataclass(frozen=True, slots=True)
class Program:
    """One generation of an automation, compiled. `steps` are in the author's order, `finally` steps last."""

    uid: str
    generation: int
    automation: Automation
    steps: tuple[StepProgram, ...]
    key: Template | None = None
    """The concurrency key; None where runs share no slots."""

    def step(self, step_id: str) -> StepProgram:
        """The step of that id. Raises KeyError."""
        for each in self.steps:
            if each.step.id == step_id:
                return each
        raise KeyError(step_id)


def executable(manifest: Manifest) -> Binding | None:
    """The binding that a worker of ours carries out: the manifest's first, but an optional one only if there is no other."""
    ours = sorted(
        (each for each in manifest.bindings if each.kind in EXECUTABLE), key=lambda each: each.kind == OPTIONAL
    )
    return ours[0] if ours else None


def compile_program(uid: str, generation: int, *, automation: Automation, manifests: Mapping[str, Manifest]) -> Program:
    """Compile an automation. `manifests` maps step ids to the manifest each is pinned to; missing is external.

    Raises InvalidInput (from the compilers) for a spec that its checks would have refused.
    """
    concurrency = automation.concurrency
    return Program(
        uid,
        generation,
        automation,
        tuple(_step(each, manifests.get(each.id)) for each in automation.steps),
        compile_template(concurrency.key, roots=KEY_ROOTS) if concurrency else None,
    )


def _step(step: Step, manifest: Manifest | None) -> StepProgram:
    template = compile_template(step.input, roots=INPUT_ROOTS)
    secrets = template.secrets()
    schema = manifest.input_schema if manifest else {}
    return StepProgram(
        step=step,
        when=None if step.when is None else compile_when(step.when),
        input=template,
        manifest=manifest,
        accepts=compile_schema(without_fields(schema, (each.path for each in secrets))) if manifest else None,
        binding=executable(manifest) if manifest else None,
        secrets=secrets,
        misplaced=tuple(each for each in secrets if not secret_field(schema, each.path)),
    )
