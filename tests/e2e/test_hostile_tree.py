"""Hostile trees under a real daemon: whatever becomes of the directory, nothing that runs is lost, and good edits get through."""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from threading import Event, Thread

import pytest

from e2e.conftest import BIN, PATIENCE, Site, until
from e2e.tree_state import Witness, bound, condition, history, in_place, live, put, serial, spec

NAMES = ("alpha", "beta", "gamma", "delta")
ROOT_USER = os.geteuid() == 0
NOBODY = 65534
LONG = 90.0
"""Seconds for what may need a resync."""


def settled(site: Site, *, extra: str = "") -> Witness:
    """Four automations under a running daemon."""
    for name in NAMES:
        put(site.specs / f"{name}.yaml", spec(name))
    site.start("run", "automations.d", "--no-worker", *extra.split())
    witness = Witness(site)
    witness.looked()
    assert set(live(site)) == {*NAMES, "witness"}
    return witness


def unchanged(site: Site) -> bool:
    """Whether the four are what they were at first."""
    found = live(site)
    return {name: found.get(name) for name in NAMES} == dict.fromkeys(NAMES, "1.0.0")


# Torn saves


def sample_specs() -> dict[str, str]:
    """Real specs of the examples, by id."""
    found = {}
    for path in sorted((Path(__file__).parents[2] / "automations.d").glob("*.yaml")):
        text = path.read_text()
        identity = next((line.partition(": ")[2] for line in text.splitlines() if line.startswith("id: ")), "")
        if identity and "kind: Action" not in text and "triggers:" in text:
            found[identity] = text
    return dict(list(found.items())[:3])


def test_no_byte_prefix_of_a_spec_that_is_being_written_is_ever_bound(site: Site) -> None:
    """Every prefix of several specs at once, each held open by its writer as an editor that pauses half-way would."""
    samples = sample_specs()
    assert samples
    prefixes = [text.encode()[:length] for text in samples.values() for length in range(len(text.encode()))]
    whole = {f"torn{number:04d}": prefix for number, prefix in enumerate(prefixes)}
    for name in whole:
        put(site.specs / f"{name}.yaml", spec(name))
    site.start("run", "automations.d", "--no-worker")
    until(lambda: len(live(site)) == len(whole), what="all are bound", seconds=LONG)
    before = history(site)
    writers = []
    for name, prefix in whole.items():
        file = (site.specs / f"{name}.yaml").open("wb")
        file.write(prefix)
        file.flush()
        writers.append((name, file))
    Witness(site).looked()
    Witness(site).looked()
    assert [each for each in history(site) if each[0] != "witness"] == before
    for name, file in writers:
        file.seek(0)
        file.write(spec(name, "2.0.0").encode())
        file.truncate()
        file.close()
    until(
        lambda: all(version == "2.0.0" for name, version in live(site).items() if name != "witness"),
        what="the finished saves are bound",
        seconds=LONG,
    )
    torn = [each for each in history(site) if each[0] != "witness" and each[2] not in ("1.0.0", "2.0.0")]
    assert torn == []
    assert {number for name, number, _ in history(site) if name != "witness"} == {1, 2}


def test_a_writer_that_saves_byte_by_byte_is_taken_in_once_and_whole(site: Site) -> None:
    witness = settled(site)
    text = spec("alpha", "3.0.0").encode()
    with (site.specs / "alpha.yaml").open("wb", buffering=0) as file:
        for number, byte in enumerate(text):
            file.write(bytes([byte]))
            if number % 100 == 50:
                witness.looked()
    until(lambda: live(site)["alpha"] == "3.0.0", what="the whole is bound")
    assert [each for each in history(site) if each[0] == "alpha"] == [("alpha", 1, "1.0.0"), ("alpha", 2, "3.0.0")]


def test_a_growing_file_and_a_bad_one_change_only_what_they_are(site: Site) -> None:
    witness = settled(site)
    with (site.specs / "growing.yaml").open("w") as file:
        for number in range(200):
            file.write(f"# line {number}\n" * 50)
            file.flush()
        witness.looked()
        assert "growing" not in live(site)
        file.write(spec("growing"))
    until(lambda: "growing" in live(site), what="the file that grew is bound")
    assert unchanged(site)


# The root


