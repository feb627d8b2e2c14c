"""The verb send: take in what somebody handed in, one event or many, and answer for each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from automations.core.trigger.cause import caused
from automations.core.trigger.intake import Read, read_events
from automations.errors import AutomationsError
from automations.services.ingest import Delivery, Ingested

if TYPE_CHECKING:
    from automations.core.trigger.cause import Cause
    from automations.core.trigger.envelope import Envelope
    from automations.services.ingest import Ingest
    from automations.services.ports import Clock, Ids


class Answer(NamedTuple):
    """What became of one event of a hand-in: it was taken in, or refused, and then nothing of it is there."""

    place: int
    envelope: Envelope | None
    taken: Ingested | None
    problem: AutomationsError | None

    def refusal(self) -> dict[str, Any]:
        """The refusal as a document: `{index, ok: false, error, code, hint?}`."""
        assert self.problem is not None  # noqa: S101  # asked of a refused event only
        return {"index": self.place, **self.problem.document()}


class Answers(NamedTuple):
    """One answer for each event, in order; `several` when they are to be answered as a list."""

    each: tuple[Answer, ...]
    several: bool


@dataclass(frozen=True, slots=True)
class Send:
    """Takes hand-ins in."""

    ingest: Ingest
    clock: Clock
    ids: Ids

    def take(self, raw: bytes, *, cause: Cause | None = None) -> Answers:
        """Take in every event that can be read; those of a run with `cause` carry its hop count.

        Raises InvalidInput when nothing of it can be read, or when the only event is refused.
        """
        handed = read_events(raw, received_at=self.clock.now(), new_id=self.ids.new)
        reads = [each if cause is None else _with(each, cause) for each in handed.reads]
        wanted = [Delivery(each.envelope, each.digest) for each in reads if each.envelope is not None]
        results = iter(self.ingest.many(wanted) if len(wanted) > 1 else self._alone(wanted))
        answers = []
        for index, read in enumerate(reads):
            result = next(results) if read.envelope is not None else read.problem
            taken = result if isinstance(result, Ingested) else None
            problem = result if isinstance(result, AutomationsError) else None
            answers.append(Answer(index, read.envelope, taken, problem))
        if not handed.several and answers[0].problem is not None:
            raise answers[0].problem
        return Answers(tuple(answers), handed.several)

    def _alone(self, wanted: list[Delivery]) -> list[Ingested | AutomationsError]:
        try:
            return [self.ingest.one(each) for each in wanted]
        except AutomationsError as problem:
            return [problem]


def _with(read: Read, cause: Cause) -> Read:
    return read if read.envelope is None else Read(caused(read.envelope, cause), read.digest)
