"""Reads a directory of specs into a snapshot that is trusted or not used.

The root is resolved once, everything is read through it, and at the end root and files are looked at again: if anything moved
meanwhile (a `git checkout`, a symlink swap, an editor half-way through a save) the reading is thrown away and taken again.
Files that are not plain files inside the root are diagnostics; nothing here waits on a FIFO or follows a link out.
"""

import fcntl
import os
import signal
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import sleep, time_ns

from automations.adapters.absent import absence, unreadable
from automations.adapters.revision import is_moving, revision_of
from automations.core.diagnostic import Diagnostic, Severity, Span
from automations.core.spec.snapshot import Snapshot, SpecFile, Untrusted
from automations.errors import InvalidInput

SUFFIXES = (".yaml", ".yml", ".json")
LARGEST = 1 << 20
ATTEMPTS = 5
PAUSE = 0.05
"""Seconds between attempts when the tree moved while it was read."""
MOST_FILES = 50_000
"""A tree with more is refused before any is read: a few times what a large company has, and what a process can hold."""
MOST_GLANCED = 1_000
"""Folders that are looked into before a tree counts as one that holds specs."""
MOST_BYTES = 256 << 20
"""Bytes of all files together that one look holds."""
_READABLE = "let the user read it that this runs as (its mode, its owner)"
SETTLED_CLOSED = 250_000
"""Microseconds without a write after which a file that nobody has open for writing counts as whole."""
SETTLED_UNKNOWN = 1_000_000
"""The same where nobody can say whether it is open."""
SETTLED_OPEN = 10_000_000
"""The same while somebody has it open for writing: a copy that stalls is not taken for a whole file."""


@dataclass(slots=True)
class _Reading:
    held: int = 0
    """Bytes of the files read so far."""
    files: list[SpecFile] = field(default_factory=list)
    problems: list[Diagnostic] = field(default_factory=list)
    seen: list[tuple[str, os.stat_result]] = field(default_factory=list)
    """Paths and what they were when they were looked at."""
    directories: dict[str, int] = field(default_factory=dict)
    lenient: bool = False
    """Whether what cannot be read is told as one problem of many; then nobody may act on what was read."""

    def tells(self, shown: str, problem: OSError) -> bool:
        """Whether this is put among the problems: not what just went, which the next attempt does not find."""
        if not self.lenient or isinstance(problem, FileNotFoundError):
            return False
        self.problems.append(_problem(shown, f"cannot be read: {problem.strerror}", _READABLE))
        return True


class DirectoryTree:
    """A directory as the services' `Tree`. A `lenient` one, to be looked at only, tells what cannot be read."""

    def __init__(self, directory: Path, *, shown: str | None = None, lenient: bool = False) -> None:
        self._lenient = lenient
        self.directory = rooted(directory)
        self.root = str(self.directory)
        label = str(directory) if shown is None else shown
        self.prefix = "" if label in ("", ".") else label.rstrip("/") + "/"

    def take(self, known: Mapping[str, str], *, afresh: bool = False) -> Snapshot | Untrusted:
        """A snapshot, or why there is none; `afresh` reads what is known too. Never raises for what lies in the tree."""
        trouble = Untrusted(self.root, "Unstable", f"{self.root} kept changing while it was read")
        for attempt in range(ATTEMPTS):
            if attempt:
                sleep(PAUSE * attempt)
            try:
                snapshot = self._once(known, afresh=afresh)
            except FileNotFoundError as missing:
                trouble = Untrusted(self.root, "Missing", absence(missing.filename or self.root))
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

    def _once(self, known: Mapping[str, str], *, afresh: bool) -> Snapshot | None:
        resolved = self.directory.resolve(strict=True)
        reading = _Reading(lenient=self._lenient)
        moving = is_moving(resolved)
        for name, path in tuple(_walk(resolved, reading, prefix=self.prefix)):
            status = os.stat(path)  # noqa: PTH116  # by name, thousands of them
            mark = _stamp(status)
            if known.get(name) != mark or afresh or not stat.S_ISREG(status.st_mode):
                self._read(name, path, status, known=known, reading=reading)
            else:
                reading.seen.append((path, status))
                reading.files.append(SpecFile(name, mark, None, partial(_bytes, path)))
        if self.directory.resolve(strict=True) != resolved or not _still(reading):
            return None
        files = tuple(sorted(reading.files, key=lambda file: file.name))
        revision, problems = revision_of(self.directory, resolved), tuple(reading.problems)
        return Snapshot(self.root, self.prefix, revision, files, problems, moving or is_moving(resolved))

    def _read(
        self, name: str, path: str, status: os.stat_result, *, known: Mapping[str, str], reading: _Reading
    ) -> None:
        """A file that is new, or looked at afresh, or none at all."""
        shown = self.prefix + name
        if not stat.S_ISREG(status.st_mode):
            reading.problems.append(_problem(shown, "not a regular file", "only regular files are read as specs"))
            return
        if status.st_size > LARGEST:
            reading.problems.append(_problem(shown, f"larger than {LARGEST} bytes", "split it"))
            return
        mark = _stamp(status)
        # A tree that nobody knows yet is taken as it is.
        settles_at = _settles_at(path, status, known.get(name)) if known and known.get(name) != mark else 0
        try:
            raw = _bytes(path)
        except OSError as problem:
            if reading.tells(shown, problem):
                return
            raise
        reading.held += len(raw)
        if reading.held > MOST_BYTES:
            raise OSError(0, f"more than {MOST_BYTES} bytes of specs", self.root)
        reading.seen.append((path, status))
        reading.files.append(SpecFile(name, mark, raw, partial(_bytes, path), settles_at))


