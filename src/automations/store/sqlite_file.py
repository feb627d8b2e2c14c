"""The embedded store's file: whose it is, who may read it, and a connection that keeps what we promise.

The file carries our `application_id`; any other database is refused before SQLite opens it, because opening one in WAL
mode can already change it. The header too is read through SQLite's own VFS: closing a descriptor of our own would drop
the POSIX locks of every connection that this process has on the file (sqlite.org/howtocorrupt.html §2.2).
"""

import stat
import threading
from collections.abc import Callable
from os import O_CLOEXEC, O_CREAT, O_EXCL, O_RDWR, close, geteuid
from os import open as open_descriptor
from pathlib import Path
from time import monotonic, monotonic_ns, sleep

import apsw

from automations.errors import AutomationsError, StoreError, StoreIncompatible, StoreUnavailable
from automations.store.database import ConstraintViolated
from automations.store.transaction import unstorable

APPLICATION_ID = 0x61746D6E
"""`atmn` in ASCII, at byte 68 of the file (sqlite.org/fileformat2.html §1.3)."""

OLDEST_LIBRARY = (3, 51, 3)
"""Before it, two connections that reset the WAL at once can corrupt the database."""

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_ORIGINAL_USER_VERSION = 3
_STATEMENTS_KEPT = 256
_WAL_BYTES_KEPT = 64 * 1024 * 1024

_creating = threading.Lock()

_UNAVAILABLE: dict[type[apsw.Error], str] = {
    apsw.BusyError: "another process is writing to it; try again",
    apsw.LockedError: "another connection holds it; try again",
    apsw.ProtocolError: "other processes kept changing it; try again",
    apsw.FullError: "free some space on its disk and try again",
    apsw.IOError: "look at the system's log for errors of the disk",
    apsw.CantOpenError: "check that its directory exists and that this user may read and write there",
    apsw.ReadOnlyError: "make the file and its directory writable for this user",
    apsw.PermissionsError: "make the file and its directory writable for this user",
    apsw.NoMemError: "free some memory and try again",
    apsw.InterruptError: "try again",
}


def classified(error: Exception, where: str) -> AutomationsError:
    """Tell what an exception of apsw means in our terms; `where` names the store."""
    if isinstance(error, OverflowError | UnicodeEncodeError):
        return unstorable(error)
    for kind, hint in _UNAVAILABLE.items():
        if isinstance(error, kind):
            return StoreUnavailable(f"the store {where} is not available: {error}", hint=hint)
    if isinstance(error, apsw.ConstraintError):
        return ConstraintViolated(f"the store {where} refused a row: {error}")
    if isinstance(error, apsw.NotADBError):
        return _foreign(where, "is not a database")
    if isinstance(error, apsw.CorruptError):
        return StoreError(f"the store {where} is damaged: {error}", hint="restore it from a backup")
    if isinstance(error, KeyError):
        return StoreError(f"the store {where} got a statement without a value for its parameter {error}")
    return StoreError(f"the store {where} could not run a statement: {error}")


