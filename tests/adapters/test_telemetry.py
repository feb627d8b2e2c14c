"""Telemetry: every subscriber sees every event; a log line is one line, whatever is in it."""

import io
import json
from collections.abc import Mapping
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.adapters.telemetry import VALUE_LIMIT, LogLines, Telemetry, json_line, text_line

AT = 1_732_321_772_543_210
TIME = "2024-11-23T00:29:32.543Z"
NASTY = st.text(st.characters(codec="utf-8") | st.sampled_from('\n\r\x1b\x85\u2028\u202e\x9b\x7f\0"\\= '), max_size=40)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_every_subscriber_sees_every_event_even_when_one_fails() -> None:
    seen: list[tuple[str, Mapping[str, Any]]] = []

    def broken(event: str, fields: Mapping[str, Any]) -> None:
        raise RuntimeError(event)

    telemetry = Telemetry(broken)
    telemetry.subscribe(lambda event, fields: seen.append((event, fields)))
    telemetry.emit("run.materialized", event="e1", count=2)
    assert seen == [("run.materialized", {"event": "e1", "count": 2})]


def test_values_are_scalars_and_bounded() -> None:
    seen: list[Mapping[str, Any]] = []
    telemetry = Telemetry(lambda _, fields: seen.append(fields))
    telemetry.emit("x", payload={"secret": "canary"}, raw=b"canary", long="a" * 1000, none=None, yes=True)
    assert seen[0]["payload"] == "<dict>"
    assert seen[0]["raw"] == "<bytes>"
    assert len(seen[0]["long"]) == VALUE_LIMIT
    assert seen[0]["none"] is None
    assert seen[0]["yes"] is True


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "k=plain"),
        ("größe", "k=größe"),
        ("two words", 'k="two words"'),
        ("", 'k=""'),
        ('say "hi"', 'k="say \\"hi\\""'),
        ("a=b", 'k="a=b"'),
        ("a\nb", 'k="a\\nb"'),
        ("\x1b[31m", 'k="\\u001b[31m"'),
        ("\x9b", 'k="\\u009b"'),
        ("\x7f", 'k="\\u007f"'),
        ("\u2028\u202e", 'k="\\u2028\\u202e"'),
        ("\ud800", 'k="\\ud800"'),
        (7, "k=7"),
        (True, "k=true"),
        (None, "k=null"),
        (0.5, "k=0.5"),
    ],
)
def test_a_terminal_line_shows_values_quoted_where_they_need_it(value: Any, shown: str) -> None:
    assert text_line("a.b", {"k": value}, at=AT) == f"{TIME} a.b {shown}\n"


@given(NASTY, NASTY)
def test_no_value_can_forge_a_line_or_a_control_character(name: str, value: str) -> None:
    for line in (text_line("e", {name: value}, at=AT), json_line("e", {name: value}, at=AT)):
        assert line.endswith("\n")
        assert len(line.splitlines()) == 1
        assert line[:-1].isprintable()


@given(NASTY)
def test_a_json_line_reads_back_as_what_was_told(value: str) -> None:
    assert json.loads(json_line("e", {"v": value}, at=AT)) == {"time": TIME, "event": "e", "v": value}


def test_a_field_cannot_replace_time_or_event() -> None:
    assert json.loads(json_line("e", {"time": 1, "event": "x", "a": 1}, at=AT)) == {"time": TIME, "event": "e", "a": 1}


def test_json_is_for_programs_and_words_are_for_terminals_unless_told() -> None:
    for stream, as_json, json_written in [
        (io.StringIO(), None, True),
        (Terminal(), None, False),
        (Terminal(), True, True),
        (io.StringIO(), False, False),
    ]:
        LogLines(stream, lambda: AT, as_json=as_json)("e", {})
        assert stream.getvalue().startswith("{") is json_written


def test_lines_of_many_threads_stay_whole() -> None:
    stream = io.StringIO()
    log = LogLines(stream, lambda: AT)

    def write(number: int) -> None:
        for _ in range(100):
            log("e", {"n": number, "pad": "x" * 200})

    threads = [Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 600
    assert sorted(json.loads(line)["n"] for line in lines) == sorted(list(range(6)) * 100)


def test_a_closed_or_narrow_stream_raises_nothing() -> None:
    closed = io.StringIO()
    log = LogLines(closed, lambda: AT)
    closed.close()
    log("e", {})
    LogLines(closed, lambda: AT)("e", {})
    raw = io.BytesIO()
    narrow = io.TextIOWrapper(raw, encoding="ascii")
    LogLines(narrow, lambda: AT, as_json=False)("e", {"k": "größe"})
    assert raw.getvalue() == TIME.encode() + b" e k=gr\\xf6\\xdfe\n"
