"""The revision of a directory, read from a checkout's own files: no git is run, and nothing but a commit id is believed."""

import os
import re
import stat
from pathlib import Path
from time import time_ns

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_REF = re.compile(r"ref: (refs/[A-Za-z0-9._/+@-]{1,200})\Z")
_GIT_DIR = re.compile(r"gitdir: (.{1,1000})\Z")
LARGEST = 1 << 20
"""Bytes of a file of git's that are read; a repository with more packed refs shows the name of its link."""


MOVES = 10 * 1_000_000_000
"""Nanoseconds for which git's lock counts; an older one was left behind, or waits for a person."""


def revision_of(directory: Path, resolved: Path) -> str | None:
    """The commit of the checkout around `resolved`, else the name that the link `directory` leads to, else None."""
    git = _checkout(resolved)
    commit = None if git is None else _commit(git)
    if commit is not None:
        return commit
    return resolved.name if directory.is_symlink() else None


def is_moving(resolved: Path) -> bool:
    """Whether git is at work on the checkout around `resolved`: it holds the index while it changes files."""
    git = _checkout(resolved)
    try:
        return git is not None and 0 <= time_ns() - (git / "index.lock").stat().st_mtime_ns < MOVES
    except OSError:
        return False


def _checkout(resolved: Path) -> Path | None:
    """The folder in which git keeps what belongs to the checkout around `resolved`."""
    found = (_git_folder(parent / ".git") for parent in (resolved, *resolved.parents))
    return next((each for each in found if each is not None), None)


def _git_folder(entry: Path) -> Path | None:
    """The folder with HEAD: `.git` itself, or for a worktree, as git-sync makes them, the one that the file `.git` names."""
    if entry.is_dir():
        return entry
    named = _GIT_DIR.match(_text(entry))
    return Path(os.path.normpath(entry.parent / named[1])) if named else None


def _commit(git: Path) -> str | None:
    head = _text(git / "HEAD")
    if _COMMIT.match(head):
        return head
    ref = _REF.match(head)
    if ref is None or ".." in ref[1]:
        return None
    common = git / (_text(git / "commondir") or ".")
    loose = _text(git / ref[1]) or _text(common / ref[1])
    return loose if _COMMIT.match(loose) else _packed(common, ref[1])


def _packed(git: Path, ref: str) -> str | None:
    for line in _text(git / "packed-refs").splitlines():
        commit, _, name = line.partition(" ")
        if name == ref and _COMMIT.match(commit):
            return commit
    return None


def _text(path: Path) -> str:
    """A small regular file's text, else nothing; never waits, whatever lies there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return ""
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ""
        return file.read(LARGEST).decode(errors="replace").strip()
