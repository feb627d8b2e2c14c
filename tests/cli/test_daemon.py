"""`automations-daemon`: what it announces, whom it refuses, and what it leaves behind when it ends, however it ends."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import SPEC, CommandLine
from e2e.conftest import BIN, PATIENCE, Site, until

STARTED = {"ok", "leaseId", "pid", "heartbeatAt"}
SERVING = STARTED | {"mode", "host", "port", "maxBodyBytes", "routes"}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A data root of its own; what is started here is stopped by its own process id."""
    environment = {**os.environ, "HASNA_AUTOMATIONS_DIR": str(tmp_path / "root")}
    made = Site(tmp_path, environment)
    made.specs.mkdir()
    yield made
    made.stop()


def daemon(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the daemon's program to its end."""
    return subprocess.run(
        [BIN / "automations-daemon", *words],
        cwd=site.folder, env=site.environment, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


def left_behind(site: Site) -> dict[str, object]:
    """What a stopped daemon must not leave: its lease, its pid file."""
    return {
        "lease": site.automations("status")["daemon"],
        "pid file": (site.folder / "root" / "daemon.pid").exists(),
    }


NOTHING = {"lease": {"active": False}, "pid file": False}


def test_one_round_does_everything_once_and_leaves_nothing_behind(automations: CommandLine) -> None:
    automations.write("one")
    ended = automations("--json", "run", "--once", "automations.d", daemon=True)
    assert ended.status == 0
    assert set(ended.document) == STARTED | {"once"}
    assert ended.document["once"] is True
    assert ended.document["pid"] == os.getpid()
    assert ended.document["leaseId"].startswith("daemon:")
    assert [each["id"] for each in automations.json("list")] == ["one"]
    status = automations.json("status")
    assert status["daemon"] == {"active": False}
    assert [(each["name"], each["sync"]) for each in status["sources"]] == [("default", "Synced")]
    assert not (automations.root / "daemon.pid").exists()


@pytest.mark.parametrize("words", [("--json", "run", "--once"), ("run", "--json", "--once"), ("run", "--once", "-j")])
def test_the_daemon_takes_global_options_anywhere_too(automations: CommandLine, words: tuple[str, ...]) -> None:
    assert automations(*words, daemon=True).document["ok"] is True


def test_the_daemons_status_is_the_status(automations: CommandLine) -> None:
    assert automations("status", "-j", daemon=True).document == automations.json("status")


@pytest.mark.parametrize("words", [(), ("help",), ("--help",)])
def test_without_a_command_the_daemon_shows_its_help(automations: CommandLine, words: tuple[str, ...]) -> None:
    ended = automations(*words, daemon=True)
    assert ended.status == 0
    assert ended.out.startswith("Usage: automations-daemon ")
    assert not automations.root.exists()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("AUTOMATIONS_TTL_MS", "100", "AUTOMATIONS_TTL_MS must be greater than or equal to --interval-ms"),
        ("AUTOMATIONS_INTERVAL_MS", "20000", "--ttl-ms must be greater than or equal to AUTOMATIONS_INTERVAL_MS"),
    ],
)
def test_what_a_variable_says_is_told_by_its_name(
    automations: CommandLine, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    ended = automations("run", daemon=True)
    assert (ended.status, ended.out) == (2, "")
    assert said in ended.err


def test_what_the_file_says_is_told_by_its_key(automations: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "automations.toml"
    file.write_text("[daemon]\nttl_ms = 100\n")
    ended = automations("--config", str(file), "run", daemon=True)
    assert (ended.status, ended.out) == (2, "")
    assert f"ttl_ms in [daemon] of {file} must be greater than or equal to --interval-ms" in ended.err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("run --interval-ms 99", "--interval-ms must be at least 100"),
        ("run --interval-ms often", "--interval-ms takes a whole number of at most 18 digits, not 'often'"),
        ("run --interval-ms 500 --ttl-ms 499", "--ttl-ms must be greater than or equal to --interval-ms"),
        ("run one two", "Got unexpected extra argument(s) (two)"),
        ("run --port 1", "No such option: --port"),
        ("serve --port 65536", "--port must be an integer from 0 to 65535"),
        ("serve --port -1", "--port must be an integer from 0 to 65535"),
        ("serve --port http", "--port takes a whole number of at most 18 digits, not 'http'"),
        ("serve --max-body-bytes 0", "--max-body-bytes must be a positive integer"),
        ("serve --host=", "--host is required"),
        ("serve --once", "No such option: --once"),
        ("bogus", "No such command 'bogus'."),
    ],
)
def test_a_bad_option_is_one_line_and_exit_two_before_anything_is_touched(
    automations: CommandLine, line: str, said: str
) -> None:
    ended = automations(*line.split(), daemon=True)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.splitlines()[0].startswith(f"automations-daemon: {said}")
    assert len(ended.err.splitlines()) <= 2
    assert automations("-j", *line.split(), daemon=True).error["code"] == "usage"
    assert not automations.root.exists()


