"""The worker of a case: nothing is carried out, but every attempt is claimed, takes its time and is reported as by a worker."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from automations.core.fixture.case import Answer
from automations.core.instant import SECOND
from automations.core.run.queue import Failure, Holder
from automations.errors import Conflict, NotFound
from automations.services.queue import Claim, Done, Undone

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from automations.services.rehearsal_stage import Stage
    from automations.store.database import Row

RUNNER = "test"
LEASE = 365 * 86_400 * SECOND
"""Longer than any attempt: what ends one early is its own timeout, or somebody who cancels it (microseconds)."""
_ANY = Answer()


class _Attempt(NamedTuple):
    row: Row
    answer: Mapping[str, Any]
    ends_at: int

    @property
    def holder(self) -> Holder:
        return Holder(RUNNER, self.row["fence"])


class Hands:
    """The attempts under way in a case. `answers` by step id."""

    def __init__(self, stage: Stage, answers: Mapping[str, Answer]) -> None:
        self._stage = stage
        self._answers = answers
        self._held: list[_Attempt] = []

    def move(self) -> bool:
        """Stop what was cancelled, report what has ended, begin what can begin; whether there was anything."""
        return self._heed() or self._report_ended() or self._begin()

    def next_due(self) -> int | None:
        """When the next attempt ends (microseconds)."""
        return min((each.ends_at for each in self._held), default=None)

    def _begin(self) -> bool:
        claimed = self._stage.queue.claim(Claim(RUNNER, lease=LEASE))
        for row in claimed:
            answer = self._answers.get(row["step_id"], _ANY)
            number = row["attempt"]
            self._held.append(_Attempt(row, answer.of_attempt(number), self._stage.clock.at + answer.takes(number)))
        return bool(claimed)

    def _heed(self) -> bool:
        asked = self._stage.queue.asked_to_stop(RUNNER) if self._held else ()
        stopped = [each for each in self._held if each.row["id"] in asked]
        for each in stopped:
            self._held.remove(each)
            self._stage.queue.release(each.row["id"], each.holder)
        return bool(stopped)

    def _report_ended(self) -> bool:
        ended = [each for each in self._held if each.ends_at <= self._stage.clock.at]
        if not ended:
            return False
        first = min(ended, key=lambda each: each.ends_at)
        self._held.remove(first)
        with suppress(Conflict, NotFound):  # it was out of time before it ended
            self._report(first)
        return True

    def _report(self, attempt: _Attempt) -> None:
        answer, action_id = attempt.answer, attempt.row["id"]
        if "error" not in answer:
            result = {"output": answer["output"]} if "output" in answer else None
            self._stage.queue.complete(Done(action_id, attempt.holder, result))
            return
        error = answer["error"]
        given: Mapping[str, Any] = {"code": error} if isinstance(error, str) else error
        message = given.get("message", f"{given['code']}, as the test says")
        failure = Failure(given["code"], message, retryable=given.get("retryable", True))
        self._stage.queue.fail(Undone(action_id, attempt.holder, failure))
