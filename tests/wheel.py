"""The program as people install it: a wheel built from this checkout, and environments with it in them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
QUIET = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_COMPILE": "1", "PIP_QUIET": "1", "PIP_NO_INPUT": "1"}
"""What pip is told by its environment."""


def built(folder: Path) -> Path:
    """Build the wheel into a folder. Skips the test where packages cannot be had, except in CI."""
    words = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, **QUIET})
    if done.returncode and os.environ.get("CI") != "true":
        pytest.skip("the wheel cannot be built without a package registry")
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("automations-*.whl")
    return wheel
