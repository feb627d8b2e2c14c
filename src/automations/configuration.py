"""Reads `automations.toml` strictly: every key known, every value fit, everything that is wrong told at once with its line.

What may stand in it is declared in `automations.settings`; this module is imported only when there is a file.
"""

import difflib
import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from automations.adapters.absent import unreadable
from automations.core.diagnostic import Diagnostic, Severity, Span, in_order
from automations.core.instant import parse_duration
from automations.errors import ConfigInvalid
from automations.settings import REQUIRED, SETTINGS, SOURCE_SETTINGS, Setting, unfit

LARGEST = 1 << 16
"""Bytes of a settings file."""
MOST_TRIES = 200
"""Lines inside values of several lines after which the places of what follows are not looked for."""

_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)\Z")
_HINT = "see docs/reference/settings.md"


class Configuration(NamedTuple):
    """What a file says: values by dotted key, and its sources in order. Paths are absolute, durations microseconds."""

    path: Path
    values: Mapping[str, Any]
    sources: tuple[Mapping[str, Any], ...]


def read(path: Path, *, holds_data: bool = False) -> Configuration:
    """Read a settings file that must be there; `holds_data` when it was found in the data root, which it cannot name.

    Raises ConfigInvalid with all that is wrong.
    """
    text = _text(path)
    try:
        found = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as problem:
        raise _broken(path, text, problem) from None
    checked = _Check(str(path), text, path.expanduser().absolute().parent)
    values, sources = checked.whole(found)
    if holds_data and "data_dir" in values:
        checked.report("config/value", ("data_dir",), "data_dir must be the folder that this file lies in, if anything")
    if checked.findings:
        raise _invalid(path, in_order(checked.findings))
    return Configuration(path.absolute(), values, sources)


