"""What caused an event: a run that emits one passes a hop count on, so that automations that set each other off come to a stop.

A process of a run finds `AUTOMATIONS_CAUSE` in its environment, and `automations events send` reads it there. Another emitter
writes `metadata.automations` itself: `{causedBy: <run id>, hops: <one more than its own event had>}`. That is cooperation and
no proof: a sender that leaves it out begins at 0 again.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from automations.core.trigger.envelope import Envelope
from automations.errors import InvalidInput

MOST_HOPS = 16
"""An event that came about through more runs than this is rejected."""
VARIABLE = "AUTOMATIONS_CAUSE"
METADATA = "automations"

_WRITTEN = re.compile(r"run=(?P<run>[A-Za-z0-9-]{1,64});hops=(?P<hops>[0-9]{1,4})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cause:
    """A run, and how many runs stand between it and the event that began it all."""

    run_id: str
    hops: int


def read_cause(text: str) -> Cause:
    """The cause that an environment variable names. Raises InvalidInput."""
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise InvalidInput(
            f"{VARIABLE} is not what a run hands to its processes", hint="unset it, or pass it on unchanged"
        )
    return Cause(found["run"], int(found["hops"]))


def caused(envelope: Envelope, cause: Cause) -> Envelope:
    """The envelope as sent by a run: one hop further than the run's own event, whatever else it says."""
    about = {METADATA: {"causedBy": cause.run_id, "hops": cause.hops + 1}}
    return replace(envelope, metadata={**envelope.metadata, **about})


def hops_of(metadata: Mapping[str, Any] | None) -> int:
    """How many runs an event came through, by its own word: 0 where it says nothing, or nothing that is a count."""
    said = _said(metadata)
    return said if isinstance(said, int) and not isinstance(said, bool) and said > 0 else 0


def too_many_hops(envelope: Envelope) -> str | None:
    """Why an event goes no further; None when it may."""
    said = _said(envelope.metadata)
    if said is None:
        return None
    if isinstance(said, bool) or not isinstance(said, int) or said < 0:
        return f"metadata.{METADATA}.hops is not a whole number from 0 on"
    if said > MOST_HOPS:
        return f"it came through {said} runs, and {MOST_HOPS} are allowed: automations set each other off in a circle"
    return None


def _said(metadata: Mapping[str, Any] | None) -> Any:
    about = (metadata or {}).get(METADATA)
    return about.get("hops") if isinstance(about, Mapping) else None
