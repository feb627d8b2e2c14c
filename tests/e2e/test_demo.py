"""`make demo` as a test: the whole tour with a real daemon, real sockets, real processes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("demo.sh")


@pytest.mark.skipif(shutil.which("curl") is None, reason="the demo posts with curl")
def test_the_demo_shows_everything_and_exits_zero() -> None:
    environment = {**os.environ, "BIN": str(Path(sys.executable).parent)}
    ended = subprocess.run(
        ["sh", str(SCRIPT)], env=environment, capture_output=True, text=True, timeout=90, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for seen in (
        "HTTP 202",
        "HELLO, ADA!",
        '"duplicate":true',
        "HTTP 401",
        "SpecValid=False",
        "daemon       not running",
    ):
        assert seen in ended.stdout
