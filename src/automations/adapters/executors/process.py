"""Runs one process group to its end: nothing of the group is left, and nothing waits for pipes that stay open.

The child leads a session and process group of its own. To stop it, the whole group gets TERM, then KILL after a grace;
its pipes are read for a bounded time more, even when somebody still holds them. The leader is reaped only after the
last signal, so that the group's number cannot have become another's in between. A process that left the group on purpose
(`setsid`) is found by its variables when the attempt is stopped, see `strays`; after a normal end it is let be, and cannot
hold the attempt up. Should this very process be killed, a guard ends the group, see `guardian`.
"""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from threading import Event
from typing import IO, Literal

from automations.adapters.executors import strays
from automations.adapters.executors.bounded import OUTPUT_LIMIT, Capture
from automations.adapters.executors.guardian import GUARDIAN
from automations.adapters.redaction import Redactor

_TICK = 0.05
"""Seconds between looks at the cancel event, and at the process where the system cannot wake us when it ends."""
_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one process: `grace` from TERM to KILL and `drain` of pipes in seconds, `output` in bytes a stream."""

    grace: float = 1.5
    drain: float = 2.0
    output: int = OUTPUT_LIMIT


@dataclass(frozen=True, slots=True)
class Command:
    """What to start. `stdin` None means an empty input; `timeout` in seconds, None for none.

    With `answers` it gets one pipe more, to answer on, whose descriptor is its last argument. `marks` are those of its
    variables that tell its offspring from all other processes.
    """

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    stdin: bytes | None = None
    timeout: float | None = None
    answers: bool = False
    marks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended: `status` is the exit status, or minus the signal; `stopped` says whether we ended it, and why."""

    status: int
    stopped: Literal["", "timeout", "cancelled"]
    stdout: Capture
    stderr: Capture
    answer: Capture


