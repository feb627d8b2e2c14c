"""Reads a directory of specs into a snapshot that is trusted or not used.

The root is resolved once, everything is read through it, and at the end root and files are looked at again: if anything moved
meanwhile (a `git checkout`, a symlink swap, an editor half-way through a save) the reading is thrown away and taken again.
Files that are not plain files inside the root are diagnostics; nothing here waits on a FIFO or follows a link out.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep

from automations.core.diagnostic import Diagnostic, Severity, Span
from automations.core.spec.snapshot import Snapshot, SpecFile, Untrusted
from automations.errors import InvalidInput

SUFFIXES = (".yaml", ".yml", ".json")
LARGEST = 1 << 20
ATTEMPTS = 5
PAUSE = 0.05
"""Seconds between attempts when the tree moved while it was read."""
MOST_FILES = 200_000
SETTLING = 1_000_000
"""Microseconds without a write after which a file that is written in place counts as whole."""


@dataclass(slots=True)
class _Reading:
    files: list[SpecFile] = field(default_factory=list)
    problems: list[Diagnostic] = field(default_factory=list)
    directories: dict[str, int] = field(default_factory=dict)


class DirectoryTree:
    """A directory as the services' `Tree`."""

    def __init__(self, directory: Path, *, shown: str | None = None) -> None:
        self.directory = directory.absolute()
        self.root = str(self.directory)
        label = str(directory) if shown is None else shown
        self.prefix = "" if label in ("", ".") else label.rstrip("/") + "/"

    def take(self, known: Mapping[str, str]) -> Snapshot | Untrusted:
        """A snapshot, or why there is none. Never raises for what lies in the tree."""
        trouble = Untrusted(self.root, "Unstable", f"{self.root} kept changing while it was read")
        for attempt in range(ATTEMPTS):
            if attempt:
                sleep(PAUSE * attempt)
            try:
                snapshot = self._once(known)
            except FileNotFoundError as missing:
                trouble = Untrusted(self.root, "Missing", f"{missing.filename or self.root} is not there")
                continue
            except NotADirectoryError:
                trouble = Untrusted(self.root, "Missing", f"{self.root} is not a directory")
                continue
            except RuntimeError:  # what pathlib makes of ELOOP before Python 3.13
                return Untrusted(self.root, "Unreadable", f"{self.root}: a link that leads back to itself")
            except OSError as problem:
                reason = problem.strerror or str(problem)
                return Untrusted(self.root, "Unreadable", f"{problem.filename or self.root}: {reason}")
            if snapshot is not None:
                return snapshot
        return trouble

    def _once(self, known: Mapping[str, str]) -> Snapshot | None:
        resolved = self.directory.resolve(strict=True)
        reading = _Reading()
        for name, entry in _walk(resolved, reading, prefix=self.prefix):
            self._read(name, entry, known=known, reading=reading)
        if self.directory.resolve(strict=True) != resolved or not _still(resolved, reading):
            return None
        files = tuple(sorted(reading.files, key=lambda file: file.name))
        return Snapshot(self.root, self.prefix, _revision(self.directory, resolved), files, tuple(reading.problems))

    def _read(self, name: str, path: str, *, known: Mapping[str, str], reading: _Reading) -> None:
        status = os.stat(path)  # noqa: PTH116  # by name, thousands of them
        shown = self.prefix + name
        if not stat.S_ISREG(status.st_mode):
            reading.problems.append(_problem(shown, "not a regular file", "only regular files are read as specs"))
            return
        if status.st_size > LARGEST:
            reading.problems.append(_problem(shown, f"larger than {LARGEST} bytes", "split it"))
            return
        mark = _stamp(status)
        raw = None if known.get(name) == mark else _bytes(path)
        reading.files.append(SpecFile(name, mark, raw, lambda: _bytes(path), _settles_at(status, name, known)))


