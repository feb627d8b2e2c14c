"""Where every failure becomes a line and an exit status: errors, bugs, and surroundings that are not as they should be."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from automations import errors
from automations.cli import main as entry
from automations.cli import spec
from command_line import CommandLine, with_run

BIN = Path(sys.executable).parent


def process(
    automations: CommandLine, *words: str, program: str = "automations", **options: Any
) -> subprocess.CompletedProcess[bytes]:
    """The real program."""
    settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run([BIN / program, *words], cwd=automations.folder, timeout=60, check=False, **settings)


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (["show", "nope"], 1, "not_found"),
        (["runs", "show", "nope"], 1, "not_found"),
        (["queue", "complete", "nope"], 1, "not_found"),
        (["queue", "complete", "nope", "--result-json", "{"], 1, "malformed_json"),
        (["queue", "complete", "nope", "--result-json", "[]"], 1, "malformed_json"),
        (["events", "send", "--event-json", "{"], 1, "malformed_json"),
        (["events", "send", "--event-json", '{"id":"e"}'], 1, "invalid_input"),
        (["events", "send", "nope.json"], 1, "file_unreadable"),
        (["plan", "nope"], 1, "source_untrusted"),
        (["plan"], 1, "source_untrusted"),
        (["validate", "nope"], 1, "file_unreadable"),
        (["--store", "mysql://x", "status"], 1, "invalid_input"),
        (["bogus"], 2, "usage"),
    ],
)
def test_an_error_under_json_is_one_document_on_stderr_and_nothing_on_stdout(
    automations: CommandLine, words: list[str], status: int, code: str
) -> None:
    error = automations.refused(*words, status=status)
    assert error["code"] == code
    assert error["hint"]
    assert "\n" not in error["error"]


def test_an_error_for_a_person_is_one_line_and_the_next_step_on_the_line_below(automations: CommandLine) -> None:
    ended = automations("show", "nope")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err == "automations: automation not found: nope\n  see: automations list\n"


def test_json_asked_for_after_the_command_counts_for_errors_too(automations: CommandLine) -> None:
    assert automations("show", "nope", "-j").error["code"] == "not_found"
    assert automations("--json", "--dir").error["code"] == "usage"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.AutomationsError, 1),
        (errors.UsageError, 2),
        (errors.InvalidInput, 1),
        (errors.SpecInvalid, 1),
        (errors.NotFound, 1),
        (errors.Conflict, 1),
        (errors.Refused, 4),
        (errors.StalePlan, 5),
        (errors.LockNotHeld, 6),
        (errors.StoreUnavailable, 1),
        (errors.StoreIncompatible, 1),
        (errors.SecretUnavailable, 1),
    ],
)
def test_every_error_has_its_exit_status(
    automations: CommandLine, monkeypatch: pytest.MonkeyPatch, kind: type[errors.AutomationsError], status: int
) -> None:
    failing(monkeypatch, kind("it is so", hint="do this"))
    ended = automations("spec", "example")
    assert (ended.status, ended.out, ended.err) == (status, "", "automations: it is so\n  do this\n")
    assert automations.refused("spec", "example", status=status) == {
        "ok": False,
        "error": "it is so",
        "code": kind.code,
        "hint": "do this",
    }


def failing(monkeypatch: pytest.MonkeyPatch, problem: BaseException) -> None:
    """Let `spec example` raise."""

    def run(_: Any, __: Mapping[str, Any]) -> int:
        raise problem

    monkeypatch.setattr(spec, "COMMANDS", tuple(with_run(each, run) for each in spec.COMMANDS))


def test_an_interrupt_exits_130_and_says_nothing(automations: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, KeyboardInterrupt())
    ended = automations("spec", "example")
    assert (ended.status, ended.out, ended.err) == (130, "", "")


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_bug_writes_a_report_into_the_data_root_names_it_and_exits_70(
    automations: CommandLine, monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    failing(monkeypatch, ZeroDivisionError("the reason"))
    root = automations.folder / "elsewhere" if elsewhere else automations.root
    words = ["--dir", str(root)] if elsewhere else []
    ended = automations(*words, "spec", "example")
    (file,) = root.glob("crash-*.txt")
    assert (ended.status, ended.out) == (70, "")
    assert ended.err == f"automations: this is a bug: ZeroDivisionError: the reason\n  a crash report is in {file}\n"
    report = file.read_text()
    assert "command: spec example" in report
    assert "Traceback" in report
    assert file.stat().st_mode & 0o077 == 0
    assert automations.refused(*words, "spec", "example", status=70)["code"] == "internal_error"


def test_a_report_keeps_no_values_of_options(automations: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry, "_run", lambda *_, **__: 1 // 0)
    assert automations("queue", "fail", "a-1", "--message", "hunter2-canary " * 5).status == 70
    (file,) = automations.root.glob("crash-*.txt")
    assert "hunter2-canary" not in file.read_text()


def test_a_bug_where_nothing_can_be_written_to_the_data_root_is_reported_elsewhere(
    automations: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    automations.root.write_text("in the way")
    other = automations.folder / "temporary"
    other.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(other))
    failing(monkeypatch, ZeroDivisionError())
    assert automations("spec", "example").status == 70
    assert len(list(other.glob("crash-*.txt"))) == 1
    monkeypatch.setattr("tempfile.tempdir", str(automations.root))
    assert "no place to write a crash report" in automations("spec", "example").err


@pytest.mark.parametrize(
    ("root", "said"),
    [
        ("~nobody-of-this-name/x", "begins with a home directory that is not known"),
        ("\udcff", "is not UTF-8"),
        ("in-the-way/below", "cannot be opened"),
        ("in-the-way", "cannot be opened"),
    ],
)
@pytest.mark.parametrize("by_option", [False, True])
def test_a_data_root_that_cannot_be_one_is_one_clear_line(
    automations: CommandLine, monkeypatch: pytest.MonkeyPatch, root: str, said: str, by_option: bool
) -> None:
    (automations.folder / "in-the-way").write_text("a file")
    if not by_option:
        monkeypatch.setenv("HASNA_AUTOMATIONS_DIR", root)
    ended = automations(*(["--dir", root] if by_option else []), "status")
    assert (ended.status, ended.out) == (1, "")
    assert said in ended.err.splitlines()[0]
    assert len(ended.err.splitlines()) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unwritable for root")
def test_an_unwritable_data_root_is_one_clear_line(automations: CommandLine) -> None:
    automations.root.mkdir(mode=0o500)
    error = automations.refused("status", status=1)
    assert str(automations.root) in error["error"]


def test_a_foreign_database_is_refused_and_left_as_it_was(automations: CommandLine) -> None:
    automations.root.mkdir()
    file = automations.root / "automations.db"
    file.write_bytes(b"not a database at all " * 500)
    error = automations.refused("status", status=1)
    assert error["code"] == "store_incompatible"
    assert file.read_bytes() == b"not a database at all " * 500


# The real program in odd surroundings.


@pytest.mark.parametrize("words", [("--json", "status"), ("schema",), ("help",), ("spec", "example"), ("bogus",)])
def test_a_reader_that_went_away_is_not_complained_about(automations: CommandLine, words: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = process(automations, *words, stdout=writing)
    os.close(writing)
    assert b"Traceback" not in ended.stderr
    assert b"BrokenPipe" not in ended.stderr
    assert ended.returncode in {0, 1, 2}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("words", [("--json", "status"), ("schema",), ("spec", "example")])
def test_a_full_disk_behind_the_output_is_an_error_and_no_bug(automations: CommandLine, words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        ended = process(automations, *words, stdout=full)
        silent = process(automations, *words, stdout=full, stderr=full)
    assert ended.returncode == silent.returncode == 1
    assert b"cannot write the output: No space left on device" in ended.stderr
    assert len(ended.stderr.splitlines()) <= 2
    assert not list(automations.root.glob("crash-*"))


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("plan >&-", 0),
        ("plan 2>&-", 0),
        ("validate - <&-", 1),
        ("apply <&-", 4),
        ("status <&- >&- 2>&-", 0),
        ("bogus 2>&-", 2),
        ("events send - <&-", 1),
    ],
)
def test_closed_streams_are_empty_ones(automations: CommandLine, line: str, status: int) -> None:
    automations.write("one")
    ended = subprocess.run(
        ["sh", "-c", f"{BIN / 'automations'} {line}"],
        cwd=automations.folder, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == status, ended.stderr
    assert not list(automations.root.glob("crash-*"))


@pytest.mark.parametrize("line", ["plan", "--dir relative status", "apply"])
def test_a_current_directory_that_is_gone_is_told(automations: CommandLine, line: str) -> None:
    gone = automations.folder / "gone"
    ended = subprocess.run(
        ["sh", "-c", f"mkdir {gone} && cd {gone} && rmdir {gone} && exec {BIN / 'automations'} {line}"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("automations: the current directory is gone\n")


def test_words_that_are_not_text_are_taken_as_they_are(automations: CommandLine) -> None:
    ended = subprocess.run(
        [os.fsencode(BIN / "automations"), b"--json", b"show", b"\xff\xfe"],
        cwd=automations.folder, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert json.loads(ended.stderr)["ok"] is False


def test_a_terminal_that_cannot_show_a_character_gets_it_escaped(automations: CommandLine) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    ended = process(automations, "show", "\N{SNOWMAN}", env=environment)
    assert ended.stderr.startswith(b"automations: automation not found: \\u2603")
