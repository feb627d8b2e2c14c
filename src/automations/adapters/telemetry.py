"""Telemetry behind the Telemetry port: services emit once, subscribers make logs, metrics and traces of it.

The log subscriber writes its lines itself: a line is a dozen scalar fields, and importing structlog for that costs
363 ms at every start. Whatever happens here, the program that emits goes on: nothing raises.
"""

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Lock
from typing import Any, TextIO

from automations.core.instant import iso

Scalar = str | int | float | bool | None
Subscriber = Callable[[str, Mapping[str, Scalar]], None]
"""Gets the event's dotted name and its fields; called on the thread that emits, so it must be quick."""

VALUE_LIMIT = 300
"""Characters of one text value; the rest is cut and marked with an ellipsis."""

_ENCODER = json.JSONEncoder(
    ensure_ascii=True, separators=(",", ":")
)  # made once: `dumps` would make one for every line
_PLAIN = re.compile(r"[^\s\"'=\\]+\Z")
_UNPRINTABLE_ASCII = re.compile(r"[\x7f]")


class Telemetry:
    """Hands every event to every subscriber. Safe to share between threads."""

    __slots__ = ("_subscribers",)

    def __init__(self, *subscribers: Subscriber) -> None:
        self._subscribers = subscribers

    def subscribe(self, subscriber: Subscriber) -> None:
        """Let `subscriber` see every event from now on."""
        self._subscribers = (*self._subscribers, subscriber)

    def emit(self, event: str, /, **fields: Any) -> None:
        """Tell one thing that happened: a dotted name such as `run.materialized` and scalar fields.

        A value that is not a scalar is replaced by its type's name (`<dict>`), so that no payload gets out by mistake;
        text longer than `VALUE_LIMIT` is cut. Never raises, whatever a subscriber does.
        """
        subscribers = self._subscribers
        if not subscribers:
            return
        bounded = {name: _scalar(value) for name, value in fields.items()}
        for subscriber in subscribers:
            with suppress(Exception):  # a broken log or metric must not break the work that it watches
                subscriber(event, bounded)


def _scalar(value: Any) -> Scalar:
    if isinstance(value, str):
        text = str(value)  # an enumeration becomes its plain text
        return text if len(text) <= VALUE_LIMIT else text[: VALUE_LIMIT - 1] + "…"
    if value is None or isinstance(value, bool | int | float):
        return value
    return f"<{type(value).__name__}>"


class LogLines:
    """A subscriber that writes one whole line for one event: `time event key=value` or one JSON object.

    `now` gives microseconds UTC. `as_json` None means JSON unless the stream is a terminal. Control characters, line
    separators and direction marks are escaped, so a value cannot forge a line or drive a terminal. A stream that is
    closed, full or gone loses the line; nothing raises.
    """

    __slots__ = ("_as_json", "_lock", "_now", "_stream")

    def __init__(self, stream: TextIO, now: Callable[[], int], *, as_json: bool | None = None) -> None:
        self._stream = stream
        self._now = now
        self._as_json = not _is_terminal(stream) if as_json is None else as_json
        self._lock = Lock()

    def __call__(self, event: str, fields: Mapping[str, Scalar], /) -> None:
        """Write the line and flush it."""
        render = json_line if self._as_json else text_line
        line = render(event, fields, at=self._now())
        with suppress(OSError, ValueError), self._lock:
            try:
                self._stream.write(line)
            except UnicodeEncodeError:
                self._stream.write(line.encode("ascii", "backslashreplace").decode("ascii"))
            self._stream.flush()


def json_line(event: str, fields: Mapping[str, Scalar], *, at: int) -> str:
    """Render one JSON object in ASCII with `time` and `event` first, ending in a newline; `at` in microseconds."""
    record = {"time": iso(at), "event": event}
    record.update((name, value) for name, value in fields.items() if name not in record)  # type: ignore[misc]  # scalars
    text = _ENCODER.encode(record)
    return _UNPRINTABLE_ASCII.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def text_line(event: str, fields: Mapping[str, Scalar], *, at: int) -> str:
    """Render `time event key=value …` for a person, ending in a newline; `at` in microseconds."""
    words = [iso(at), _word(event), *(f"{_word(name)}={_word(value)}" for name, value in fields.items())]
    return " ".join(words) + "\n"


def _word(value: Scalar) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    if value.isprintable() and _PLAIN.match(value):
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(
        letter if letter.isprintable() else json.dumps(letter).strip('"').replace("\x7f", "\\u007f")
        for letter in quoted
    )


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False
