"""Reading a real directory: what is there is read whole, what cannot be read is said, and absence is never guessed."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from automations.adapters import files as reader
from automations.adapters.files import LARGEST, DirectoryTree, one_file, rooted
from automations.core.spec.snapshot import Snapshot, Untrusted
from automations.errors import InvalidInput


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "specs"
    made.mkdir()
    return made


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow each other at once; how many there are stays."""
    monkeypatch.setattr(reader, "PAUSE", 0.0)


def write(path: Path, text: str = "id: x\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def taken(directory: Path, known: dict[str, str] | None = None) -> Snapshot:
    found = DirectoryTree(directory, shown="specs").take({} if known is None else known)
    assert isinstance(found, Snapshot), found
    return found


def refused(directory: Path) -> Untrusted:
    found = DirectoryTree(directory).take({})
    assert isinstance(found, Untrusted), found
    return found


def names(snapshot: Snapshot) -> list[str]:
    return [file.name for file in snapshot.files]


def texts(snapshot: Snapshot) -> dict[str, bytes | None]:
    return {file.name: file.raw for file in snapshot.files}


def problems(snapshot: Snapshot) -> list[tuple[str, str]]:
    return [(each.span.file, each.message) for each in snapshot.problems]


# What is read


def test_every_spec_below_the_root_is_read_in_a_stable_order(root: Path) -> None:
    for name in ("b.yaml", "a.yml", "sub/deep/c.json", "sub.yaml/d.yaml", "ä ö.yaml"):
        write(root / name, name)
    snapshot = taken(root)
    assert texts(snapshot) == {name: name.encode() for name in sorted(names(snapshot))}
    assert names(snapshot) == ["a.yml", "b.yaml", "sub.yaml/d.yaml", "sub/deep/c.json", "ä ö.yaml"]
    assert snapshot.problems == ()


@pytest.mark.parametrize(
    "name",
    [
        ".hidden.yaml", ".git/config.yaml", "a.yaml~", "a.yaml.bak", "a.yaml.orig", "a.yaml.tmp", ".a.yaml.swp", "#a.yaml#",
        ".#a.yaml", "4913", "a.yaml___jb_tmp___", "._a.yaml", ".goutputstream-X1", "README.md", "x/notes.txt", "old~/a.yaml",
    ],
)  # fmt: skip
def test_what_editors_tools_and_people_leave_lying_about_is_not_read(root: Path, name: str) -> None:
    write(root / "good.yaml")
    write(root / name)
    snapshot = taken(root)
    assert (names(snapshot), snapshot.problems) == (["good.yaml"], ())


def test_a_dangling_lock_of_an_editor_is_no_problem(root: Path) -> None:
    (root / ".#a.yaml").symlink_to("user@host.123:456")
    assert taken(root).problems == ()


def test_an_empty_directory_is_an_empty_snapshot(root: Path) -> None:
    assert taken(root).files == ()


def test_people_see_names_with_the_path_that_they_gave(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root.parent)
    assert [DirectoryTree(Path(p), shown=p).prefix for p in ("specs", "specs/", ".", "")] == [
        "specs/",
        "specs/",
        "",
        "",
    ]
    assert DirectoryTree(Path("specs")).root == DirectoryTree(root).root == str(root)


# Stamps


def test_a_file_whose_stamp_is_known_is_not_read_again_unless_asked(root: Path) -> None:
    write(root / "a.yaml", "one")
    (first,) = taken(root).files
    (again,) = taken(root, {"a.yaml": first.stamp}).files
    assert (again.raw, again.load()) == (None, b"one")


def test_content_that_changed_while_its_times_were_set_back_is_read_again(root: Path) -> None:
    path = write(root / "a.yaml", "one")
    before = path.stat()
    (first,) = taken(root).files
    changed = False
    while not changed:  # until the clock of the file system has moved on
        path.write_text("two")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        changed = path.stat().st_ctime_ns != before.st_ctime_ns
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert taken(root, {"a.yaml": first.stamp}).files[0].raw == b"two"


def test_a_file_that_was_replaced_by_one_of_the_same_size_and_time_is_read_again(root: Path) -> None:
    path = write(root / "a.yaml", "one")
    (first,) = taken(root).files
    other = write(root.parent / "other", "two")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.rename(path)
    assert taken(root, {"a.yaml": first.stamp}).files[0].raw == b"two"


# Links


def test_a_root_that_is_a_link_is_followed_and_its_target_s_name_is_the_revision(tmp_path: Path) -> None:
    write(tmp_path / "rev-1/a.yaml", "one")
    (tmp_path / "current").symlink_to("rev-1")
    snapshot = taken(tmp_path / "current")
    assert (snapshot.root, snapshot.revision) == (str(tmp_path / "current"), "rev-1")
    assert texts(snapshot) == {"a.yaml": b"one"}


def swap(link: Path, target: str) -> None:
    """Point a link elsewhere in one step, as git-sync and the kubelet do."""
    fresh = link.with_name("..tmp")
    fresh.symlink_to(target)
    fresh.rename(link)


def test_a_swapped_root_is_read_from_its_new_target_even_with_stamps_of_the_old(tmp_path: Path) -> None:
    write(tmp_path / "rev-1/a.yaml", "one")
    write(tmp_path / "rev-2/a.yaml", "two")
    (tmp_path / "current").symlink_to("rev-1")
    before = taken(tmp_path / "current")
    swap(tmp_path / "current", "rev-2")
    after = taken(tmp_path / "current", {"a.yaml": before.files[0].stamp})
    assert (texts(after), after.revision) == ({"a.yaml": b"two"}, "rev-2")


def config_map(root: Path, name: str, files: dict[str, str]) -> None:
    """Lay files out as the kubelet mounts a ConfigMap: real ones in a dated hidden folder, all else links."""
    for path, text in files.items():
        write(root / name / path, text)
        top = root / path.split("/")[0]
        if not top.is_symlink():
            top.symlink_to(f"..data/{top.name}")
    if (root / "..data").is_symlink():
        swap(root / "..data", name)
    else:
        (root / "..data").symlink_to(name)


def test_a_config_map_is_read_through_its_links_and_folders_once(root: Path) -> None:
    config_map(root, "..2026_01", {"a.yaml": "one", "team/b.yaml": "two", "team/deep/c.yaml": "three"})
    snapshot = taken(root)
    assert texts(snapshot) == {"a.yaml": b"one", "team/b.yaml": b"two", "team/deep/c.yaml": b"three"}
    assert snapshot.problems == ()


def test_a_config_map_that_was_swapped_is_read_anew(root: Path) -> None:
    config_map(root, "..2026_01", {"a.yaml": "one", "team/b.yaml": "two"})
    known = {file.name: file.stamp for file in taken(root).files}
    config_map(root, "..2026_02", {"a.yaml": "uno", "team/b.yaml": "due"})
    assert texts(taken(root, known)) == {"a.yaml": b"uno", "team/b.yaml": b"due"}


def test_a_link_out_of_the_root_is_a_finding_and_is_not_followed(root: Path) -> None:
    write(root.parent / "secret.yaml")
    write(root.parent / "elsewhere/a.yaml")
    (root / "file.yaml").symlink_to("../secret.yaml")
    (root / "folder").symlink_to("../elsewhere")
    (root / "absolute.yaml").symlink_to("/etc/hostname")
    (root / "notes").symlink_to("../secret.yaml")
    snapshot = taken(root)
    assert snapshot.files == ()
    assert [name for name, _ in problems(snapshot)] == ["specs/absolute.yaml", "specs/file.yaml", "specs/folder"]
    assert {each.code for each in snapshot.problems} == {"file/unusable"}


def test_a_link_to_nowhere_or_in_a_circle_is_a_finding_only_where_a_spec_was_meant(root: Path) -> None:
    (root / "gone.yaml").symlink_to("nothing")
    (root / "loop.yaml").symlink_to("loop.yaml")
    (root / "note").symlink_to("nothing")
    (root / "ring").symlink_to("ring")
    write(root / "good.yaml")
    snapshot = taken(root)
    assert names(snapshot) == ["good.yaml"]
    assert [name for name, _ in problems(snapshot)] == ["specs/gone.yaml", "specs/loop.yaml"]


def test_links_between_folders_inside_the_root_never_make_a_circle_or_read_twice(root: Path) -> None:
    write(root / "real/a.yaml")
    (root / "alias").symlink_to("real")
    (root / "real/up").symlink_to("..")
    write(root / ".hidden/b.yaml")
    (root / ".hidden/self").symlink_to(".")
    (root / "one").symlink_to(".hidden")
    (root / "two").symlink_to(".hidden")
    assert names(taken(root)) == ["one/b.yaml", "real/a.yaml"]


def test_a_link_to_a_file_inside_the_root_is_read_under_its_own_name(root: Path) -> None:
    write(root / ".store/a.yaml", "one")
    (root / "a.yaml").symlink_to(".store/a.yaml")
    assert texts(taken(root)) == {"a.yaml": b"one"}


# What is no file


@pytest.fixture
def listening(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A socket with a spec's name; bound by a short name, since such paths may not be long."""
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.yaml")
        yield "socket.yaml"


def test_a_fifo_a_socket_and_a_device_are_findings_and_nothing_waits(root: Path, listening: str) -> None:
    os.mkfifo(root / "fifo.yaml")
    (root / "device.yaml").symlink_to("/dev/zero")
    write(root / "good.yaml")
    snapshot = taken(root)
    assert names(snapshot) == ["good.yaml"]
    assert [name for name, _ in problems(snapshot)] == ["specs/device.yaml", "specs/fifo.yaml", f"specs/{listening}"]


def test_a_file_that_is_too_large_is_a_finding(root: Path) -> None:
    write(root / "most.yaml", "x" * LARGEST)
    write(root / "more.yaml", "x" * (LARGEST + 1))
    snapshot = taken(root)
    assert names(snapshot) == ["most.yaml"]
    assert problems(snapshot) == [("specs/more.yaml", f"larger than {LARGEST} bytes")]


def test_names_that_are_not_utf_8_are_findings_that_can_be_printed(root: Path) -> None:
    os.close(os.open(os.fsencode(root) + b"/bad\xff.yaml", os.O_CREAT))
    os.mkdir(os.fsencode(root) + b"/dir\xfe")  # noqa: PTH102  # a name that no text holds
    os.close(os.open(os.fsencode(root) + b"/note\xff.txt", os.O_CREAT))
    snapshot = taken(root)
    assert snapshot.files == ()
    assert problems(snapshot) == [
        ("specs/bad\\udcff.yaml", "its name is not UTF-8"),
        ("specs/dir\\udcfe", "its name is not UTF-8"),
    ]
    for name, _ in problems(snapshot):
        name.encode()


# Roots that cannot be trusted


def test_a_missing_root_is_not_an_empty_one(root: Path) -> None:
    root.rmdir()
    found = refused(root)
    assert (found.reason, str(root) in found.message) == ("Missing", True)


@pytest.mark.parametrize("target", ["nowhere", "specs-link"])
def test_a_root_link_to_nowhere_or_to_itself_is_not_an_empty_one(tmp_path: Path, target: str) -> None:
    (tmp_path / "specs-link").symlink_to(target)
    assert refused(tmp_path / "specs-link").reason in ("Missing", "Unreadable")


def test_a_root_that_is_a_file_is_said_to_be_one(tmp_path: Path) -> None:
    found = refused(write(tmp_path / "specs"))
    assert (found.reason, "not a directory" in found.message) == ("Missing", True)


def test_a_root_that_was_renamed_is_missing_and_one_made_anew_is_read(root: Path) -> None:
    write(root / "a.yaml", "one")
    tree = DirectoryTree(root)
    assert isinstance(tree.take({}), Snapshot)
    root.rename(root.with_name("moved"))
    assert isinstance(tree.take({}), Untrusted)
    write(root / "b.yaml", "two")
    found = tree.take({})
    assert isinstance(found, Snapshot)
    assert texts(found) == {"b.yaml": b"two"}


UNPRIVILEGED = 65534
LOCKED = """
import os, sys
from pathlib import Path
from automations.adapters.files import DirectoryTree
os.setgid({user}); os.setuid({user})
found = DirectoryTree(Path(sys.argv[1])).take({{}})
print(type(found).__name__, getattr(found, "reason", ""), getattr(found, "message", ""))
"""


@pytest.mark.parametrize(
    ("locked", "mode"),
    [(".", 0o000), ("sub", 0o000), ("sub", 0o600), ("a.yaml", 0o000)],
    ids=["root", "sub", "no-exec", "file"],
)
def test_what_may_not_be_read_is_unreadable_and_never_absent(
    unprivileged_reader: list[str], open_root: Path, locked: str, mode: int
) -> None:
    write(open_root / "a.yaml").chmod(0o644)
    write(open_root / "sub/b.yaml").chmod(0o644)
    (open_root / "sub").chmod(0o755)
    (open_root / locked).chmod(mode)
    told = subprocess.run([*unprivileged_reader, str(open_root)], capture_output=True, text=True, check=True).stdout
    (open_root / locked).chmod(0o755)
    assert told.startswith("Untrusted Unreadable")
    assert "Permission denied" in told


@pytest.fixture
def open_root(root: Path) -> Path:
    """A root that everybody may reach."""
    for parent in (root, *root.parents):
        if parent.stat().st_uid == os.getuid() and parent.stat().st_mode & 0o7777 == 0o700:
            parent.chmod(0o711)
    root.chmod(0o755)
    return root


@pytest.fixture
def unprivileged_reader() -> list[str]:
    """A Python that gives up root's rights (which no missing permission stops) before it reads a tree."""
    user = UNPRIVILEGED if os.getuid() == 0 else os.getuid()
    return [sys.executable, "-c", LOCKED.format(user=user)]


# Trees that move


class Meddling(dict[str, str]):
    """Known stamps that do something to the tree each time the reader looks one up: exactly while it reads."""

    def __init__(self, deed: Callable[[], object], times: int) -> None:
        super().__init__()
        self._deed = deed
        self.left = times

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]  # one signature is enough here
        if self.left:
            self.left -= 1
            self._deed()
        return default


def test_a_file_that_changes_while_the_tree_is_read_is_read_again(root: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        write(root / name, "old")
    deed = Meddling(lambda: write(root / "a.yaml", "a longer new text"), times=2)
    assert texts(taken(root, deed)) == {"a.yaml": b"a longer new text", "b.yaml": b"old"}


def test_a_file_that_appears_while_the_tree_is_read_is_not_missed(root: Path) -> None:
    write(root / "a.yaml")
    os.utime(root, ns=(1, 1))
    deed = Meddling(lambda: write(root / "z.yaml"), times=1)
    assert names(taken(root, deed)) == ["a.yaml", "z.yaml"]


def test_a_file_that_goes_while_the_tree_is_read_is_no_error(root: Path) -> None:
    write(root / "a.yaml")
    write(root / "b.yaml")
    deed = Meddling((root / "b.yaml").unlink, times=1)
    assert names(taken(root, deed)) == ["a.yaml"]


def test_a_root_that_is_swapped_while_it_is_read_gives_one_revision_and_never_a_mix(tmp_path: Path) -> None:
    for revision in ("one", "two"):
        for name in ("a.yaml", "b.yaml", "c.yaml"):
            write(tmp_path / revision / name, revision)
    (tmp_path / "current").symlink_to("one")
    deed = Meddling(lambda: swap(tmp_path / "current", "two"), times=1)
    assert set(texts(taken(tmp_path / "current", deed)).values()) == {b"two"}


def test_a_folder_that_becomes_a_file_while_the_tree_is_read_is_not_the_end_of_the_root(root: Path) -> None:
    write(root / "a.yaml")
    write(root / "sub/b.yaml")

    def replace() -> None:
        (root / "sub/b.yaml").unlink()
        (root / "sub").rmdir()
        write(root / "sub")

    assert names(taken(root, Meddling(replace, times=1))) == ["a.yaml"]


def test_a_tree_that_never_holds_still_is_unstable(root: Path) -> None:
    write(root / "a.yaml")
    count = iter(range(10**6))
    deed = Meddling(lambda: write(root / "a.yaml", "x" * next(count)), times=10**6)
    found = DirectoryTree(root).take(deed)
    assert isinstance(found, Untrusted)
    assert found.reason == "Unstable"


def test_swaps_under_a_busy_reader_never_show_half_of_two_revisions(tmp_path: Path) -> None:
    for revision in ("one", "two"):
        for number in range(20):
            write(tmp_path / revision / f"{number}.yaml", revision)
    link = tmp_path / "current"
    link.symlink_to("one")
    stop = Event()

    def keep_swapping() -> None:
        while not stop.is_set():
            swap(link, "two")
            swap(link, "one")

    swapper = Thread(target=keep_swapping)
    swapper.start()
    try:
        found = [DirectoryTree(link).take({}) for _ in range(50)]
    finally:
        stop.set()
        swapper.join()
    for each in found:
        if isinstance(each, Untrusted):
            assert each.reason == "Unstable"
        else:
            assert (len(each.files), len(set(texts(each).values()))) == (20, 1)


# Revisions

COMMIT = "0123abcd" * 5


@pytest.mark.parametrize(
    ("head", "loose", "packed", "revision"),
    [
        (f"{COMMIT}\n", None, None, COMMIT),
        ("ref: refs/heads/main\n", f"{COMMIT}\n", None, COMMIT),
        ("ref: refs/heads/main\n", None, f"# pack-refs\n{COMMIT} refs/heads/main\n", COMMIT),
        ("ref: refs/heads/unborn\n", None, None, None),
        ("ref: refs/heads/../../../secret\n", None, None, None),
        ("root:x:0:0\n", None, None, None),
    ],
)
def test_the_revision_of_a_checkout_is_its_commit(
    tmp_path: Path, head: str, loose: str | None, packed: str | None, revision: str | None
) -> None:
    write(tmp_path / ".git/HEAD", head)
    if loose:
        write(tmp_path / ".git/refs/heads/main", loose)
    if packed:
        write(tmp_path / ".git/packed-refs", packed)
    (tmp_path / "specs").mkdir()
    assert taken(tmp_path / "specs").revision == revision


def test_the_revision_of_a_worktree_is_its_commit(tmp_path: Path) -> None:
    """As git-sync makes them: `.git` is a file that names a folder of the repository, and refs lie in the common one."""
    write(tmp_path / "repo/worktrees/rev/HEAD", "ref: refs/heads/main\n")
    write(tmp_path / "repo/worktrees/rev/commondir", "../..\n")
    write(tmp_path / "repo/refs/heads/main", f"{COMMIT}\n")
    write(tmp_path / "rev/.git", "gitdir: ../repo/worktrees/rev\n")
    write(tmp_path / "rev/specs/a.yaml")
    assert taken(tmp_path / "rev/specs").revision == COMMIT


def test_a_pipe_in_place_of_a_git_file_is_not_waited_for(root: Path) -> None:
    os.mkfifo(root / ".git")
    assert taken(root).revision is None


def test_a_git_folder_full_of_noise_is_no_crash(root: Path) -> None:
    write(root / ".git/HEAD").write_bytes(b"\xff\xfe\x00")
    assert isinstance(DirectoryTree(root).take({}), Snapshot)


# One file


def test_one_file_is_a_snapshot_of_itself(tmp_path: Path) -> None:
    path = write(tmp_path / "a.yaml", "one")
    assert texts(one_file(path)) == {str(path): b"one"}


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("nothing"), lambda path: None])
def test_one_file_that_is_none_is_refused_by_name(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "a.yaml")
    with pytest.raises(InvalidInput, match=r"a\.yaml"):
        one_file(tmp_path / "a.yaml")


def test_a_tree_that_is_too_much_is_refused_before_it_is_held(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        write(root / f"{number}.yaml", "x" * 100)
    monkeypatch.setattr(reader, "MOST_BYTES", 399)
    assert "more than 399 bytes" in refused(root).message
    monkeypatch.setattr(reader, "MOST_FILES", 3)
    assert "more than 3 files" in refused(root).message


def test_a_root_is_called_without_detours_unless_a_link_makes_them_count(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    (tmp_path / "far" / "deep").mkdir(parents=True)
    (tmp_path / "far" / "specs").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far" / "deep")
    assert rooted(tmp_path / "far" / ".." / "specs") == tmp_path / "specs"
    assert rooted(tmp_path / "link" / ".." / "specs") == tmp_path / "link" / ".." / "specs"
    assert rooted(tmp_path / "nothing" / ".." / "specs") == tmp_path / "nothing" / ".." / "specs"
    assert DirectoryTree(tmp_path / "far" / ".." / "specs").root == str(tmp_path / "specs")
