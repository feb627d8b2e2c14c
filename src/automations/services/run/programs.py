"""Compiled programs of the generations that live runs are pinned to.

The compilers are imported when something is compiled: `queue claim` holds one of these and compiles nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from automations.core.canonical import decode, decode_words
from automations.store import automations, manifests

if TYPE_CHECKING:
    from collections.abc import Mapping

    from automations.core.run.program import Program
    from automations.core.run.retry import Retry
    from automations.core.spec.conform import Conformity
    from automations.store.database import Row, Transaction


class Programs:
    """Compiled programs of the generations that live runs are pinned to. They never change, so they are kept."""

    MOST = 4096

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int, str], Program] = {}
        self._yields: dict[str, Conformity | None] = {}

    def of_run(self, tx: Transaction, run: Row) -> Program:
        """The program of a run, from exactly the generation and manifests that it started with."""
        key = (run["automation_uid"], run["generation"], run["manifests_json"])
        program = self._kept.get(key)
        if program is None:
            program = self._load(tx, run)
            if len(self._kept) >= self.MOST:
                self._kept.clear()
            self._kept[key] = program
        return program

    def retry_of(self, tx: Transaction, run: Row, step_id: str) -> Retry:
        """How often a step of a run is tried; nothing is compiled for it."""
        from automations.core.run.retry import DEFAULT, retry_of  # noqa: PLC0415  # see the module's head

        kept = self._kept.get((run["automation_uid"], run["generation"], run["manifests_json"]))
        if kept is not None:
            return kept.step(step_id).step.retry
        row = automations.generation(tx, run["automation_uid"], run["generation"])
        assert row is not None, "generations outlive the runs pinned to them"  # noqa: S101  # retention keeps them
        spec = decode_words(row["spec_json"])
        for raw in (*spec["actions"], *spec.get("finally", ())):
            if raw["id"] == step_id:
                return retry_of(raw.get("retry", {}))
        return DEFAULT

    def yields(self, tx: Transaction, manifest_digest: str | None) -> Conformity | None:
        """What a pinned manifest says of its action's output; None where it says nothing, or none is pinned."""
        if manifest_digest is None:
            return None
        if manifest_digest not in self._yields:
            if len(self._yields) >= self.MOST:
                self._yields.clear()
            self._yields[manifest_digest] = self._output(_body(tx, manifest_digest))
        return self._yields[manifest_digest]

    def _output(self, manifest: Mapping[str, Any]) -> Conformity | None:
        from automations.core.spec.conform import compile_schema  # noqa: PLC0415  # see the module's head

        schema = manifest.get("outputSchema")
        return compile_schema(schema) if schema else None

    def _load(self, tx: Transaction, run: Row) -> Program:
        from automations.core.run.program import compile_program  # noqa: PLC0415  # see the module's head
        from automations.core.spec import build  # noqa: PLC0415  # see the module's head

        row = automations.generation(tx, run["automation_uid"], run["generation"])
        assert row is not None, "generations outlive the runs pinned to them"  # noqa: S101  # retention keeps them
        pinned = {step: build.manifest(_body(tx, digest)) for step, digest in decode(run["manifests_json"]).items()}
        return compile_program(
            run["automation_uid"],
            run["generation"],
            automation=build.automation(decode(row["spec_json"])),
            manifests=pinned,
        )


def _body(tx: Transaction, digest: str) -> Mapping[str, Any]:
    text = manifests.body(tx, digest)
    assert text is not None, "manifest texts outlive the runs pinned to them"  # noqa: S101  # never deleted
    body: Mapping[str, Any] = decode(text)
    return body