def test_a_root_that_is_renamed_and_comes_back_loses_nothing_and_its_watch_says_so(site: Site) -> None:
    witness = settled(site)
    before = serial(site)
    aside = site.folder / "aside"
    site.specs.rename(aside)
    until(lambda: condition(site, "Source") == ("False", "Missing"), what="the missing root is noticed")
    until(lambda: condition(site, "WatchHealthy")[0] == "False", what="the dead watch is told")
    assert (serial(site), unchanged(site)) == (before, True)
    aside.rename(site.specs)
    until(lambda: condition(site, "Source")[0] == "True", what="its return is noticed", seconds=LONG)
    until(lambda: condition(site, "WatchHealthy")[0] == "True", what="it is watched again", seconds=LONG)
    witness.looked()
    assert unchanged(site)


def test_a_root_that_is_made_anew_empty_then_filled_loses_nothing(site: Site) -> None:
    settled(site)
    before = serial(site)
    shutil.rmtree(site.specs)
    until(lambda: condition(site, "Source")[0] == "False", what="the missing root is noticed")
    site.specs.mkdir()
    until(lambda: condition(site, "Source") == ("False", "Empty"), what="the empty root is noticed", seconds=LONG)
    assert serial(site) == before
    for name in NAMES:
        put(site.specs / f"{name}.yaml", spec(name))
    witness = Witness(site)
    witness.looked()
    assert unchanged(site)


def test_a_root_that_is_emptied_loses_nothing_also_over_a_restart(site: Site) -> None:
    settled(site)
    for path in site.specs.iterdir():
        path.unlink()
    until(lambda: condition(site, "Source") == ("False", "Empty"), what="the empty root is noticed")
    before = serial(site)
    site.stop()
    site.start("run", "automations.d", "--no-worker")
    assert condition(site, "Source") == ("False", "Empty")
    assert (serial(site), unchanged(site)) == (before, True)


@pytest.mark.skipif(not ROOT_USER, reason="only root may mount")
@pytest.mark.parametrize("beneath", ["empty", "stale"])
def test_a_mount_that_goes_away_loses_nothing(site: Site, beneath: str) -> None:
    """Beneath the mount lies an empty directory, or an old copy that lacks most files."""
    if beneath == "stale":
        put(site.specs / "alpha.yaml", spec("alpha"))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "specs", site.specs], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"mounting is not allowed here: {mounted.stderr.strip()}")
    try:
        settled(site)
    finally:
        subprocess.run(["umount", "-l", site.specs], check=True)
    if beneath == "empty":
        until(
            lambda: condition(site, "Source") == ("False", "Empty"),
            what="the empty mount point is noticed",
            seconds=LONG,
        )
    else:
        until(lambda: condition(site, "PruneBlocked")[0] == "True", what="what is missing is withheld", seconds=LONG)
    assert unchanged(site)


@pytest.mark.skipif(
    not shutil.which("setpriv") or not ROOT_USER, reason="needs setpriv and root to become somebody else"
)
def test_what_another_user_may_not_read_leads_to_no_write(site: Site) -> None:
    """The daemon runs as nobody: a file and then the whole root lose their permissions."""
    for name in NAMES:
        put(site.specs / f"{name}.yaml", spec(name))
    root = Path(site.environment["HASNA_AUTOMATIONS_DIR"])
    root.mkdir()
    os.chown(root, NOBODY, NOBODY)
    for above in (site.folder, *site.folder.parents):
        if not above.stat().st_mode & 0o001:  # pytest's own folders are closed to others
            above.chmod(0o755)
    log = (site.folder / "daemon.log").open("a")
    daemon = subprocess.Popen(
        ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
         BIN / "automations-daemon", "run", "automations.d", "--no-worker"],
        cwd=site.folder, env=site.environment, text=True, stdout=log, stderr=log,
    )  # fmt: skip
    site.daemons.append(daemon)
    until(lambda: "daemon.started" in site.log(), what="the daemon starts")
    assert set(live(site)) == set(NAMES)
    before = serial(site)
    (site.specs / "alpha.yaml").chmod(0)
    until(
        lambda: condition(site, "Source") == ("False", "Unreadable"),
        what="the unreadable file is noticed",
        seconds=LONG,
    )
    site.specs.chmod(0)
    put(site.specs / "beta.yaml", spec("beta", "2.0.0"))
    assert (serial(site), unchanged(site)) == (before, True)
    site.specs.chmod(0o755)
    (site.specs / "alpha.yaml").chmod(0o644)
    until(lambda: live(site)["beta"] == "2.0.0", what="the readable tree is taken in", seconds=LONG)
    assert {name for name, each in bound(site).items() if not each.deleted} == set(NAMES)