class Standing:
    """A claimed file as it lies at its path now. SQLite in WAL mode goes on writing into one that was removed."""

    __slots__ = ("_identity", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity = self._look()

    def stands(self) -> bool:
        """Whether the path still leads to that very file."""
        return self._identity is not None and self._look() == self._identity

    def _look(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino


def claim(path: Path) -> bool:
    """Make sure that a file of ours, readable by its owner only, lies at `path`; whether it is still blank.

    Missing directories are made 0700, the file 0600. Raises StoreIncompatible for a library that is too old and for
    anything that is not our database, which stays untouched, and StoreUnavailable when the file cannot be had.
    """
    _require_library()
    try:
        _make_directories(path.parent)
        _make_file(path)
        header = _header(path)
        # A first page of zeros is what a power cut leaves of a creation; SQLite's journal then says what it was.
        blank = not header.strip(b"\0")
        if not blank:
            _require_ours(path, header)
        _hide_from_others(path)  # not before: what is not ours keeps its mode too
    except (OSError, apsw.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise StoreUnavailable(
            f"the store {path} cannot be opened: {reason}",
            hint="check the path, and that this user may read and write there",
        ) from error
    return blank


def connect(path: Path, *, patience: float, blank: bool = False) -> apsw.Connection:
    """Connect to a claimed file, with up to `patience` seconds of waiting for other processes' locks.

    A `blank` file is given our mark first.
    WAL, synchronous=FULL and foreign keys are set and read back. Raises StoreUnavailable, StoreIncompatible, and
    StoreError when one of them does not hold.
    """
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=_STATEMENTS_KEPT)
    except apsw.Error as error:
        raise classified(error, str(path)) from error
    try:
        connection.set_busy_handler(_waiting(patience))
        if blank:
            _stamp(connection, path)
        _enter_wal(connection, _waiting(patience))
        _configure(connection)
        _require_promises(connection, where=str(path), journal="wal")
    except apsw.Error as error:
        connection.close()
        raise classified(error, str(path)) from error
    except BaseException:
        connection.close()
        raise
    return connection


def connect_memory() -> apsw.Connection:
    """Connect to a fresh database in memory, configured like one on disk."""
    _require_library()
    connection = apsw.Connection(":memory:", statementcachesize=_STATEMENTS_KEPT)
    _configure(connection)
    _require_promises(connection, where="in memory", journal="memory")
    return connection


def _require_library() -> None:
    version = apsw.sqlite_lib_version()
    if tuple(int(part) for part in version.split(".")[:3]) < OLDEST_LIBRARY:
        oldest = ".".join(str(part) for part in OLDEST_LIBRARY)
        raise StoreIncompatible(
            f"the SQLite library is {version}, and versions before {oldest} can corrupt a database",
            hint=f"install apsw {oldest} or newer from its wheel, which brings its own SQLite",
        )


def _make_directories(directory: Path) -> None:
    # One by one: `parents=True` would give only the last of them this mode.
    for each in reversed((directory, *directory.parents)):
        if not each.exists():
            each.mkdir(mode=0o700, exist_ok=True)


def _make_file(path: Path) -> None:
    # The lock keeps a second thread from having SQLite locks on the file before this descriptor of it is closed.
    with _creating:
        try:
            close(open_descriptor(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0o600))
        except FileExistsError:
            return


def _hide_from_others(path: Path) -> None:
    # SQLite gives the journal and the WAL the mode of the main file; what a group may do is the operator's choice.
    if path.stat().st_mode & stat.S_IRWXO == 0:
        return
    for name in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        if name.exists() and name.stat().st_uid == geteuid():
            name.chmod(stat.S_IMODE(name.stat().st_mode) & ~stat.S_IRWXO)


def _header(path: Path) -> bytes:
    file = apsw.VFSFile("", str(path), [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READONLY, 0])
    try:
        length = min(_HEADER_BYTES, file.xFileSize())
        return file.xRead(length, 0) if length else b""
    finally:
        file.xClose()


def _require_ours(path: Path, header: bytes) -> None:
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise _foreign(str(path), "is not a database")
    if int.from_bytes(header[68:72], "big") == APPLICATION_ID:
        return
    user_version = int.from_bytes(header[60:64], "big")
    if header[68:72] == bytes(4) and user_version == _ORIGINAL_USER_VERSION:
        raise _foreign(str(path), "was written by the original automations program")
    raise _foreign(str(path), "is the database of another program")


def _foreign(where: str, what: str) -> StoreIncompatible:
    return StoreIncompatible(
        f"the file {where} {what}, so it was left untouched",
        hint="bring the original's data over with `automations import-store FILE`, or choose another --dir or --store",
    )


def _stamp(connection: apsw.Connection, path: Path) -> None:
    """Set our mark while the file has none: in rollback mode still, so that it is in the main file for ever after."""
    connection.execute("BEGIN IMMEDIATE")
    mark = connection.pragma("application_id")
    if mark == 0 and not connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()[0][0]:
        connection.pragma("application_id", APPLICATION_ID)
    elif mark != APPLICATION_ID:
        raise _foreign(str(path), "is the database of another program")
    connection.execute("COMMIT")


def _enter_wal(connection: apsw.Connection, wait: Callable[[int], bool]) -> None:
    attempt = 0
    while True:
        try:
            connection.pragma("journal_mode", "wal")
        except apsw.BusyError:  # SQLite does not ask the busy handler here: two processes could wait for each other
            if not wait(attempt):
                raise
            attempt += 1
        else:
            return


def _configure(connection: apsw.Connection) -> None:
    connection.pragma("synchronous", "FULL")
    connection.pragma("fullfsync", "ON")  # macOS only: its fsync leaves data in the drive's cache
    connection.pragma("foreign_keys", "ON")
    connection.pragma("journal_size_limit", _WAL_BYTES_KEPT)
    # As in PostgreSQL, a name in double quotes that no column has is an error and not a string.
    connection.config(apsw.SQLITE_DBCONFIG_DQS_DML, 0)
    connection.config(apsw.SQLITE_DBCONFIG_DQS_DDL, 0)


def _require_promises(connection: apsw.Connection, *, where: str, journal: str) -> None:
    for pragma, promised in (("journal_mode", journal), ("synchronous", 2), ("foreign_keys", 1)):
        found = connection.pragma(pragma)
        if found != promised:
            raise StoreError(
                f"the store {where} has {pragma} {found} where {promised} is needed to keep what was acknowledged",
                hint="put the data root on a local disk, and load no SQLite extension or hook that changes it",
            )


def _waiting(patience: float) -> Callable[[int], bool]:
    """Make a busy handler: short waits of 0.2 to 2 ms, up to `patience` seconds in all.

    SQLite's own waits longer the longer it waited, so the newest comer wins; here everybody has the same chance. The
    clock's low digits are jitter enough to keep processes from polling in step.
    """
    started = 0.0

    def wait(attempt: int) -> bool:
        nonlocal started
        now = monotonic()
        if attempt == 0:
            started = now
        if now - started >= patience:
            return False
        sleep(0.0002 + monotonic_ns() % 1800 / 1_000_000)
        return True

    return wait
