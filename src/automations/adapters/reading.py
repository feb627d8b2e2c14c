"""Reads many new spec files with more than one processor: helper processes of ours take files off a shared pile.

Nothing depends on them: the caller works at the same pile, what a helper fails to answer goes back onto it, and without any
helper the caller reads everything itself. A helper runs the same code on the same bytes and answers with the document as JSON,
what is to be remembered of it, and its warnings; what has an error is left to the caller. It is a fresh interpreter, not a
fork, so it shares no lock, connection or thread with the program that started it.
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
from dataclasses import replace
from itertools import accumulate
from tempfile import TemporaryFile
from typing import IO, Any, BinaryIO

from automations.adapters.collector import collector_paused
from automations.core.canonical import as_written, decode
from automations.core.diagnostic import Path, has_errors
from automations.core.spec import build
from automations.core.spec.catalogue import Interpreted, interpret
from automations.core.spec.manifests import Shelf, shelve
from automations.core.spec.reader import placed
from automations.core.spec.remembered import RememberedDocument, diagnostic_of, fact_of, plain_diagnostic, recalled

WORTH_IT = 1_500
"""New files from which on a helper pays for its start."""
MOST_HELPERS = 3
CHUNK = 50
"""Files that are taken off the pile at once."""
AHEAD = 2
"""Chunks that a helper has at a time, so that it begins the next while the caller looks at its last answer."""
HANDED_ON = 0.0005
"""Seconds after which a thread lets another one run meanwhile."""
_ID: Path = ("id",)
_SERVE = "from automations.adapters.reading import serve; serve()"
_MOST_ANSWERED = 1 << 28
"""Bytes of an answer; whoever announces more talks of something else."""
_NUMBER = struct.Struct(">I")

File = tuple[str, bytes]
"""A name as it is shown, and the bytes."""
Progress = Callable[[int, int], None]


def read_all(files: Sequence[File], shelf: Shelf, progress: Progress | None = None) -> list[Interpreted]:
    """What every file means, in their order, given these manifests; with helpers where there are processors and files enough."""
    pile = _Pile(files, shelf, progress)
    wanted = min(_processors() - 1, MOST_HELPERS) if len(files) >= WORTH_IT else 0
    if not wanted:
        pile.work()
    else:
        _with_helpers(pile, wanted)
    return [each for each in pile.found if each is not None]


def _with_helpers(pile: "_Pile", wanted: int) -> None:
    patience = sys.getswitchinterval()
    with collector_paused():
        # The threads that hand out work are busy for moments only, and a helper stands idle while one waits for its turn.
        sys.setswitchinterval(HANDED_ON)
        with _spooled(pile) as spool:
            helpers = [_Helper(pile, spool.fileno()) for _ in range(wanted)]
        try:
            pile.work()
            for helper in helpers:
                helper.join()
            pile.work()  # what a helper gave back
        finally:
            for helper in helpers:
                helper.stop()
            sys.setswitchinterval(patience)


class _Pile:
    """Files that nobody has read yet, and what came of the others."""

    def __init__(self, files: Sequence[File], shelf: Shelf, progress: Progress | None) -> None:
        self.files = files
        self.shelf = shelf
        self.found: list[Interpreted | None] = [None] * len(files)
        self._starts = deque(range(0, len(files), CHUNK))
        self._progress = progress
        self._done = 0

    def take(self) -> int | None:
        """Where the next chunk begins, if there is one."""
        with suppress(IndexError):
            return self._starts.popleft()
        return None

    def chunk(self, start: int) -> Sequence[File]:
        """The files of the chunk that begins there."""
        return self.files[start : start + CHUNK]

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
            self.put(start, [interpret(raw, name, self.shelf) for name, raw in self.chunk(start)])
            if self._progress:
                self._progress(self._done, len(self.files))


class _Helper:
    """One helper process and the thread that hands it files."""

    def __init__(self, pile: _Pile, spool: int) -> None:
        self._pile = pile
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="reading-helper")
        with suppress(OSError):
            # -P: a directory of specs may hold files that look like modules; nothing there is imported.
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and our own words
                [sys.executable, "-P", "-c", _SERVE, str(spool)],
                pass_fds=(spool,),
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
        shelf, taken = self._pile.shelf, deque[int]()
        try:
            while self._hand_out(process.stdin, taken):
                answers = decode(_receive(process.stdout))
                chunk = self._pile.chunk(taken[0])
                found = [_rebuilt(file, answer, shelf) for file, answer in zip(chunk, answers, strict=True)]
                self._pile.put(taken.popleft(), found)
        except Exception:  # noqa: BLE001  # whatever became of the helper, its files are read by the caller
            for start in taken:
                self._pile.give_back(start)

    def _hand_out(self, to: IO[bytes], taken: deque[int]) -> bool:
        """See to it that the helper has enough to do; whether it has anything."""
        while len(taken) < AHEAD and (start := self._pile.take()) is not None:
            taken.append(start)
            to.write(_NUMBER.pack(start))  # so little that writing it never waits for a helper that waits for us
            to.flush()
        return bool(taken)


def _rebuilt(file: File, answer: list[Any] | None, shelf: Shelf) -> Interpreted:
    name, raw = file
    if answer is None:
        return interpret(raw, name, shelf)
    text, fact, warnings, place = answer
    bare = placed(raw, name, None)
    document = RememberedDocument(name, lambda: text, locate=bare.locate, source=bare.source)
    document.outline = {_ID: tuple(place)}
    return replace(recalled(fact, document), diagnostics=tuple(diagnostic_of(each, name) for each in warnings))


def _spooled(pile: _Pile) -> IO[bytes]:
    """All that helpers need to know, in a file without a name: manifests, and the files with their names."""
    manifests = [[each.document for each in listed] for listed in (pile.shelf.own, pile.shelf.foreign)]
    head = as_written([manifests, CHUNK, [[name, len(raw)] for name, raw in pile.files]]).encode()
    spool = TemporaryFile()  # noqa: SIM115  # the caller closes it
    spool.write(_NUMBER.pack(len(head)) + head)
    spool.writelines(raw for _, raw in pile.files)
    spool.flush()
    return spool


def serve() -> None:
    """Be a helper: answer chunks, which standard input names by where they begin, until it ends."""
    gc.disable()  # chunks are small and their documents have no cycles
    starts, answers, spool = sys.stdin.buffer, sys.stdout.buffer, int(sys.argv[1])
    (length,) = _NUMBER.unpack(os.pread(spool, _NUMBER.size, 0))
    documents, chunk, files = decode(os.pread(spool, length, _NUMBER.size))
    own, foreign = ([build.manifest(document) for document in listed] for listed in documents)
    shelf = shelve(own, foreign)
    places = list(accumulate((size for _, size in files), initial=_NUMBER.size + length))
    with suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        while True:
            (start,) = _NUMBER.unpack(_exactly(starts, _NUMBER.size))
            found = [
                _answer(os.pread(spool, size, place), name, shelf)
                for (name, size), place in zip(files[start : start + chunk], places[start:], strict=False)
            ]
            body = as_written(found).encode()
            answers.write(_NUMBER.pack(len(body)) + body)
            answers.flush()


def _answer(raw: bytes, name: str, shelf: Shelf) -> list[Any] | None:
    """The document as JSON, what is to be remembered, warnings, the id's place; None for what the caller has to look at."""
    found = interpret(raw, name, shelf)
    fact = None if has_errors(found.diagnostics) else fact_of("", found, found.advice)
    if found.document is None or fact is None:
        return None
    said = [plain_diagnostic(each) for each in found.diagnostics]
    at = found.document.at(_ID)
    return [as_written(found.document.value), fact, said, [at.line, at.column]]


def _receive(stream: BinaryIO | Any) -> bytes:
    (length,) = _NUMBER.unpack(_exactly(stream, _NUMBER.size))
    if length > _MOST_ANSWERED:
        raise EOFError("this is no answer")
    return _exactly(stream, length)


def _exactly(stream: BinaryIO | Any, length: int) -> bytes:
    body = stream.read(length)
    if len(body) < length:
        raise EOFError
    return bytes(body)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
