"""The verb send: take in what somebody handed in, one event or many, and answer for each of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from automations.core.trigger.cause import caused
from automations.core.trigger.envelope import short_text
from automations.core.trigger.intake import Read, read_events
from automations.errors import AutomationsError, InvalidInput
from automations.services.trigger.ingest import Delivery, Ingested

if TYPE_CHECKING:
    from automations.core.trigger.cause import Cause
    from automations.core.trigger.envelope import Envelope
    from automations.services.ports import Clock, Ids
    from automations.services.trigger.ingest import Ingest


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

    def take(self, raw: bytes, *, cause: Cause | None = None, key: str | None = None) -> Answers:
        """Take in every event that can be read; those of a run with `cause` carry its hop count.

        `key` stands for a dedupe key where an event has none (the second's is `key#1`, and so on); with it, a repetition with
        another body is refused (`idempotency_key_reused`), because its sender means something new.

        Raises InvalidInput when nothing of it can be read, or when the only event is refused.
        """
        handed = read_events(raw, received_at=self.clock.now(), new_id=self.ids.new)
        if key is not None:
            short_text(key, "the idempotency key")
        reads = [each if cause is None else _with(each, cause) for each in handed.reads]
        reads = [_keyed(each, key, place=place) for place, each in enumerate(reads)]
        wanted = [Delivery(each.envelope, each.digest) for each in reads if each.envelope is not None]
        results = iter(self.ingest.many(wanted) if len(wanted) > 1 else self._alone(wanted))
        answers = []
        for index, read in enumerate(reads):
            result = next(results) if read.envelope is not None else read.problem
            if key is not None and isinstance(result, Ingested) and result.conflict:
                result = _reused()
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


def _keyed(read: Read, key: str | None, *, place: int) -> Read:
    if key is None or read.envelope is None or read.envelope.dedupe_key is not None:
        return read
    own = key if place == 0 else f"{key}#{place}"
    return Read(replace(read.envelope, dedupe_key=own), read.digest)


def _reused() -> InvalidInput:
    hint = "use a new key for a new request"
    return InvalidInput("this idempotency key was used for other events", hint=hint, code="idempotency_key_reused")