# Links


@pytest.mark.parametrize("style", ["git-sync", "configmap"])
def test_symlink_swaps_are_taken_in_whole(site: Site, style: str) -> None:
    """`current -> rev-N` and `..data -> ..N`, swapped by rename a dozen times; every generation is of one revision."""
    base = site.folder / "tree"
    base.mkdir()
    link = base / ("current" if style == "git-sync" else "..data")

    def revision(number: int) -> None:
        folder = base / f"{'rev-' if style == 'git-sync' else '..'}{number}"
        folder.mkdir()
        for name in NAMES:
            (folder / f"{name}.yaml").write_text(spec(name, f"{number}.0.0"))
        swap = base / ".swap"
        swap.symlink_to(folder.name)
        swap.replace(link)

    revision(1)
    if style == "configmap":
        for name in NAMES:
            (base / f"{name}.yaml").symlink_to(f"..data/{name}.yaml")
    site.start("run", "tree/current" if style == "git-sync" else "tree", "--no-worker")
    assert live(site) == dict.fromkeys(NAMES, "1.0.0")
    for number in range(2, 13):
        revision(number)
        if number % 4 == 0:
            wanted = dict.fromkeys(NAMES, f"{number}.0.0")
            until(partial(goes, site, wanted), what=f"revision {number} is bound", seconds=LONG)
    mixed = [each for each in history(site) if not each[2].endswith(".0.0")]
    assert mixed == []
    if style == "git-sync":
        source = site.automations("status")["sources"][0]
        assert source["lastAppliedRevision"] == "rev-12"


def test_the_watch_does_not_follow_links_out_of_the_tree(site: Site) -> None:
    """A link to a large tree elsewhere costs no watches; one that leads back to itself is no loop."""
    elsewhere = site.folder / "elsewhere"
    for number in range(300):
        (elsewhere / f"d{number}").mkdir(parents=True)
    (site.specs / "out").symlink_to(elsewhere)
    (site.specs / "round").symlink_to(site.specs)
    settled(site)
    (daemon,) = site.daemons
    watches = 0
    for info in Path(f"/proc/{daemon.pid}/fdinfo").iterdir():
        text = info.read_text() if info.exists() else ""
        watches += text.count("inotify wd:")
    assert 0 < watches < 20


# What is no plain file, and what editors leave lying about


def test_things_that_are_no_plain_files_are_told_and_hang_nothing(site: Site) -> None:
    witness = settled(site)
    os.mkfifo(site.specs / "pipe.yaml")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(site.specs)  # a socket's path may not be long
        listener.bind("socket.yaml")
        os.chdir(here)
    if ROOT_USER:
        subprocess.run(["mknod", site.specs / "device.yaml", "c", "1", "5"], check=False)
    (site.specs / "out.yaml").symlink_to("/etc/hostname")
    (site.specs / "nowhere.yaml").symlink_to("nothing-there")
    (site.specs / "loop.yaml").symlink_to("loop.yaml")
    os.link(site.specs / "alpha.yaml", site.folder / "hard-link")
    witness.looked()
    until(lambda: condition(site, "SpecValid")[0] == "False", what="they are told")
    message = site.automations("status")["sources"][0]["conditions"]["SpecValid"]["message"]
    assert "more" in message
    assert unchanged(site)
    put(site.specs / "beta.yaml", spec("beta", "2.0.0"))
    until(lambda: live(site)["beta"] == "2.0.0", what="good edits get through")