def one_file(path: Path) -> Snapshot:
    """A single file as a snapshot, for `validate FILE`. Raises InvalidInput when it cannot be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InvalidInput(f"{path} is not a regular file", hint="give a YAML or JSON file, a folder, or -")
        if path.stat().st_size > LARGEST:
            raise InvalidInput(f"{path} is larger than {LARGEST} bytes")
        raw = path.read_bytes()
    except OSError as problem:
        raise InvalidInput(f"{path}: {problem.strerror}", hint="check the path", code="file_unreadable") from problem
    return Snapshot(str(path), "", None, (SpecFile(str(path), "", raw, lambda: raw),))


def _walk(root: Path, reading: _Reading, *, prefix: str) -> Iterator[tuple[str, str]]:
    """Every candidate file below the root, its name in there first; hidden ones and links out of the root left out.

    Files go by their names as text: making and taking apart a Path for each would cost more than looking at them.
    """
    pending = [("", root)]
    seen: set[Path] = set()
    count = 0
    while pending:
        above, directory = pending.pop()
        reading.directories[str(directory)] = directory.stat().st_mtime_ns
        with os.scandir(directory) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            name = above + entry.name
            if entry.name.startswith(".") or entry.name.endswith("~"):
                continue
            problem = _unusable(entry, root)
            if problem:
                reading.problems.append(_problem(prefix + _encodable(name), *problem))
            elif _is_directory(entry, root, seen=seen):
                pending.append((f"{name}/", Path(entry.path)))
            elif entry.name.endswith(SUFFIXES):
                count += 1
                if count > MOST_FILES:
                    raise OSError(0, f"more than {MOST_FILES} files", str(root))
                yield name, entry.path


def _unusable(entry: os.DirEntry[str], root: Path) -> tuple[str, str] | None:
    """Why an entry cannot be part of a snapshot, and what to do; None when it can, or is none of our business."""
    if not entry.name.endswith(SUFFIXES) and not Path(entry.path).is_dir():
        return None
    if _encodable(entry.name) != entry.name:
        return "its name is not UTF-8", "rename it"
    if entry.is_symlink() and not _inside(Path(entry.path), root):
        return "a link that leads out of the directory, or nowhere", "put what it leads to here"
    return None


def _is_directory(entry: os.DirEntry[str], root: Path, *, seen: set[Path]) -> bool:
    """Whether to look into an entry. A link is followed where the walk would not come anyway, and only once.

    That is what Kubernetes makes of a ConfigMap's folders: links through `..data` into a hidden directory.
    """
    if not entry.is_symlink() or not Path(entry.path).is_dir():
        return entry.is_dir(follow_symlinks=False)
    target = Path(entry.path).resolve(strict=True)
    hidden = target.is_relative_to(root) and any(part.startswith(".") for part in target.relative_to(root).parts)
    if not hidden or target in seen:
        return False
    seen.add(target)
    return True


def _encodable(name: str) -> str:
    return name.encode(errors="backslashreplace").decode()


def _inside(path: Path, root: Path) -> bool:
    try:
        return path.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):
        return False


def _still(root: Path, reading: _Reading) -> bool:
    """Whether every directory and file still is what was read."""
    try:
        directories = all(os.stat(name).st_mtime_ns == seen for name, seen in reading.directories.items())  # noqa: PTH116  # by name, thousands of them
        return directories and all(_stamp(os.stat(f"{root}/{file.name}")) == file.stamp for file in reading.files)  # noqa: PTH116  # the same
    except OSError:
        return False


def _bytes(path: str) -> bytes:
    """A file's bytes without ever waiting: opened non-blocking, and only if it is still a regular file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "is no longer a regular file", path)
        # No more than there is: a buffer for the largest file is dear when there are thousands of small ones.
        return file.read(min(status.st_size, LARGEST) + 1)


def _settles_at(status: os.stat_result, name: str, known: Mapping[str, str]) -> int:
    """When a changed file counts as written (microseconds): a second after its last write, unless it came by rename.

    A file that took another's place has another inode, and was whole before it came. A tree that nobody knows yet is taken as
    it is.
    """
    before = known.get(name)
    mark = _stamp(status)
    if not known or before == mark or (before is not None and before.rpartition(":")[2] != str(status.st_ino)):
        return 0
    return status.st_mtime_ns // 1000 + SETTLING


def _stamp(status: os.stat_result) -> str:
    """Equal stamps promise equal bytes: ctime moves even where mtime was set back."""
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_ino}"


def _problem(shown: str, message: str, hint: str) -> Diagnostic:
    return Diagnostic("file/unusable", Severity.ERROR, message, Span(shown), (), hint)


def _revision(directory: Path, resolved: Path) -> str | None:
    """The commit of the checkout around the directory, else the name a link points to (as git-sync swaps them)."""
    for parent in (resolved, *resolved.parents):
        head = parent / ".git" / "HEAD"
        try:
            text = head.read_text(errors="replace").strip()
        except OSError:
            continue
        if not text.startswith("ref: "):
            return text
        return _ref(parent / ".git", text.removeprefix("ref: "))
    return resolved.name if directory.is_symlink() else None


def _ref(git: Path, name: str) -> str | None:
    try:
        return (git / name).read_text(errors="replace").strip()
    except OSError:
        pass
    try:
        for line in (git / "packed-refs").read_text(errors="replace").splitlines():
            commit, _, packed = line.partition(" ")
            if packed == name:
                return commit
    except OSError:
        pass
    return None
