"""The pid file: one daemon a data root, whatever files are left behind or taken away meanwhile."""

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from automations.daemon.pidfile import PidFile
from automations.errors import LockNotHeld


def test_a_second_taker_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    first = PidFile(tmp_path / "daemon.pid")
    first.take()
    with pytest.raises(LockNotHeld, match=f"process {os.getpid()}"):
        PidFile(tmp_path / "daemon.pid").take()
    first.drop()
    assert not (tmp_path / "daemon.pid").exists()


def test_a_file_that_its_holder_removes_while_it_is_taken_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "daemon.pid"
    lock = fcntl.flock
    taken: list[int] = []

    def locked_after_its_holder_left(file: Any, how: int) -> None:
        if not taken:
            path.unlink()
        taken.append(how)
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", locked_after_its_holder_left)
    first = PidFile(path)
    first.take()
    assert path.read_text() == f"{os.getpid()}\n"
    with pytest.raises(LockNotHeld):
        PidFile(path).take()
    first.drop()
