"""A file of recorded events, read as it goes: JSON lines, one JSON array, or documents one after another."""

import json
import sys
from codecs import getincrementaldecoder
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from automations.adapters.absent import unreadable
from automations.errors import InvalidInput

_CHUNK = 256 * 1024
LARGEST = 4 * 1024 * 1024
"""Characters that one event may take."""
_BETWEEN = " \t\r\n,"


def event_documents(path: str) -> Iterator[Any]:
    """Every event of a file (`-` for standard input), checked as strictly as one that is sent.

    Raises InvalidInput naming the event that cannot be read, by its number.
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


def _documents(file: BinaryIO, name: str) -> Iterator[Any]:
    from automations.core.strict_json import parse

    decoder, utf8 = json.JSONDecoder(), getincrementaldecoder("utf-8")()
    text, number, listed, over = "", 0, False, False
    while True:
        chunk = file.read(_CHUNK)
        try:
            text += utf8.decode(chunk, final=not chunk)
        except UnicodeDecodeError:
            raise _unreadable(name, number + 1, "it is not UTF-8") from None
        at = 0
        while True:
            at = _skip(text, at)
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
                    raise _unreadable(name, number + 1, str(problem)) from None
                break
            if end == len(text) and chunk and text[end - 1] not in "]}":
                break  # a number or word may go on
            number += 1
            try:
                yield parse(text[at:end])
            except InvalidInput as problem:
                raise _unreadable(name, number, problem.message) from None
            at = end
        text = text[at:]
        if not chunk:
            _check_whole(name, number, cut=listed and not over)
            return


def _check_whole(name: str, number: int, *, cut: bool) -> None:
    if cut:
        reason = "the array has no end, so the file was cut short"
        raise _unreadable(name, number + 1, reason, hint="record the events anew, or end the array with ]")


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BETWEEN:
        at += 1
    return at


def _unreadable(
    name: str, number: int, reason: str, *, hint: str = "write one JSON event a line, or one array"
) -> InvalidInput:
    return InvalidInput(f"{name}: event {number} cannot be read: {reason}", hint=hint)