def test_editors_leavings_and_odd_names_are_not_read(site: Site) -> None:
    witness = settled(site)
    for name in (".alpha.yaml.swp", "4913", "alpha.yaml~", "#alpha.yaml#", "alpha.yaml___jb_tmp___", "alpha.yaml___jb_old___",
                 "alpha.yaml.orig", ".goutputstream-1", "Alpha.YAML.bak"):  # fmt: skip
        (site.specs / name).write_text(spec("alpha", "9.9.9"))
    (site.specs / ".#alpha.yaml").symlink_to("me@here.1:2")
    (site.folder.joinpath("automations.d", "caf\u00e9.yaml")).write_text(spec("cafe"))
    os.close(os.open(os.fsencode(site.specs) + b"/bad-\xff.yaml", os.O_CREAT | os.O_WRONLY))
    witness.looked()
    assert all(live(site)[name] == "1.0.0" for name in NAMES)
    until(lambda: "cafe" in live(site), what="a name beyond ASCII is read")


def vim(path: Path, text: str) -> None:
    """Backup by rename, a new file, permissions, and the backup goes."""
    path.with_name("4913").touch()
    path.with_name("4913").unlink()
    backup = path.with_name(path.name + "~")
    path.rename(backup)
    path.write_text(text)
    path.chmod(0o644)
    backup.unlink()


def emacs(path: Path, text: str) -> None:
    """A lock, a copy as backup, and the file written in place."""
    lock = path.with_name(f".#{path.name}")
    lock.symlink_to("me@here.1:2")
    shutil.copy2(path, path.with_name(path.name + "~"))
    in_place(path, text)
    lock.unlink()


def jetbrains(path: Path, text: str) -> None:
    """A whole new file beside it, the old one aside, and a rename."""
    fresh, old = path.with_name(path.name + "___jb_tmp___"), path.with_name(path.name + "___jb_old___")
    fresh.write_text(text)
    path.rename(old)
    fresh.rename(path)
    old.unlink()


def goes(site: Site, wanted: Mapping[str, str]) -> bool:
    """Whether these versions are the live ones of these ids."""
    return wanted.items() <= live(site).items()


@pytest.mark.parametrize("editor", [vim, emacs, jetbrains, put, in_place])
def test_every_editor_s_way_to_save_is_one_new_generation(site: Site, editor: Callable[[Path, str], None]) -> None:
    settled(site)
    for number in range(2, 6):
        editor(site.specs / "alpha.yaml", spec("alpha", f"{number}.0.0"))
        until(partial(goes, site, {"alpha": f"{number}.0.0"}), what=f"save {number} is bound", seconds=LONG)
    assert [each[1:] for each in history(site) if each[0] == "alpha"] == [(n, f"{n}.0.0") for n in range(1, 6)]
    assert all(not each.deleted for each in bound(site).values())


def test_a_file_that_becomes_a_directory_and_back_keeps_its_automation(site: Site) -> None:
    witness = settled(site)
    path = site.specs / "alpha.yaml"
    path.unlink()
    path.mkdir()
    put(path / "inner.yaml", spec("inner"))
    until(lambda: "inner" in live(site), what="the directory is looked into")
    assert live(site)["alpha"] == "1.0.0"
    shutil.rmtree(path)
    put(path, spec("alpha"))
    witness.looked()
    assert live(site)["alpha"] == "1.0.0"
    assert bound(site)["alpha"].generation == 1


def test_names_that_differ_in_case_are_two_files_and_one_id_in_both_stops_both(site: Site) -> None:
    witness = settled(site)
    put(site.specs / "Alpha.yaml", spec("alpha", "2.0.0"))
    witness.looked()
    if not (site.specs / "Alpha.yaml").samefile(site.specs / "alpha.yaml"):
        until(lambda: condition(site, "SpecValid")[0] == "False", what="the duplicate is told")
        assert live(site)["alpha"] == "1.0.0"


def test_two_files_with_one_path_keep_the_running_route(site: Site) -> None:
    hook = "  - {{kind: webhook, source: test, type: hook, route: {{path: /same}}}}\n"
    text = spec("alpha").replace("actions:", hook.format() + "actions:")
    put(site.specs / "alpha.yaml", text)
    site.start("run", "automations.d", "--no-worker")
    put(site.specs / "other.yaml", spec("other").replace("actions:", hook.format() + "actions:"))
    until(lambda: condition(site, "SpecValid")[0] == "False", what="the contested path is told")
    put(site.specs / "alpha.yaml", text.replace("1.0.0", "2.0.0"))
    Witness(site).looked()
    assert live(site)["alpha"] == "1.0.0"
    assert "other" not in live(site)


