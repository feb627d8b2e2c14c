"""Every block of the tutorial is run in order, and what it prints is what the page shows (`…` stands for anything)."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "--- end of block"
PORT = "17391"


def script(folder: Path) -> tuple[str, list[tuple[int, str]]]:
    """One shell script of the whole page, and which block's output is shown on it."""
    lines = ["set -eu"]
    expected = []
    count = 0
    for kind, body in BLOCK.findall(PAGE.read_text()):
        if kind == "yaml":
            name = re.match(r"# (\S+)\n", body)
            assert name, f"a yaml block without its file's name: {body[:40]}"
            file = folder / name[1]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(body)
        elif kind == "sh":
            lines += [body, f'echo "{MARK}"']
            count += 1
        elif kind == "text":
            expected.append((count - 1, body))
    # The page names a port; here any free one does, so that a tutorial that somebody is following nearby is left alone.
    return "\n".join(lines).replace(PORT, str(free_port())), expected


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def matches(shown: str, printed: str) -> bool:
    """Whether the printed text begins like the shown one, where `…` stands for anything."""
    pattern = ".*?".join(re.escape(part) for part in shown.rstrip("\n").rstrip("…").rstrip("\n").split("…"))
    return re.match(pattern, printed, re.DOTALL) is not None


@pytest.mark.skipif(shutil.which("curl") is None, reason="the tutorial posts with curl")
def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    text, expected = script(tmp_path)
    environment = {
        key: value for key, value in os.environ.items() if "AUTOMATIONS" not in key and key != "HASNA_AUTOMATIONS_DIR"
    }
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    process = subprocess.Popen(
        ["bash", "-c", text], cwd=tmp_path, env=environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        printed, _ = process.communicate(timeout=90)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        printed, _ = process.communicate()
        pytest.fail(f"the tutorial did not end; it printed:\n{printed}")
    assert process.returncode == 0, printed
    blocks = printed.split(MARK + "\n")
    for index, shown in expected:
        assert matches(shown, blocks[index]), f"shown:\n{shown}\nprinted:\n{blocks[index]}"
