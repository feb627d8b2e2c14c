"""Progress on a terminal: a bar on stderr for what takes longer than about a second, and nothing for what does not."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from automations.cli.context import Context

SLOW = 1.0
"""Seconds after which a bar is drawn."""


class _Bar:
    """Draws nothing until the work turned out to be slow; only then is the library for it imported."""

    def __init__(self, context: "Context", word: str) -> None:
        self._context = context
        self._word = word
        self._begun = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __call__(self, done: int, total: int) -> None:
        if self._bar is None:
            if time.monotonic() - self._begun < SLOW:
                return
            self._draw(total)
        self._bar.update(self._task, completed=done)

    def _draw(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import Progress

        settings = self._context.settings
        self._bar = Progress(console=Console(file=self._context.err, no_color=not settings.color), transient=True)
        self._bar.start()
        self._task = self._bar.add_task(self._word, total=total)

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()


@contextmanager
def shown_progress(context: "Context", word: str) -> Iterator[Callable[[int, int], None] | None]:
    """Something to tell how many of how many are done, for the length of a block; None where nobody watches."""
    if not context.err.isatty():
        yield None
        return
    bar = _Bar(context, word)
    try:
        yield bar
    finally:
        bar.stop()
