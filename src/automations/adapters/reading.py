"""Reads many new spec files with more than one processor: helper processes of ours take files off a shared pile.

Nothing depends on them: the caller works at the same pile, what a helper fails to answer goes back onto it, and without any
helper the caller reads everything itself. A helper runs the same code on the same bytes and answers with the document as JSON
and its warnings; what has an error is left to the caller. It is a fresh interpreter, not a fork, so it shares no lock,
connection or thread with the program that started it.
"""

import gc
import os
import struct
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, BinaryIO

from automations.adapters.collector import collector_paused
from automations.core.canonical import as_written, decode
from automations.core.diagnostic import has_errors
from automations.core.spec.catalogue import Interpreted, accept, interpret
from automations.core.spec.reader import placed
from automations.core.spec.remembered import diagnostic_of, plain_diagnostic
from automations.core.spec.structure import kind_of

WORTH_IT = 1_500
"""New files from which on a helper pays for its start."""
MOST_HELPERS = 3
CHUNK = 50
"""Files that are taken off the pile at once."""
_SERVE = "from automations.adapters.reading import serve; serve()"
_LENGTH = struct.Struct(">I")

File = tuple[str, bytes]
"""A name as it is shown, and the bytes."""
Progress = Callable[[int, int], None]


def read_all(files: Sequence[File], progress: Progress | None = None) -> list[Interpreted]:
    """What every file means, in their order; with helpers where there are processors and files enough."""
    pile = _Pile(files, progress)
    wanted = min(_processors() - 1, MOST_HELPERS) if len(files) >= WORTH_IT else 0
    with collector_paused():
        helpers = [_Helper(pile) for _ in range(wanted)]
        try:
            pile.work()
            for helper in helpers:
                helper.join()
            pile.work()  # what a helper gave back
        finally:
            for helper in helpers:
                helper.stop()
    return [each for each in pile.found if each is not None]


class _Pile:
    """Files that nobody has read yet, and what came of the others."""

    def __init__(self, files: Sequence[File], progress: Progress | None) -> None:
        self.files = files
        self.found: list[Interpreted | None] = [None] * len(files)
        self._starts = deque(range(0, len(files), CHUNK))
        self._progress = progress
        self._done = 0

    def take(self) -> int | None:
        """Where the next chunk begins, if there is one."""
        with suppress(IndexError):
            return self._starts.popleft()
        return None

    def give_back(self, start: int) -> None:
        """Somebody else has to do it."""
        self._starts.append(start)

    def put(self, start: int, found: Sequence[Interpreted]) -> None:
        """A chunk is done."""
        self.found[start : start + len(found)] = found
        self._done += len(found)

    def work(self) -> None:
        """Read chunks until the pile is empty."""
        while (start := self.take()) is not None:
            self.put(start, [interpret(raw, name) for name, raw in self.files[start : start + CHUNK]])
            if self._progress:
                self._progress(self._done, len(self.files))


class _Helper:
    """One helper process and the thread that hands it files."""

    def __init__(self, pile: _Pile) -> None:
        self._pile = pile
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="reading-helper")
        with suppress(OSError):
            # -P: a directory of specs may hold files that look like modules; nothing there is imported.
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and our own words
                [sys.executable, "-P", "-c", _SERVE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            self._thread.start()

    def join(self) -> None:
        """Wait until it has answered all that it took."""
        if self._process is not None:
            self._thread.join()

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                with suppress(OSError):
                    if pipe is not None:
                        pipe.close()

    def _run(self) -> None:
        process = self._process
        assert process is not None  # noqa: S101  # the thread starts after it
        assert process.stdin is not None  # noqa: S101  # it was asked for
        assert process.stdout is not None  # noqa: S101  # so was this
        while (start := self._pile.take()) is not None:
            chunk = self._pile.files[start : start + CHUNK]
            try:
                _send(process.stdin, as_written([[name, len(raw)] for name, raw in chunk]).encode())
                process.stdin.write(b"".join(raw for _, raw in chunk))
                process.stdin.flush()
                answers = decode(_receive(process.stdout))
                found = [_rebuilt(file, answer) for file, answer in zip(chunk, answers, strict=True)]
            except Exception:  # noqa: BLE001  # whatever became of the helper, its files are read by the caller
                self._pile.give_back(start)
                return
            self._pile.put(start, found)


def _rebuilt(file: File, answer: list[Any] | None) -> Interpreted:
    name, raw = file
    if answer is None:
        return interpret(raw, name)
    value, warnings = answer
    document = placed(raw, name, value)
    found = tuple(diagnostic_of(each, name) for each in warnings)
    return accept(document, kind_of(document) or "automation", found=found, checked=True)


def serve() -> None:
    """Be a helper: answer chunks on standard input until it ends."""
    gc.disable()  # chunks are small and their documents have no cycles
    source, answers = sys.stdin.buffer, sys.stdout.buffer
    with suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        while True:
            chunk = [(name, _exactly(source, length)) for name, length in decode(_receive(source))]
            _send(answers, as_written([_answer(raw, name) for name, raw in chunk]).encode())
            answers.flush()


def _answer(raw: bytes, name: str) -> list[Any] | None:
    found = interpret(raw, name)
    if found.document is None or has_errors(found.diagnostics):
        return None
    return [found.document.value, [plain_diagnostic(each) for each in found.diagnostics]]


def _send(stream: BinaryIO | Any, body: bytes) -> None:
    stream.write(_LENGTH.pack(len(body)) + body)


def _receive(stream: BinaryIO | Any) -> bytes:
    (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
    return _exactly(stream, length)


def _exactly(stream: BinaryIO | Any, length: int) -> bytes:
    body = stream.read(length)
    if len(body) < length:
        raise EOFError
    return bytes(body)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
