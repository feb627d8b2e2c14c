"""Our program, and floors, as processes of their own: what one run costs, and servers that are stopped by their own pid."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir
from typing import IO, Any, NamedTuple

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
AUTOMATIONS = str(BIN / "automations")
DAEMON = str(BIN / "automations-daemon")
BYTECODE = str(Path(gettempdir()) / f"benchmarks-bytecode-{sys.version_info.major}.{sys.version_info.minor}")
"""Kept between runs, apart from the source tree; whatever is out of date in it is compiled again."""
STOP_SECONDS = 20
START_SECONDS = 60


class Cost(NamedTuple):
    """What one process cost, from before its start to after its end."""

    wall: float
    """Seconds."""
    processor: float
    """Seconds, of all its threads."""
    peak: float
    """Most memory held at once, in MB."""


def cost(*command: str, root: Path) -> Cost:
    """Run a command to its end with `root` as its data root. Raises RuntimeError when it fails."""
    timing = [sys.executable, "-I", "-S", str(HERE / "timing.py"), *command]
    done = subprocess.run(timing, env=environment(root), check=True, capture_output=True, text=True)
    wall, processor, kilobytes, status = done.stdout.split()
    if status != "0":
        raise RuntimeError(f"{' '.join(command[:4])} ended with {status}: {done.stderr}")
    return Cost(float(wall), float(processor), int(kilobytes) / 1000)


def environment(root: Path, **more: str) -> dict[str, str]:
    """The environment of an installed program: nothing of this one's settings, and bytecode that an earlier run left."""
    kept = {name: value for name, value in os.environ.items() if "AUTOMATIONS" not in name}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**kept, "PYTHONPYCACHEPREFIX": BYTECODE, "HASNA_AUTOMATIONS_DIR": str(root), **more}


@contextmanager
def serving(*command: str, env: Mapping[str, str], log: Path) -> Iterator[dict[str, Any]]:
    """A server for the length of a block; gives the JSON document with which it says that it listens."""
    with log.open("wb") as kept:
        server = subprocess.Popen(command, env=dict(env), stdout=subprocess.PIPE, stderr=kept)
        try:
            assert server.stdout is not None
            yield _announced(server.stdout, log)
        finally:
            server.terminate()
            try:
                server.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _announced(stream: IO[bytes], log: Path) -> dict[str, Any]:
    """The first JSON document on a stream, which may take several lines."""
    text = b""
    while line := stream.readline():
        text += line
        if line.rstrip() == b"}" or (line.startswith(b"{") and line.rstrip().endswith(b"}")):
            announced: dict[str, Any] = json.loads(text)
            return announced
    raise RuntimeError(f"the server did not start: {log.read_text()[-2000:]}")


def run_json(*command: str, env: Mapping[str, str]) -> Any:
    """The JSON document that a command prints."""
    done = subprocess.run(command, env=dict(env), check=True, capture_output=True)
    return json.loads(done.stdout)