def test_a_serving_daemon_says_where_and_ends_cleanly_on_a_signal(site: Site) -> None:
    process, started = site.start("serve", "--port", "0", "--max-body-bytes", "4096")
    assert set(started) == SERVING
    assert (started["ok"], started["mode"], started["host"]) == (True, "serve", "127.0.0.1")
    assert started["pid"] == process.pid
    assert started["port"] > 0
    assert (started["maxBodyBytes"], started["routes"]) == (4096, 0)
    lease = site.automations("status")["daemon"]
    assert set(lease) == {"leaseId", "pid", "hostname", "heartbeatAt", "expiresAt", "active", "metadata"}
    assert (lease["active"], lease["pid"], lease["leaseId"]) == (True, process.pid, started["leaseId"])
    process.terminate()
    assert process.wait(timeout=PATIENCE) == 0
    assert left_behind(site) == NOTHING


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_either_signal_ends_a_running_daemon_with_zero(site: Site, number: signal.Signals) -> None:
    process, started = site.start("run")
    assert set(started) == STARTED | {"once"}
    process.send_signal(number)
    assert process.wait(timeout=PATIENCE) == 0
    assert left_behind(site) == NOTHING


def test_a_daemon_lives_on_when_nobody_reads_what_it_announces(site: Site) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen(
        [BIN / "automations-daemon", "run"], env=site.environment, stdout=writing, stderr=subprocess.DEVNULL, text=True
    )
    os.close(writing)
    site.daemons.append(process)
    until(lambda: site.automations("status")["daemon"]["active"], what="the daemon has its lease")
    process.terminate()
    assert process.wait(timeout=PATIENCE) == 0
    assert left_behind(site) == NOTHING


def test_a_second_daemon_is_refused_by_the_name_of_the_first(site: Site) -> None:
    first, _ = site.start("run")
    for words in (("run",), ("run", "--once"), ("serve", "--port", "0")):
        second = daemon(site, *words)
        assert (second.returncode, second.stdout) == (6, "")
        assert f"process {first.pid}" in second.stderr.splitlines()[0]
        assert f"kill {first.pid}" in second.stderr.splitlines()[1]
        assert len(second.stderr.splitlines()) == 2
    assert first.poll() is None
    assert site.automations("status")["daemon"]["pid"] == first.pid


def test_after_a_kill_the_next_daemon_starts_at_once(site: Site) -> None:
    """Neither the pid file nor the lease of a dead process is waited for, although the lease has an hour to go."""
    first, started = site.start("run", "--ttl-ms", "3600000")
    first.kill()
    first.wait(timeout=PATIENCE)
    assert (site.folder / "root" / "daemon.pid").exists()
    second, again = site.start("run", "--ttl-ms", "3600000")
    assert again["leaseId"] != started["leaseId"]
    second.terminate()
    assert second.wait(timeout=PATIENCE) == 0
    assert left_behind(site) == NOTHING


def test_a_port_that_is_taken_is_one_line_and_leaves_nothing_behind(site: Site, tmp_path: Path) -> None:
    process, started = site.start("serve", "--port", "0")
    other = Site(tmp_path / "other", {**site.environment, "HASNA_AUTOMATIONS_DIR": str(tmp_path / "other-root")})
    other.write("a.yaml", SPEC.format(id="a", type="ticket"))
    refused = daemon(other, "serve", "automations.d", "--port", str(started["port"]))
    assert (refused.returncode, refused.stdout) == (1, "")
    message, hint = refused.stderr.splitlines()
    assert f"port {started['port']} on 127.0.0.1 is in use: it is held by another automations daemon" in message
    assert "--port" in hint
    assert not (tmp_path / "other-root" / "daemon.pid").exists()
    status = other.automations("status")
    assert (status["daemon"], status["sources"], other.automations("list")) == ({"active": False}, [], [])
    process.terminate()
    assert process.wait(timeout=PATIENCE) == 0


def test_a_directory_that_is_not_there_keeps_the_daemon_up_and_is_told_in_status(automations: CommandLine) -> None:
    ended = automations("--json", "run", "--once", "nowhere", daemon=True)
    assert ended.status == 0
    (source,) = automations.json("status")["sources"]
    assert (source["sync"], source["conditions"]["Source"]["reason"]) == ("Unknown", "Missing")
    assert "nowhere is not there" in automations("status").out
