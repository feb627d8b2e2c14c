"""A watch that cannot be had, or dies, or misses something: nothing rests on a notification but speed."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from e2e.conftest import Site, until
from e2e.tree_state import condition, in_place, live, put, spec

LONG = 120.0
"""Seconds: a watch that failed is tried again after a minute at most."""
SOON = 10.0
"""Seconds for what takes one or two: far less than the minute until the loop would look by itself."""
SETTING = "/proc/sys/user"
"""Here a user namespace bounds what inotify gives to it, whoever else uses it on this machine."""


def bounded(limit: str, number: int) -> tuple[str, ...]:
    """Words before a command that let it run in a user namespace of its own with such a limit."""
    script = f'echo {number} > {SETTING}/{limit} && exec "$@"'
    words = ("unshare", "--user", "--map-root-user", "sh", "-c", script, "sh")
    if shutil.which(words[0]) is None or not Path(SETTING, limit).exists():
        pytest.skip("there is no unshare, or this kernel has no limits of inotify by user namespace")
    tried = subprocess.run([*words, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"user namespaces cannot be had here: {tried.stderr.strip()}")
    return words


def let(process: "subprocess.Popen[str]", limit: str, number: int) -> None:
    """Change a limit of the namespace that a process runs in."""
    words = ("nsenter", "--user", "--target", str(process.pid), "sh", "-c", f"echo {number} > {SETTING}/{limit}")
    subprocess.run(words, check=True, capture_output=True)


def healthy(site: Site, status: str) -> None:
    until(lambda: condition(site, "WatchHealthy")[0] == status, what=f"WatchHealthy={status}", seconds=LONG)


LIMITS = pytest.mark.parametrize("limit", ["max_inotify_instances", "max_inotify_watches"])


@LIMITS
def test_without_inotify_edits_are_taken_in_by_looking_and_it_is_watched_as_soon_as_it_can_be(
    site: Site, limit: str
) -> None:
    put(site.specs / "alpha.yaml", spec("alpha"))
    daemon, _ = site.start("run", "automations.d", "--no-worker", through=bounded(limit, 1))
    healthy(site, "False")
    put(site.specs / "alpha.yaml", spec("alpha", "2.0.0"))
    until(lambda: live(site)["alpha"] == "2.0.0", what="the edit is bound")
    assert condition(site, "WatchHealthy") == ("False", "Polling")
    let(daemon, limit, 1000)
    healthy(site, "True")
    put(site.specs / "alpha.yaml", spec("alpha", "3.0.0"))
    until(lambda: live(site)["alpha"] == "3.0.0", what="the next edit is bound")


@LIMITS
def test_a_watch_that_dies_is_told_costs_no_edit_and_heals(site: Site, limit: str) -> None:
    put(site.specs / "alpha.yaml", spec("alpha"))
    daemon, _ = site.start("run", "automations.d", "--no-worker", through=bounded(limit, 1000))
    put(site.specs / "alpha.yaml", spec("alpha", "2.0.0"))
    until(lambda: live(site)["alpha"] == "2.0.0", what="the first edit is bound")
    healthy(site, "True")
    let(daemon, limit, 0)
    (site.specs / "team").mkdir()  # which wants a watch of its own
    healthy(site, "False")
    put(site.specs / "team" / "beta.yaml", spec("beta"))
    until(lambda: "beta" in live(site), what="what is new in the folder that nobody watches is bound")
    let(daemon, limit, 1000)
    healthy(site, "True")
    put(site.specs / "team" / "beta.yaml", spec("beta", "2.0.0"))
    until(lambda: live(site)["beta"] == "2.0.0", what="it is watched now")


def test_a_file_with_an_ending_in_upper_case_is_watched_like_any_other(site: Site) -> None:
    put(site.specs / "alpha.yaml", spec("alpha"))
    site.start("run", "automations.d", "--no-worker")
    healthy(site, "True")
    for identity, ending in (("beta", "YAML"), ("gamma", "Yml"), ("delta", "JSON")):
        put(site.specs / f"{identity}.{ending}", json.dumps(yaml.safe_load(spec(identity))))
    until(lambda: len(live(site)) == 4, what="all of them are bound", seconds=SOON)


def soon(site: Site, version: str) -> bool:
    """Whether a version of alpha is bound long before the loop would look by itself."""
    deadline = time.monotonic() + 6
    while live(site)["alpha"] != version and time.monotonic() < deadline:
        time.sleep(0.05)
    return live(site)["alpha"] == version


def test_a_change_that_no_watch_tells_of_is_taken_in_by_the_next_resync(site: Site) -> None:
    put(site.specs / "alpha.yaml", spec("alpha"))
    beside = site.folder / "beside.yaml"
    os.link(site.specs / "alpha.yaml", beside)  # what is written through another name tells the folder nothing
    site.start("run", "automations.d", "--no-worker")
    for number in range(2, 12):
        in_place(beside, spec("alpha", f"{number}.0.0"))
        if not soon(site, f"{number}.0.0"):  # else the daemon looked for another reason, as it does when it begins
            break
    else:
        pytest.fail("every change was told of, so that this shows nothing")
    until(lambda: live(site)["alpha"] == f"{number}.0.0", what="the untold change is bound", seconds=LONG)
    assert condition(site, "WatchHealthy")[0] == "True"


def in_namespace(process: "subprocess.Popen[str]", *words: str) -> None:
    """Run a command where a process sees its file systems."""
    entered = ("nsenter", "--user", "--mount", "--preserve-credentials", "--target", str(process.pid))
    subprocess.run([*entered, *words], check=True, capture_output=True, text=True)


def mounting() -> tuple[str, ...]:
    """Words before a command that let it run where file systems can be mounted that nobody else sees."""
    words = ("unshare", "--user", "--map-root-user", "--mount")
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        pytest.skip("there is no unshare or nsenter")
    tried = subprocess.run(
        [*words, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True, check=False
    )
    if tried.returncode != 0:
        pytest.skip(f"file systems cannot be mounted in a namespace here: {tried.stderr.strip()}")
    return words


@pytest.mark.parametrize("below", ["", "team"])
def test_what_is_mounted_over_the_root_or_a_folder_of_it_is_watched_and_what_comes_back_below_it(
    site: Site, below: str
) -> None:
    folder, other = site.specs / below, site.folder / "other"
    other.mkdir()
    folder.mkdir(exist_ok=True)
    put(site.specs / "beside.yaml", spec("beside"))
    put(folder / "alpha.yaml", spec("alpha"))
    put(other / "alpha.yaml", spec("alpha", "2.0.0"))
    put(other / "beside.yaml" if not below else other / "more.yaml", spec("beside" if not below else "more"))
    daemon, _ = site.start("run", "automations.d", "--no-worker", through=mounting())
    healthy(site, "True")
    in_namespace(daemon, "mount", "--bind", str(other), str(folder))
    assert soon(site, "2.0.0")
    for version in ("3.0.0", "4.0.0"):
        put(other / "alpha.yaml", spec("alpha", version))
        assert soon(site, version)
    in_namespace(daemon, "umount", "--lazy", str(folder))
    assert soon(site, "1.0.0")
    for version in ("5.0.0", "6.0.0"):
        put(folder / "alpha.yaml", spec("alpha", version))
        assert soon(site, version)
    assert condition(site, "WatchHealthy")[0] == "True"