def _text(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe put there must not hang us
        with open(descriptor, "rb") as file:  # noqa: PTH123  # a descriptor
            if not stat.S_ISREG(os.fstat(descriptor).st_mode) and str(path) != os.devnull:
                raise ConfigInvalid(f"{path} is no plain file", hint="name a settings file with --config")
            raw = file.read(LARGEST + 1)
    except OSError as problem:
        hint = "name a settings file with --config or AUTOMATIONS_CONFIG"
        raise ConfigInvalid(unreadable(path, problem).message, hint=hint) from problem
    if len(raw) > LARGEST:
        raise ConfigInvalid(f"{path} is larger than {LARGEST} bytes", hint="it holds settings only")
    try:
        return raw.decode()
    except UnicodeDecodeError as problem:
        line = raw.count(b"\n", 0, problem.start) + 1
        raise ConfigInvalid(f"{path}:{line}: the file is not UTF-8", hint="save it as UTF-8") from problem


def _broken(path: Path, text: str, problem: Exception) -> ConfigInvalid:
    message = str(problem) if isinstance(problem, ValueError) else "the file is nested too deeply"
    place = _PLACE.search(message)
    span = Span(str(path), text.count("\n") + 1)
    if place:
        message = message[: place.start()]
        span = Span(str(path), int(place[1]), int(place[2])) if place[1] else span
    what = message[:1].lower() + message[1:]
    finding = Diagnostic("config/syntax", Severity.ERROR, what, span, (), "The file is TOML: texts stand in quotes.")
    return _invalid(path, (finding,))


def _invalid(path: Path, findings: tuple[Diagnostic, ...]) -> ConfigInvalid:
    return ConfigInvalid(f"{path} is not a usable settings file", findings, hint=_HINT)


class _Check:
    """Goes through one parsed file; `findings` is what is wrong so far."""

    def __init__(self, file: str, text: str, folder: Path) -> None:
        self.findings: list[Diagnostic] = []
        self._file = file
        self._text = text
        self._folder = folder
        self._lines: dict[tuple[str | int, ...], int] | None = None

    def whole(self, found: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Mapping[str, Any], ...]]:
        """The checked values of a file and its checked sources."""
        tables = {setting.key.partition(".")[0] for setting in SETTINGS if "." in setting.key}
        values: dict[str, Any] = {}
        plain = {key: value for key, value in found.items() if key not in tables and key != "source"}
        values |= self._table((), plain, _named(""), {*tables, "source"})
        for table in sorted(tables & found.keys()):
            if isinstance(found[table], dict):
                inner = self._table((table,), found[table], _named(f"{table}."), set())
                values |= {f"{table}.{key}": value for key, value in inner.items()}
            else:
                self.report("config/value", (table,), f"{table} must be a table: [{table}]")
        return values, self._sources(found)

    def _sources(self, found: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
        tables = found.get("source", [])
        if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
            self.report("config/value", ("source",), "source must be tables, one for each directory: [[source]]")
            return ()
        if tables and "specs" in found:
            self.report("config/source", ("specs",), "specs is one source in short; it cannot stand beside [[source]]")
        checked = []
        names: set[str] = set()
        settings = {setting.key: setting for setting in SOURCE_SETTINGS}
        for index, each in enumerate(tables):
            path = ("source", index)
            values = self._table(path, each, settings, set())
            for key in REQUIRED:
                if key not in each:
                    self.report("config/source", path, f"this [[source]] has no {key}")
            if values.get("name") in names:
                self.report("config/source", (*path, "name"), f"another [[source]] is called {values['name']} already")
            names |= {values["name"]} if "name" in values else set()
            checked.append(values)
        return tuple(checked)

    def _table(
        self, path: tuple[str | int, ...], table: Mapping[str, Any], settings: Mapping[str, Setting], others: set[str]
    ) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in table.items():
            setting = settings.get(key)
            if setting is None:
                self._unknown((*path, key), {*settings, *others})
            elif problem := unfit(setting, value):
                self.report("config/value", (*path, key), f"{key} {problem}")
            else:
                values[key] = self._meant(setting, value)
        return values

    def _meant(self, setting: Setting, value: Any) -> Any:
        if setting.kind == "path":
            return str(self._folder / Path(value).expanduser())
        return parse_duration(value) if setting.kind == "duration" else value

    def _unknown(self, path: tuple[str | int, ...], known: set[str]) -> None:
        plain = {each.replace("_", ""): each for each in sorted(known)}
        close = difflib.get_close_matches(_plain(str(path[-1])), plain, n=1, cutoff=0.7)
        elsewhere = [each.key for each in SETTINGS if each.key.rpartition(".")[2] == path[-1]]
        hint = f"did you mean {plain[close[0]]}?" if close else f"known here: {', '.join(sorted(known))}"
        if not close and elsewhere:
            table, _, key = elsewhere[0].rpartition(".")
            hint = f"{key} belongs into [{table}]" if table else f"{key} belongs to the top, before the first table"
        self.report("config/unknown-key", path, f"unknown key {path[-1]}", hint=hint)

    def report(self, code: str, path: tuple[str | int, ...], message: str, *, hint: str = _HINT) -> None:
        """Note that something is wrong at a path."""
        if self._lines is None:  # worked out for a file with something wrong in it
            self._lines = {}
            for place, line in _places(self._text):
                self._lines.setdefault(place, line)
        span = Span(self._file, self._lines.get(path, 1))
        self.findings.append(Diagnostic(code, Severity.ERROR, message, span, path, hint))


def _named(prefix: str) -> dict[str, Setting]:
    """Settings of one table by their key in it; of the top for an empty prefix."""
    inside = {each.key.removeprefix(prefix): each for each in SETTINGS if each.key and each.key.startswith(prefix)}
    return {key: each for key, each in inside.items() if "." not in key}


def _plain(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")


def _places(text: str) -> Iterator[tuple[tuple[str | int, ...], int]]:
    """Every path in a file that parses, with the line on which its statement begins.

    TOML's parser keeps no places, but every statement of a file is a file: a key with its value, or the header of a table.
    Values of very many lines are not followed to their end, because each further line is another try.
    """
    tries = MOST_TRIES
    table: tuple[str | int, ...] = ()
    counts: dict[tuple[str | int, ...], int] = {}
    statement, begun = "", 1
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        begun = begun if statement else number
        statement += line
        try:
            found = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:  # it goes on
            tries -= 1
            if not tries:
                return
            continue
        if statement.lstrip().startswith("["):
            table = _header(found, counts)
            yield from ((table[:depth], begun) for depth in range(1, len(table) + 1))
        else:
            yield from (((*table, *path), begun) for path in _paths(found))
        statement = ""


def _header(found: Mapping[str, Any], counts: dict[tuple[str | int, ...], int]) -> tuple[str | int, ...]:
    """The path of the table that a header begins: `[a.b]` is (a, b), the second `[[a]]` is (a, 1)."""
    table: tuple[str | int, ...] = ()
    inner: Any = found
    while isinstance(inner, dict) and inner:
        ((name, inner),) = inner.items()
        table = (*table, name)
    if isinstance(inner, list):
        counts[table] = counts.get(table, -1) + 1
        table = (*table, counts[table])
    return table


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield from _paths(each, (*path, key))