def rooted(directory: Path) -> Path:
    """A directory from the root on, as it is called wherever it is shown: without `..` where that is the same directory."""
    absolute = directory.absolute()
    plain = Path(os.path.normpath(absolute))
    try:
        return plain if plain == absolute or plain.samefile(absolute) else absolute
    except OSError:
        return absolute


def named_like_a_spec(name: str) -> bool:
    """Whether a file of this name is read, in a tree or alone; `.YAML` is an ending like `.yaml`."""
    return name.endswith(SUFFIXES) or name.lower().endswith(SUFFIXES)


def holds_specs(directory: Path) -> bool:
    """Whether any file in a directory could be a spec by its name, hidden ones left out; no more than a glance."""
    for looked_at, (_, folders, names) in enumerate(os.walk(directory)):
        folders[:] = [each for each in folders if not each.startswith(".")]
        if looked_at == MOST_GLANCED or any(named_like_a_spec(name) and not name.startswith(".") for name in names):
            return True
    return False


def one_file(path: Path) -> Snapshot:
    """A single file as a snapshot, for `validate FILE`. Raises InvalidInput when it cannot be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InvalidInput(f"{path} is not a regular file", hint="give a YAML or JSON file, a folder, or -")
        if path.stat().st_size > LARGEST:
            raise InvalidInput(f"{path} is larger than {LARGEST} bytes")
        raw = path.read_bytes()
    except OSError as problem:
        raise unreadable(path, problem) from problem
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
        try:
            with os.scandir(directory) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as shut:
            if above and reading.tells(prefix + _encodable(above), shut):
                continue
            raise
        for entry in found:
            name = above + entry.name
            if entry.name.startswith(".") or entry.name.endswith("~"):
                continue
            problem = _unusable(entry, root)
            if problem:
                reading.problems.append(_problem(prefix + _encodable(name), *problem))
            elif _is_directory(entry, root, seen=seen):
                pending.append((f"{name}/", Path(entry.path)))
            elif named_like_a_spec(entry.name):
                count += 1
                if count > MOST_FILES:
                    raise OSError(0, f"more than {MOST_FILES} files", str(root))
                yield name, entry.path


def folders(root: Path, *, most: int) -> tuple[str, ...]:
    """Every folder below a resolved root that is looked into, itself first. Raises OSError, also for more than `most`."""
    reading = _Reading()
    for _ in _walk(root, reading, prefix=""):
        if len(reading.directories) > most:
            raise OSError(0, f"more than {most} folders", str(root))
    return tuple(sorted(reading.directories))


def _unusable(entry: os.DirEntry[str], root: Path) -> tuple[str, str] | None:
    """Why an entry cannot be part of a snapshot, and what to do; None when it can, or is none of our business."""
    if not named_like_a_spec(entry.name) and not Path(entry.path).is_dir():
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
    return name if name.isascii() else name.encode(errors="backslashreplace").decode()


def _inside(path: Path, root: Path) -> bool:
    try:
        return path.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):
        return False


def _still(reading: _Reading) -> bool:
    """Whether every directory and file still is what was read."""
    try:
        directories = all(os.stat(name).st_mtime_ns == seen for name, seen in reading.directories.items())  # noqa: PTH116  # by name, thousands of them
        return directories and all(_same(os.stat(path), seen) for path, seen in reading.seen)  # noqa: PTH116  # the same
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


def _settles_at(path: str, status: os.stat_result, before: str | None) -> int:
    """When a changed file counts as written (microseconds): at once if it took another's place, else some time later.

    What took another's place has another inode. It was whole before it came, unless it is still being written; a new name has
    come by rename where its ctime moved and its mtime did not.
    """
    written = status.st_mtime_ns // 1000
    if written + SETTLED_OPEN < time_ns() // 1000:
        return 0
    is_open = _open_for_writing(path)
    replaced = before is not None and before.rpartition(":")[2] != str(status.st_ino)
    renamed = before is None and status.st_ctime_ns > status.st_mtime_ns
    if not is_open and (replaced or renamed):
        return 0
    return written + {True: SETTLED_OPEN, False: SETTLED_CLOSED, None: SETTLED_UNKNOWN}[is_open]


def _open_for_writing(path: str) -> bool | None:
    """Whether some process has a file open for writing; None where the system cannot say.

    Linux grants a read lease only on a file that nobody has open for writing (fcntl(2), "Leases"). It is given back at once;
    should somebody open the file just then, the kernel tells us by a signal that means nothing to a process by default.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:  # a file of somebody else's, or a file system without leases
        return None
    else:
        return False
    finally:
        os.close(descriptor)


def _same(now: os.stat_result, seen: os.stat_result) -> bool:
    """Whether two looks would get equal stamps."""
    return (
        now.st_mtime_ns == seen.st_mtime_ns
        and now.st_ctime_ns == seen.st_ctime_ns
        and now.st_ino == seen.st_ino
        and now.st_size == seen.st_size
    )


def _stamp(status: os.stat_result) -> str:
    """Equal stamps promise equal bytes: ctime moves even where mtime was set back."""
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_ino}"


def _problem(shown: str, message: str, hint: str) -> Diagnostic:
    return Diagnostic("file/unusable", Severity.ERROR, message, Span(shown), (), hint)
