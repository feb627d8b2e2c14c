"""What a sender may hand in: one event, a JSON list of them, or one a line; each an open-events envelope or a CloudEvent.

Every event is read by itself, so that a bad one says which it is and keeps no other from being taken in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from automations.core.canonical import digest, digest_bytes
from automations.core.strict_json import parse
from automations.core.trigger.cloudevent import from_cloudevent, is_cloudevent
from automations.core.trigger.envelope import Envelope, from_document
from automations.errors import InvalidInput

MOST = 1_000
"""Events in one hand-in."""


@dataclass(frozen=True, slots=True)
class Read:
    """One event that was handed in: its envelope, or what is wrong with it. `digest` is of what was sent."""

    envelope: Envelope | None
    digest: str = ""
    problem: InvalidInput | None = None


@dataclass(frozen=True, slots=True)
class HandIn:
    """Everything that was handed in. `several` asks for a list as the answer, also when there is one."""

    reads: tuple[Read, ...]
    several: bool


def read_events(raw: bytes, *, received_at: int, new_id: Callable[[], str]) -> HandIn:
    """Read a hand-in; an envelope without an id gets one.

    Raises InvalidInput when nothing of it can be read: malformed JSON, an empty list, more than MOST events.
    """

    def read(value: Any, of: str) -> Read:
        try:
            if is_cloudevent(value):
                return Read(from_cloudevent(value, received_at=received_at), of)
            return Read(from_document(value, received_at=received_at, new_id=new_id()), of)
        except InvalidInput as problem:
            return Read(None, of, problem)

    try:
        value = parse(raw)
    except InvalidInput:
        lines = [line for line in raw.split(b"\n") if line.strip()]
        if len(lines) < 2 or not _is_json(lines[0]):
            raise
        _bounded(len(lines))
        return HandIn(tuple(_line(line, read) for line in lines), several=True)
    if not isinstance(value, list):
        return HandIn((read(value, digest_bytes(raw)),), several=False)
    if not value:
        raise InvalidInput("the list holds no events")
    _bounded(len(value))
    return HandIn(tuple(read(each, digest(each)) for each in value), several=True)


def _line(line: bytes, read: Callable[[Any, str], Read]) -> Read:
    try:
        return read(parse(line), digest_bytes(line.strip()))
    except InvalidInput as problem:
        return Read(None, "", problem)


def _is_json(line: bytes) -> bool:
    try:
        parse(line)
    except InvalidInput:
        return False
    return True


def _bounded(count: int) -> None:
    if count > MOST:
        raise InvalidInput(f"{count} events at once are too many; {MOST} are allowed", hint="send them in parts")
