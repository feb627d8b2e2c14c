"""The command line in-process: words in, exit status and both streams out, in a directory and a data root of its own."""

import io
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from automations.cli.command import Command, Handler
from automations.cli.main import daemon_main, main

SPEC = """\
schemaVersion: "1.0"
id: {id}
name: {id}
version: 1.0.0
triggers:
  - {{kind: event, source: test, type: {type}}}
actions:
  - id: only
    actionId: x.do
    retry: {{maxAttempts: 2, base: 1ms, cap: 1ms}}
"""


class Stream(io.TextIOWrapper):
    """Bytes with a text face, as the interpreter's own streams; a terminal when asked to be one."""

    def __init__(self, raw: bytes = b"", *, terminal: bool = False) -> None:
        self.bytes = io.BytesIO(raw)
        super().__init__(self.bytes, encoding="utf-8")
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def text(self) -> str:
        """Everything that was written."""
        self.flush()
        return self.bytes.getvalue().decode()


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The JSON error on stderr, of a command that printed nothing else."""
        assert self.out == ""
        body: dict[str, Any] = json.loads(self.err)
        assert set(body) - {"hint", "diagnostics"} == {"ok", "error", "code"}
        assert body["ok"] is False
        return body


def with_run(command: Command, run: Handler) -> Command:
    """The same command with another handler."""
    return Command(command.words, command.help, run, command.arguments, command.options, command.quick, command.aliases)


@dataclass
class CommandLine:
    """A working directory with `automations.d` in it; the data root is `root` beside it."""

    folder: Path

    @property
    def root(self) -> Path:
        """The data root."""
        return self.folder / "root"

    @property
    def specs(self) -> Path:
        """The directory that commands read by default."""
        return self.folder / "automations.d"

    def write(self, identity: str, text: str = SPEC, *, kind: str = "ticket") -> Path:
        """Put a spec into the directory; `{id}` and `{type}` in its text are filled in."""
        self.specs.mkdir(exist_ok=True)
        file = self.specs / f"{identity}.yaml"
        file.write_text(text.format(id=identity, type=kind))
        return file

    def __call__(self, *words: str, stdin: bytes = b"", terminal: bool = False, daemon: bool = False) -> Ended:
        """Run `automations`, or the daemon's program."""
        out, err = Stream(terminal=terminal), Stream(terminal=terminal)
        entry = daemon_main if daemon else main
        with patch.object(sys, "stdin", Stream(stdin, terminal=terminal)), redirect_stdout(out), redirect_stderr(err):
            status = entry(list(words))
        return Ended(status, out.text(), err.text())

    def json(self, *words: str, stdin: bytes = b"") -> Any:
        """Run with --json; the document of a command that succeeds and says nothing on stderr."""
        ended = self("--json", *words, stdin=stdin)
        assert (ended.status, ended.err) == (0, ""), ended
        return ended.document

    def refused(self, *words: str, status: int, stdin: bytes = b"") -> dict[str, Any]:
        """Run with --json; the error of a command that must end with this status."""
        ended = self("--json", *words, stdin=stdin)
        assert ended.status == status, ended
        return ended.error

    def send(self, number: int, *, kind: str = "ticket") -> dict[str, Any]:
        """Send an event and give the answer."""
        event = {"id": f"e{number}", "source": "test", "type": kind, "data": {"number": number}}
        answer: dict[str, Any] = self.json("events", "send", "--event-json", json.dumps(event))
        return answer

    def applied(self, identities: Sequence[str]) -> None:
        """Write these specs and apply them."""
        for identity in identities:
            self.write(identity)
        self.json("apply", "--auto-approve", "--allow-deletes", "0")
