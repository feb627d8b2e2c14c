"""What a command works with: settings, where to write, and the parts of the program, opened only when asked for."""

import json
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from automations.adapters.clock import SystemClock
from automations.adapters.ids import UuidIds
from automations.runtime import Runtime, open_runtime
from automations.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable


def drop_output(stream: TextIO | None = None) -> None:
    """Nobody can have what is still to be written (to stdout, unless told otherwise).

    The interpreter must not try again at exit: it would complain, and exit with 120.
    """
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), (stream or sys.stdout).fileno())


class Context:
    """One invocation of the command line. `json` asks for one JSON document, `verbose` for more on stderr."""

    def __init__(self, settings: Settings, *, json: bool, verbose: bool) -> None:
        self.settings = settings
        self.json = json
        self.verbose = verbose
        self.out = sys.stdout
        self.err = sys.stderr
        self.hinted: Callable[[str], str] = str
        """Puts the options that said where into commands that a text tells to run."""
        self._runtime: Runtime | None = None

    @property
    def runtime(self) -> Runtime:
        """The wired program on this invocation's store. Raises StoreError."""
        if self._runtime is None:
            self._runtime = open_runtime(self.settings)
            if self.verbose:
                self.log()
                if self.settings.file:
                    self._runtime.telemetry.emit("settings.read", file=str(self.settings.file))
        return self._runtime

    def log(self) -> None:
        """Write one line on stderr for each thing that the services do. A daemon always does, others when verbose."""
        from automations.adapters.telemetry import LogLines

        wanted = self.settings.log_format
        as_json = wanted == "json" if wanted else None
        assert self._runtime is not None  # noqa: S101  # there is nothing to log before
        self._runtime.telemetry.subscribe(LogLines(self.err, self._runtime.clock.now, as_json=as_json))

    @property
    def clock(self) -> SystemClock:
        """The clock, for commands that need no store."""
        return SystemClock()

    @property
    def ids(self) -> UuidIds:
        """Ids, for commands that need no store."""
        return UuidIds()

    @property
    def color(self) -> bool:
        """Whether to colour what a person reads."""
        return self.settings.color and self.out.isatty()

    def document(self, value: Any) -> None:
        """Print one JSON document."""
        print(json.dumps(value, indent=2, ensure_ascii=False), file=self.out)

    def say(self, text: str) -> None:
        """Print text for a person."""
        print(text, file=self.out)

    def note(self, text: str) -> None:
        """Print progress or a remark on stderr."""
        print(self.hinted(text), file=self.err)

    def close(self) -> None:
        """Close what was opened."""
        if self._runtime is not None:
            self._runtime.close()
