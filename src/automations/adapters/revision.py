"""The revision of a directory, read from a checkout's own files: no git is run, and nothing but a commit id is believed."""

import os
import re
import stat
from pathlib import Path

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_REF = re.compile(r"ref: (refs/[A-Za-z0-9._/+@-]{1,200})\Z")
_GIT_DIR = re.compile(r"gitdir: (.{1,1000})\Z")
LARGEST = 1 << 20
"""Bytes of a file of git's that are read; a repository with more packed refs shows the name of its link."""


def revision_of(directory: Path, resolved: Path) -> str | None:
    """The commit of the checkout around `resolved`, else the name that the link `directory` leads to, else None."""
    for parent in (resolved, *resolved.parents):
        git = _git_folder(parent / ".git")
        if git is not None:
            commit = _commit(git)
            if commit:
                return commit
            break
    return resolved.name if directory.is_symlink() else None


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
