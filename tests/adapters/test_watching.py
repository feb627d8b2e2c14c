"""The watcher says "look again" for what may mean other specs, and for nothing else."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from automations.adapters.watching import Watcher

PATIENCE = 20.0


class Told:
    """A watcher on a folder, and what it said."""

    def __init__(self, root: Path) -> None:
        self.changed, self.healthy, self.broken = Event(), Event(), Event()
        self.watcher = Watcher(root, changed=self.changed.set, healthy=self.healthy.set, broken=self.broken.set)

    def settled(self) -> None:
        """Wait until it says nothing more."""
        while self.changed.wait(1.5):
            self.changed.clear()

    def after(self, *, quiet: float) -> bool:
        """Whether it said that something changed, within this many seconds."""
        return self.changed.wait(quiet)


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    root = tmp_path / "specs"
    root.mkdir()
    made = Told(root)
    made.watcher.start()
    assert made.healthy.wait(PATIENCE)
    assert made.changed.wait(PATIENCE)
    made.settled()
    yield made
    made.watcher.stop()


def test_a_spec_that_is_written_removed_or_moved_is_told(told: Told, tmp_path: Path) -> None:
    root = tmp_path / "specs"
    (root / "a.yaml").write_text("a: 1\n")
    assert told.after(quiet=PATIENCE)


def test_a_folder_that_comes_is_told(told: Told, tmp_path: Path) -> None:
    (tmp_path / "specs" / "teams.v2").mkdir()
    assert told.after(quiet=PATIENCE)


def test_what_happens_in_a_folder_that_was_made_anew_under_its_name_is_told(told: Told, tmp_path: Path) -> None:
    folder = tmp_path / "specs" / "team"
    folder.mkdir()
    told.settled()
    for number in range(3):
        (folder / "a.yaml").write_text(f"a: {number}\n")
        assert told.after(quiet=PATIENCE)
        shutil.rmtree(folder)
        folder.mkdir()
        told.settled()


def test_a_folder_that_leaves_with_all_that_is_in_it_is_told_whatever_its_name(told: Told, tmp_path: Path) -> None:
    folder = tmp_path / "specs" / "teams.v2"
    folder.mkdir()
    (folder / "a.yaml").write_text("a: 1\n")
    told.settled()
    folder.rename(tmp_path / "elsewhere")
    assert told.after(quiet=PATIENCE)


def test_a_log_and_hidden_files_in_the_tree_wake_nobody(told: Told, tmp_path: Path) -> None:
    root = tmp_path / "specs"
    for _ in range(5):
        with (root / "daemon.log").open("a") as log:
            log.write("a line\n")
        (root / ".swap.yaml.swp").write_text("x")
        (root / "root.db-wal").write_bytes(b"x")
    assert not told.after(quiet=1.5)
