"""A file of recorded events, read as it goes: JSON lines, one JSON array, or documents one after another."""

import json
import sys
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

from automations.adapters.absent import unreadable
from automations.errors import InvalidInput

_CHUNK = 256 * 1024
LARGEST = 4 * 1024 * 1024
"""Characters that one event may take."""
_BETWEEN = " \t\r\n,"
_BREAK = "\n"
Taken = TypeVar("Taken")


class Recorded(NamedTuple):
    """One event of a file: where it begins (`file:line`), which one it is (from 1), and what it says."""

    place: str
    number: int
    document: Any


def event_documents(path: str) -> Iterator[Recorded]:
    """Every event of a file (`-` for standard input), checked as strictly as one that is sent.

    Raises InvalidInput naming the event that cannot be read, by its line and number.
    """
    if path == "-":
        yield from _documents(sys.stdin.buffer, "standard input")
        return
    try:
        with Path(path).open("rb") as file:
            yield from _documents(file, path)
    except (OSError, ValueError) as problem:
        if isinstance(problem, OSError):
            raise unreadable(path, problem) from None
        raise InvalidInput(f"{path!r} is no file name", hint="give a file of events, or -") from None


def taken(given: Iterable[Recorded], read: Callable[[Any], Taken]) -> Iterator[Taken]:
    """What is read of each. Raises InvalidInput naming the one that is no event."""
    for each in given:
        try:
            yield read(each.document)
        except InvalidInput as problem:
            message = f"{each.place}: event {each.number} is none: {problem.message}"
            raise InvalidInput(message, hint=problem.hint, code=problem.stable_code) from None


def _documents(file: BinaryIO, name: str) -> Iterator[Recorded]:
    from automations.core.strict_json import parse

    decoder, utf8 = json.JSONDecoder(), getincrementaldecoder("utf-8")()
    text, number, line, listed, over = "", 0, 1, False, False
    while True:
        chunk = file.read(_CHUNK)
        try:
            text += utf8.decode(chunk, final=not chunk)
        except UnicodeDecodeError as problem:
            before = text + problem.object[: problem.start].decode(errors="replace")
            raise _unreadable(f"{name}:{line + before.count(_BREAK)}", number + 1, "it is not UTF-8") from None
        at = counted = 0
        while True:
            at = _skip(text, at)
            line, counted = line + text.count(_BREAK, counted, at), at
            if at < len(text) and text[at] == "[" and not number and not listed:
                listed, at = True, at + 1
                continue
            if at < len(text) and text[at] == "]" and listed and not over:
                over, at = True, at + 1
                continue
            if at == len(text):
                break
            try:
                _, end = decoder.raw_decode(text, at)
            except (json.JSONDecodeError, RecursionError) as problem:
                if not chunk or len(text) - at > LARGEST or over:
                    raise _unreadable(f"{name}:{line}", number + 1, str(problem)) from None
                break
            if end == len(text) and chunk and text[end - 1] not in "]}":
                break  # a number or word may go on
            number += 1
            try:
                found = parse(text[at:end])
            except InvalidInput as problem:
                raise _unreadable(f"{name}:{line}", number, problem.message) from None
            yield Recorded(f"{name}:{line}", number, found)
            at = end
        text = text[at:]
        if not chunk:
            _check_whole(f"{name}:{line}", number, cut=listed and not over)
            return


def _check_whole(place: str, number: int, *, cut: bool) -> None:
    if cut:
        reason = "the array has no end, so the file was cut short"
        raise _unreadable(place, number + 1, reason, hint="record the events anew, or end the array with ]")


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BETWEEN:
        at += 1
    return at


def _unreadable(
    place: str, number: int, reason: str, *, hint: str = "write one JSON event a line, or one array"
) -> InvalidInput:
    return InvalidInput(f"{place}: event {number} cannot be read: {reason}", hint=hint)
