"""Starts attempts on threads, one each, and tells a waiting worker when one ended."""

from collections.abc import Callable, Mapping
from threading import Event, Thread
from typing import Protocol

from automations.core.run.execution import Failed, Invocation, Outcome


class _Executor(Protocol):
    def execute(self, invocation: Invocation, cancelled: Event) -> Outcome: ...


class ThreadRunning:
    """One attempt on a thread of its own."""

    def __init__(self, executor: _Executor | None, invocation: Invocation, *, ended: Callable[[], None]) -> None:
        self._executor = executor
        self._invocation = invocation
        self._ended = ended
        self._cancelled = Event()
        self._outcome: Outcome | None = None
        self.thread = Thread(target=self._run, name=f"action-{invocation.action_row_id}", daemon=True)

    def outcome(self) -> Outcome | None:
        """How it ended, or None while it runs."""
        return self._outcome

    def cancel(self, reason: str) -> None:
        """Ask the executor to stop; `reason` is for its log line only."""
        del reason
        self._cancelled.set()

    def _run(self) -> None:
        kind = self._invocation.binding.kind
        if self._executor is None:
            self._outcome = Failed("NO_EXECUTOR", f"no executor for {kind} here", retryable=False)
        else:
            try:
                self._outcome = self._executor.execute(self._invocation, self._cancelled)
            except Exception as bug:  # noqa: BLE001  # an executor's bug fails its attempt, not the worker
                self._outcome = Failed("EXECUTOR_ERROR", f"{kind} executor failed: {bug!r}"[:500], retryable=True)
        self._ended()


class ThreadLauncher:
    """Launches every attempt on its executor by the binding's kind."""

    def __init__(self, executors: Mapping[str, _Executor], *, ended: Callable[[], None]) -> None:
        self._executors = executors
        self._ended = ended

    def launch(self, invocation: Invocation) -> ThreadRunning:
        """Start an attempt and return at once."""
        running = ThreadRunning(self._executors.get(invocation.binding.kind), invocation, ended=self._ended)
        running.thread.start()
        return running
