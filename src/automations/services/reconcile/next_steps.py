"""What a person does about what waits in a source, as commands that can be pasted wherever they stand."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from automations.core.plan.prune import TOGETHER

if TYPE_CHECKING:
    from automations.core.plan.prune import Verdict

UNNAMED = "default"
"""The source that `automations apply` takes where none is named."""


@dataclass(frozen=True, slots=True)
class NextSteps:
    """Of one source. `path` is its directory.

    `reconcile` always names the source: the store may come to know another one, and a number is of one source.
    """

    source: str
    path: str

    def confirm(self, count: int) -> str:
        """Say the number."""
        return f"automations reconcile --source {shlex.quote(self.source)} --confirm-deletes {count}"

    def apply(self, *options: str) -> str:
        """Carry out what the files say, whatever waits."""
        named = () if self.source == UNNAMED else ("--source", shlex.quote(self.source))
        return " ".join(("automations apply", shlex.quote(self.path), *named, *options))

    def waits(self, verdict: Verdict) -> str | None:
        """Why something waits and what to do, or None."""
        # Not `apply`: that one is refused where it would stop many, also after what stopped just before.
        confirm = self.confirm(verdict.count)
        after = f", after {verdict.recent} in the last ten minutes" if verdict.recent else ""
        words = {
            "UnreadableFile": "gone from the files, or in one that cannot be read: mend it first",
            "Unconfirmed": f"gone from the files; confirm with: {confirm}",
            "PruneOff": f"gone from the files, and this source deletes nothing by itself; delete with: {confirm}",
            "NotYetGone": "gone from the files; deleted when it is missing from another look and for long enough",
            TOGETHER: "waits until bad files are mended: manifests change together with what goes by them",
            "Suspended": "not carried out while the source is suspended",
            "TooMany": f"too many would stop at once: {verdict.count}{after}; confirm with: {confirm}",
        }
        return None if verdict.reason is None else words[verdict.reason]

    def protected(self, identity: str) -> str:
        """Why something protected stays."""
        delete = self.apply("--unprotect", identity)
        return f"protected, and gone from the files: put the file back, or delete it with: {delete}"

    def held_back(self) -> str:
        """Why an automation is not what its file says, after a rollback."""
        return f"its file says what a rollback rejected; change the file, or: {self.apply()}"
