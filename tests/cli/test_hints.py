"""Hints that tell a command to run: said so that they can be pasted, and where no daemon would carry out what was begun."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from automations.adapters.clock import SystemClock
from automations.cli.repeated import Said, repeated, said
from automations.core.instant import SECOND
from automations.services.lease import DaemonLease, Identity
from automations.settings import Words
from automations.store.open import open_database
from command_line import CommandLine

EVENT = json.dumps({"id": "e1", "source": "test", "type": "ticket"})
NO_DAEMON = "no daemon runs on this store"


def runs(automations: CommandLine) -> str:
    automations.applied(["one"])
    automations.json("events", "send", "--event-json", EVENT)
    (run,) = automations.json("runs", "list")
    return str(run["id"])


def test_who_sends_an_event_on_a_terminal_is_told_that_no_daemon_runs_and_how_to_start_one(
    automations: CommandLine,
) -> None:
    automations.applied(["one"])
    told = automations("events", "send", "--event-json", EVENT, terminal=True)
    assert told.err.splitlines() == [
        f"{NO_DAEMON}, so nothing of it goes on until one does: automations-daemon serve automations.d"
    ]
    unmatched = EVENT.replace("ticket", "other").replace("e1", "e2")
    assert NO_DAEMON not in automations("events", "send", "--event-json", unmatched, terminal=True).err


def test_a_run_that_waits_says_so_too_and_one_that_is_over_does_not(automations: CommandLine) -> None:
    run = runs(automations)
    assert NO_DAEMON in automations("runs", "show", run, terminal=True).err
    automations.json("runs", "cancel", run)
    assert NO_DAEMON not in automations("runs", "show", run, terminal=True).err


def test_neither_programs_nor_whoever_has_a_daemon_are_told_that_none_runs(automations: CommandLine) -> None:
    run = runs(automations)
    assert automations("runs", "show", run).err == ""
    assert automations("--json", "runs", "show", run, terminal=True).err == ""
    with closing(open_database(f"sqlite://{automations.root / 'automations.db'}")) as database:
        lease = DaemonLease(database, Identity("here", 1, "serve"), clock=SystemClock(), ttl=60 * SECOND)
        lease.beat()
        assert automations("runs", "show", run, terminal=True).err == ""


HERE = Said(Words(directory="/srv/a b", config="x.toml"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see: automations status", "see: automations --config x.toml --dir '/srv/a b' status"),
        ("did you mean a? see: automations list", "did you mean a? see: automations --config x.toml --dir '/srv/a b' list"),
        ("more: automations runs list --limit 1", "more: automations --config x.toml --dir '/srv/a b' runs list --limit 1"),
        ("automations resume hello", "automations --config x.toml --dir '/srv/a b' resume hello"),
        ("or: automations-daemon serve d", "or: automations-daemon --config x.toml --dir '/srv/a b' serve d"),
        ("start automations-daemon with a directory", "start automations-daemon with a directory"),
        ("3 automations go with it", "3 automations go with it"),
        ("of the original (automations status)", "of the original (automations status)"),
    ],
)  # fmt: skip
def test_a_command_in_a_hint_repeats_what_said_where(text: str, expected: str) -> None:
    assert repeated(text, HERE) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("say: automations apply --allow-deletes=4", "say: automations apply --source web --allow-deletes=4"),
        ("see: automations history one", "see: automations history one"),
        ("with: automations reconcile --source other", "with: automations reconcile --source other"),
    ],
)  # fmt: skip
def test_a_command_in_a_hint_repeats_the_source_where_it_takes_one(text: str, expected: str) -> None:
    assert repeated(text, said(Words(), ("plan", "--source", "web"))) == expected
    assert repeated(text, said(Words(), ("plan", "--source=web"))) == expected


@pytest.mark.parametrize("url", ["postgresql://me:secret@db/x", "postgresql://db/x?password=secret"])
def test_a_url_with_a_password_is_not_repeated(url: str) -> None:
    assert repeated("see: automations status", Said(Words(store=url))) == "see: automations status"


def test_errors_and_remarks_of_a_command_can_be_pasted(automations: CommandLine, tmp_path: Path) -> None:
    runs(automations)
    there = ("--dir", str(automations.root))
    lost = automations(*there, "show", "two")
    assert lost.err.splitlines()[-1] == f"  see: automations --dir {automations.root} list"
    assert automations.refused(*there, "show", "two", status=1)["hint"] == lost.err.splitlines()[-1].strip()
    told = automations("runs", "list", "--limit", "1", *there)
    assert f"more: automations --dir {automations.root} runs list --limit 1" in told.err
    assert automations("show", "two").err.splitlines()[-1] == "  see: automations list"


def test_what_a_source_waits_for_is_confirmed_where_one_asked_for_it(automations: CommandLine) -> None:
    automations.applied(["one", "two"])
    (automations.folder / "automations.toml").write_text('[[source]]\nname = "default"\npath = "automations.d"\n')
    (automations.specs / "two.yaml").unlink()
    there = ("--dir", str(automations.root))
    automations("reconcile", *there)
    told = automations("status", *there).out
    assert f"automations --dir {automations.root} reconcile --source default --confirm-deletes 1" in told
    assert "automations reconcile --source default --confirm-deletes 1" in automations("status").out