def run(command: Command, cancelled: Event, *, limits: Limits, redactor: Redactor) -> Ended:
    """Run `command` until it ends, times out or is cancelled; the group is gone when this returns.

    Raises OSError when it cannot be started, ValueError for a NUL in an argument or variable.
    """
    stdout, stderr, answer = (Capture(limits.output, redactor) for _ in range(3))
    with GUARDIAN.watch(command.marks) as started:
        child, told = _start(command)
        started(child.pid)
        outputs = [(child.stdout, stdout), (child.stderr, stderr), (told, answer)]
        try:
            with closing(_Pipes(child, command.stdin or b"", outputs=outputs)) as pipes:
                stopped = _until_over(pipes, cancelled, command=command, limits=limits)
        finally:
            _signal_group(child, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                child.wait(timeout=limits.drain)
    for capture in (stdout, stderr, answer):
        capture.finish()
    status = -signal.SIGKILL if child.returncode is None else child.returncode
    return Ended(status, stopped, stdout, stderr, answer)


def _start(command: Command) -> tuple[subprocess.Popen[bytes], IO[bytes] | None]:
    """Start the child; also our end of the pipe that it answers on, if it does."""
    reading, writing = os.pipe() if command.answers else (None, None)
    try:
        # S603: no shell; the command line is the manifest's own, event data is only argv items, variables or stdin.
        child = subprocess.Popen(  # noqa: S603  # explained above
            (*command.argv, *(() if writing is None else (str(writing),))),
            cwd=command.cwd,
            env=command.env,
            stdin=subprocess.DEVNULL if command.stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            pass_fds=() if writing is None else (writing,),
        )
    except BaseException:
        if reading is not None:
            os.close(reading)
        raise
    finally:
        if writing is not None:
            os.close(writing)
    return child, None if reading is None else os.fdopen(reading, "rb", buffering=0)


class _Deadline:
    """A point in time that real waiting is measured against; None never comes."""

    __slots__ = ("_at",)

    def __init__(self, seconds: float | None) -> None:
        self._at = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float:
        return float("inf") if self._at is None else self._at - time.monotonic()


class _Pipes:
    """The parent's ends of a child's pipes, read and written without blocking."""

    def __init__(
        self, child: subprocess.Popen[bytes], stdin: bytes, *, outputs: Iterable[tuple[IO[bytes] | None, Capture]]
    ) -> None:
        self._child = child
        self._unwritten = memoryview(stdin)
        self._selector = selectors.DefaultSelector()
        self._outputs = [(pipe, capture) for pipe, capture in outputs if pipe is not None]
        self._open = len(self._outputs)
        for pipe, capture in self._outputs:
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ, capture)
        if child.stdin is not None:
            os.set_blocking(child.stdin.fileno(), False)
            self._selector.register(child.stdin, selectors.EVENT_WRITE)
        self._exit = _exit_descriptor(child)
        if self._exit is not None:
            self._selector.register(self._exit, selectors.EVENT_READ)

    def exited(self) -> bool:
        """Whether the leader ended; it is not reaped by asking."""
        return _exited(self._child)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the whole group."""
        _signal_group(self._child, number)

    def pump(self, seconds: float) -> None:
        """Move what can be moved now; wait at most `seconds` for something to happen."""
        for key, _ in self._selector.select(max(0.0, min(seconds, _TICK))):
            if key.fileobj == self._exit:
                # Readable from now on: it has said what it had to say.
                self._selector.unregister(key.fileobj)
            elif isinstance(key.data, Capture):
                self._read(key)
            else:
                self._write()

    def read_until(self, deadline: _Deadline, *, exited: bool) -> None:
        """Pump until all outputs ended (and, with `exited`, the leader too) or the deadline came."""
        while (self._open or (exited and not self.exited())) and deadline.left() > 0:
            self.pump(deadline.left())

    def close(self) -> None:
        """Let go of every pipe, whoever holds the other end."""
        self._selector.close()
        for pipe in (self._child.stdin, *(pipe for pipe, _ in self._outputs)):
            if pipe is not None:
                pipe.close()
        if self._exit is not None:
            os.close(self._exit)

    def _read(self, key: selectors.SelectorKey) -> None:
        try:
            chunk = os.read(key.fd, _CHUNK)
        except BlockingIOError:
            return
        if chunk:
            key.data.feed(chunk)
        else:
            self._selector.unregister(key.fileobj)
            self._open -= 1

    def _write(self) -> None:
        pipe = self._child.stdin
        if pipe is None:
            return
        try:
            self._unwritten = self._unwritten[os.write(pipe.fileno(), self._unwritten) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            # The child does not read its input; that is its right.
            self._unwritten = self._unwritten[:0]
        if not self._unwritten:
            self._selector.unregister(pipe)
            pipe.close()


def _until_over(
    pipes: "_Pipes", cancelled: Event, *, command: Command, limits: Limits
) -> Literal["", "timeout", "cancelled"]:
    """Wait for the end, or make it; whether we made it, and why."""
    stopped = _until_done(pipes, cancelled, timeout=command.timeout)
    if stopped:
        pipes.send(signal.SIGTERM)
        pipes.read_until(_Deadline(limits.grace), exited=True)
        pipes.send(signal.SIGKILL)
        strays.end(command.marks, seconds=limits.drain)
    # After a normal end what is still written may belong to the output: a `tee` behind the leader, for one.
    pipes.read_until(_Deadline(limits.drain), exited=False)
    return stopped


def _until_done(pipes: _Pipes, cancelled: Event, *, timeout: float | None) -> Literal["", "timeout", "cancelled"]:
    deadline = _Deadline(timeout)
    while not pipes.exited():
        if cancelled.is_set():
            return "cancelled"
        if deadline.left() <= 0:
            return "timeout"
        pipes.pump(deadline.left())
    return ""


def _signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


def _exited(child: subprocess.Popen[bytes]) -> bool:
    if sys.platform == "linux":
        return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    else:  # noqa: RET505  # mypy knows a platform's branch only as an else
        return child.poll() is not None  # here asking reaps


def _exit_descriptor(child: subprocess.Popen[bytes]) -> int | None:
    if sys.platform == "linux":
        with suppress(OSError):  # kernels before 5.3, or a sandbox that forbids it
            return os.pidfd_open(child.pid)
    return None