# Changes that hide, and changes that come in heaps


def test_content_that_changed_under_old_times_is_found(site: Site) -> None:
    settled(site)
    path = site.specs / "alpha.yaml"
    status = path.stat()
    in_place(path, spec("alpha", "1.0.1"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    until(lambda: live(site)["alpha"] == "1.0.1", what="the hidden change is found", seconds=LONG)


def two_branches(repository: Path) -> list[str]:
    """A repository with sixty specs, of another version on each of its branches; the words of a git command in it."""
    author = ("-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "core.hooksPath=")
    git = ["git", "-C", str(repository), *author]
    subprocess.run(["git", "init", "-q", "-b", "one", repository], check=True)
    specs = repository / "automations.d"
    specs.mkdir()
    for branch, version in (("one", "1.0.0"), ("two", "2.0.0")):
        if branch == "two":
            subprocess.run([*git, "checkout", "-q", "-b", "two"], check=True)
        for number in range(60):
            (specs / f"s{number}.yaml").write_text(spec(f"s{number}", version))
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-qm", branch], check=True)
    return git


def test_a_checkout_is_one_commit(site: Site) -> None:
    git = two_branches(site.folder / "repo")
    site.start("run", "repo/automations.d", "--no-worker")
    versions = {"one": "1.0.0", "two": "2.0.0"}
    for number in range(6):
        branch = ("one", "two")[number % 2]
        subprocess.run([*git, "checkout", "-q", branch], check=True)
        wanted = {f"s{number}": versions[branch] for number in range(60)}
        until(lambda wanted=wanted: live(site) == wanted, what="the checkout is bound", seconds=LONG)  # type: ignore[misc]  # a default
    commits = [line for line in site.log().splitlines() if '"apply.committed"' in line]
    assert len(commits) in (6, 7), commits  # the first look may have seen the branch before
    assert "reconcile.invalid" not in site.log()


def test_checkouts_under_the_daemon_s_eyes_bind_only_what_was_committed(site: Site) -> None:
    git = two_branches(site.folder / "repo")
    site.start("run", "repo/automations.d", "--no-worker")
    until(lambda: len(live(site)) == 60, what="all are bound", seconds=LONG)
    stop = Event()

    def flip() -> None:
        for number in range(40):
            if stop.is_set():
                return
            subprocess.run([*git, "checkout", "-q", ("one", "two")[number % 2]], check=True)

    flipper = Thread(target=flip)
    flipper.start()
    flipper.join(PATIENCE)
    stop.set()
    subprocess.run([*git, "checkout", "-q", "one"], check=True)
    wanted = {f"s{number}": "1.0.0" for number in range(60)}
    until(lambda: live(site) == wanted, what="the last checkout is bound", seconds=LONG)
    assert {version for _, _, version in history(site)} <= {"1.0.0", "2.0.0"}
    assert not any(each.deleted for each in bound(site).values())
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    until(
        lambda: site.automations("status")["sources"][0]["lastAppliedRevision"] == commit,
        what="the commit is on record",
        seconds=LONG,
    )


def test_a_hundred_thousand_files_are_refused_at_once_in_bounded_memory_and_their_going_is_noticed(site: Site) -> None:
    witness = settled(site)
    (daemon,) = site.daemons
    heap = site.folder / "heap"
    for folder in range(100):
        (heap / f"d{folder}").mkdir(parents=True)
        for number in range(1000):
            os.close(os.open(heap / f"d{folder}" / f"f{number}.yaml", os.O_CREAT | os.O_WRONLY))
    before = _resident(daemon.pid)
    heap.rename(site.specs / "heap")
    until(lambda: condition(site, "Source") == ("False", "Unreadable"), what="the heap is refused", seconds=LONG)
    assert "more than 50000 files" in site.automations("status")["sources"][0]["conditions"]["Source"]["message"]
    assert unchanged(site)
    assert _resident(daemon.pid) - before < 100 << 20
    (site.specs / "heap").rename(heap)
    until(lambda: condition(site, "Source")[0] == "True", what="its going is noticed", seconds=LONG)
    witness.looked()
    assert unchanged(site)


def _resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
