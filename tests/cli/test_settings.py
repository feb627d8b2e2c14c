"""Settings: the command line over the environment over the file over defaults; a file that is wrong is told line by line."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.configuration import read
from automations.core.instant import parse_duration
from automations.core.retention import Policy
from automations.errors import ConfigInvalid, InvalidInput
from automations.settings import (
    NOTHING_SAID,
    SETTINGS,
    SOURCE_SETTINGS,
    DaemonSettings,
    RetentionSettings,
    Setting,
    Settings,
    SourceSettings,
    Words,
    load,
)
from command_line import CommandLine

FULL = """\
data_dir = "state"
store = "postgresql://db/automations"
secrets_dir = "/run/secrets"
python = "/usr/bin/python3"
mcp_servers = "/etc/mcp.json"
actor = "ops"
log_format = "json"

[daemon]
host = "0.0.0.0"
port = 80
max_body_bytes = 2_048
worker = false
interval_ms = 1000
ttl_ms = 9000

[retention]
succeeded = "1d"
dead = "2d"
attempts = "3d"
events = "4d"
audit = "5d"

[[source]]
name = "platform"
path = "platform.d"
prune = "auto"
prune_after = "1h30m"
self_heal = true

[[source]]
name = "payments"
path = "/srv/payments.d"
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, with a data root below it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def loaded(here: Path, words: Words = NOTHING_SAID, /, **environment: str) -> Settings:
    return load({"HOME": str(here), "HASNA_AUTOMATIONS_DIR": str(here / "root"), **environment}, words)


def findings(file: Path) -> list[tuple[str, int, str]]:
    with pytest.raises(ConfigInvalid) as caught:
        read(file)
    return [(each.code, each.span.line, each.message) for each in caught.value.diagnostics]


# ------------------------------------------------------------------ what is read, and from where


def test_every_setting_can_stand_in_the_file(here: Path) -> None:
    (here / "automations.toml").write_text(FULL)
    found = load({})
    assert found.data_dir == here / "state"
    assert found.store_url == "postgresql://db/automations"
    assert (found.secrets_dir, found.actor, found.log_format) == ("/run/secrets", "ops", "json")
    assert (found.python, found.mcp_servers) == ("/usr/bin/python3", Path("/etc/mcp.json"))
    assert found.daemon == DaemonSettings("0.0.0.0", 80, 2048, worker=False, interval_ms=1000, ttl_ms=9000)  # noqa: S104  # a value
    assert found.retention == RetentionSettings(*(days * 86_400 * 1_000_000 for days in (1, 2, 3, 4, 5)))
    assert found.sources == (
        SourceSettings("platform", str(here / "platform.d"), "auto", 5400 * 1_000_000, self_heal=True),
        SourceSettings("payments", "/srv/payments.d"),
    )
    assert found.file == here / "automations.toml"
    named = {key for key, value in tomllib.loads(FULL).items() if not isinstance(value, dict | list)}
    declared = {each.key for each in SETTINGS if each.key and "." not in each.key}
    assert named == declared - {"specs"}, "which is a source in short"


def test_nothing_is_needed(here: Path) -> None:
    found = loaded(here)
    assert (found.file, found.sources, found.daemon) == (None, (), DaemonSettings())
    assert found.store_url == f"sqlite:///{here}/root/automations.db"


def test_defaults_are_those_that_the_reference_page_tells() -> None:
    told = {each.key.removeprefix("daemon."): each.default for each in SETTINGS if each.key.startswith("daemon.")}
    assert told == {key: str(value).lower() for key, value in DaemonSettings()._asdict().items()}
    kept = {each.key.removeprefix("retention."): each.default for each in SETTINGS if each.key.startswith("retention.")}
    assert {key: parse_duration(text) for key, text in kept.items()} == RetentionSettings()._asdict()
    assert Policy() == Policy(**RetentionSettings()._asdict())
    source = SourceSettings("x", "y")
    assert [each.default for each in SOURCE_SETTINGS[2:]] == [source.prune, "60s", str(source.self_heal).lower()]
    assert source.prune_after == 60 * 1_000_000
    assert [each.key for each in SOURCE_SETTINGS] == list(source._fields)


def test_what_is_said_nearer_wins(here: Path) -> None:
    (here / "automations.toml").write_text('store = "sqlite:///file.db"\nactor = "file"\n[daemon]\nport = 1\n')
    assert (loaded(here).store_url, loaded(here).actor, loaded(here).daemon.port) == ("sqlite:///file.db", "file", 1)
    variables = {
        "AUTOMATIONS_STORE": "sqlite:///v.db",
        "AUTOMATIONS_ACTOR": "v",
        "AUTOMATIONS_LISTEN_PORT": "2",
        "AUTOMATIONS_WORKER": "no",
    }
    found = loaded(here, **variables)
    assert (found.store_url, found.actor, found.daemon.port, found.daemon.worker) == ("sqlite:///v.db", "v", 2, False)
    found = loaded(here, Words(store="sqlite:///w.db", actor="w", directory=str(here / "w")), **variables)
    assert (found.store_url, found.actor, found.data_dir) == ("sqlite:///w.db", "w", here / "w")
    assert loaded(here, AUTOMATIONS_RETENTION_EVENTS="36h").retention.events == 36 * 3600 * 1_000_000
    assert loaded(here, AUTOMATIONS_STORE="").store_url == "sqlite:///file.db", "an empty variable says nothing"


def test_a_directory_in_the_environment_stands_for_the_sources_of_the_file(here: Path) -> None:
    (here / "automations.toml").write_text(FULL)
    assert loaded(here, AUTOMATIONS_SPECS="one.d").sources == (SourceSettings("default", "one.d"),)
    (here / "automations.toml").write_text('specs = "short.d"\n')
    assert loaded(here).sources == (SourceSettings("default", str(here / "short.d")),)


def test_one_file_is_read_the_nearest(here: Path) -> None:
    (here / "root").mkdir()
    for place in ("named.toml", "variable.toml", "automations.toml", "root/automations.toml"):
        (here / place).write_text(f'actor = "{place}"\n')
    variable = {"AUTOMATIONS_CONFIG": "variable.toml"}
    assert loaded(here, Words(config="named.toml"), **variable).actor == "named.toml"
    assert loaded(here, **variable).actor == "variable.toml"
    assert loaded(here).actor == "automations.toml"
    (here / "automations.toml").unlink()
    assert loaded(here).actor == "root/automations.toml"
    assert loaded(here, AUTOMATIONS_CONFIG=os.devnull, AUTOMATIONS_ACTOR="me").actor == "me"


def test_the_file_of_a_data_root_that_the_command_line_names_is_the_one(here: Path) -> None:
    (here / "other").mkdir()
    (here / "other" / "automations.toml").write_text('actor = "other"\n')
    assert loaded(here, Words(directory=str(here / "other"))).actor == "other"


def test_a_file_inside_the_data_root_cannot_move_it(here: Path) -> None:
    (here / "root").mkdir()
    (here / "root" / "automations.toml").write_text('data_dir = "elsewhere"\n')
    with pytest.raises(ConfigInvalid):
        loaded(here)


# ------------------------------------------------------------------ what is wrong


def test_everything_wrong_is_told_at_once_with_its_line(here: Path) -> None:
    file = here / "automations.toml"
    file.write_text(
        'sorce = "x"\n'
        "store = 5\n"
        'log_format = "xml"\n'
        "port = 7391\n"
        'note = """\n'
        "actor = 1\n"
        '"""\n'
        "\n"
        "[daemon]\n"
        "# the next line\n"
        "port = 65_536\n"
        'worker = "yes"\n'
        "max_body_bytes = true\n"
        "interval-ms = 100\n"
        "\n"
        "[[source]]\n"
        'name = "a"\n'
        'prune = "maybe"\n'
        'prune_after = "soon"\n'
        "\n"
        "[[source]]\n"
        'name = "a"\n'
        'path = ""\n'
        "[deamon]\n"
        "host = 1\n"
        "[daemon.tls]\n"
        'key = "x"\n'
    )
    assert findings(file) == [
        ("config/unknown-key", 1, "unknown key sorce"),
        ("config/value", 2, "store must be a text that is not empty, not 5"),
        ("config/value", 3, 'log_format must be one of json, text, not "xml"'),
        ("config/unknown-key", 4, "unknown key port"),
        ("config/unknown-key", 5, "unknown key note"),
        ("config/value", 11, "port must be from 0 to 65535, not 65536"),
        ("config/value", 12, 'worker must be true or false, not "yes"'),
        ("config/value", 13, "max_body_bytes must be a whole number, not true"),
        ("config/unknown-key", 14, "unknown key interval-ms"),
        ("config/source", 16, "this [[source]] has no path"),
        ("config/value", 18, 'prune must be one of off, confirm, auto, not "maybe"'),
        ("config/value", 19, 'prune_after must be a duration such as 30s or 1h30m, not "soon"'),
        ("config/source", 22, "another [[source]] is called a already"),
        ("config/value", 23, 'path must be a text that is not empty, not ""'),
        ("config/unknown-key", 24, "unknown key deamon"),
        ("config/unknown-key", 26, "unknown key tls"),
    ]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('sorce = "x"', "did you mean source?"),
        ("[deamon]", "did you mean daemon?"),
        ("[daemon]\ninterval-ms = 1", "did you mean interval_ms?"),
        ("port = 1", "port belongs into [daemon]"),
        ('[daemon]\nactor = "x"', "actor belongs to the top, before the first table"),
        ("[daemon]\nzebra = 1", "known here: host, interval_ms, max_body_bytes, port, ttl_ms, worker"),
    ],
)
def test_the_hint_of_an_unknown_key_is_the_next_step(here: Path, text: str, hint: str) -> None:
    (here / "s.toml").write_text(text)
    with pytest.raises(ConfigInvalid) as caught:
        read(here / "s.toml")
    assert [each.hint for each in caught.value.diagnostics] == [hint]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("actor = ops", 1, "invalid value"),
        ('actor = "a"\nactor = "b"', 2, "cannot overwrite a value"),
        ('store = "unfinished', 1, "unterminated string"),
        ("[daemon\n", 1, "expected ']' at the end of a table declaration"),
        ("[[source]]\n[source]\n", 2, "cannot declare ('source',) twice"),
    ],
)
def test_text_that_is_no_toml_is_told_with_its_line(here: Path, text: str, line: int, message: str) -> None:
    (here / "s.toml").write_text(text)
    assert findings(here / "s.toml") == [("config/syntax", line, message)]


@pytest.mark.parametrize(
    ("name", "fit"), [("a.b_C-9", True), ("x" * 100, True), ("x" * 101, False), ("a b", False), ("ü", False)]
)
def test_a_source_is_called_one_plain_word(here: Path, name: str, *, fit: bool) -> None:
    (here / "s.toml").write_text(f'[[source]]\npath = "y"\nname = "{name}"\n')
    if fit:
        assert loaded(here, Words(config="s.toml")).sources[0].name == name
    else:
        ((code, line, message),) = findings(here / "s.toml")
        assert (code, line) == ("config/value", 3)
        assert message.startswith("name must be of letters, digits, `.`, `_` and `-`, at most 100, not ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source = 1", "source must be tables, one for each directory: [[source]]"),
        ('[source]\nname = "x"', "source must be tables, one for each directory: [[source]]"),
        ("daemon = 1", "daemon must be a table: [daemon]"),
        (
            'specs = "a"\n[[source]]\nname = "x"\npath = "y"',
            "specs is one source in short; it cannot stand beside [[source]]",
        ),
    ],
)
def test_tables_are_tables(here: Path, text: str, message: str) -> None:
    (here / "s.toml").write_text(text)
    assert [each for _, _, each in findings(here / "s.toml")] == [message]


@pytest.mark.parametrize("name", ["missing.toml", "folder", "pipe", "binary", "large"])
def test_a_file_that_is_no_settings_file_is_an_error_and_never_hangs(here: Path, name: str) -> None:
    (here / "folder").mkdir()
    os.mkfifo(here / "pipe")
    (here / "binary").write_bytes(b'actor = "\xff"\n')
    (here / "large").write_bytes(b"#" * ((1 << 16) + 1))
    with pytest.raises(ConfigInvalid) as caught:
        loaded(here, Words(config=name))
    assert name in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("setting", [each for each in SETTINGS if each.kind in {"number", "flag"} or each.choices])
def test_a_variable_that_does_not_say_what_it_must_is_named(here: Path, setting: Setting) -> None:
    with pytest.raises(InvalidInput, match=f"^{setting.name} must be ") as caught:
        loaded(here, **{setting.name: "tcp://10.0.0.1:80"})
    assert caught.value.hint


_words = st.sampled_from(
    ["actor", "store", "daemon", "source", "port", "name", "path", "=", "[", "]", "\n", '"', "1", " "]
)


@given(st.lists(_words | st.text(max_size=3), max_size=25).map("".join))
def test_any_text_is_read_or_refused_with_lines_inside_the_file(tmp_path_factory: Any, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_text(text, encoding="utf-8", errors="replace", newline="")
    for line in lines_of_findings(file):
        assert 1 <= line <= text.count("\n") + 1


def lines_of_findings(file: Path) -> list[int]:
    try:
        read(file)
    except ConfigInvalid as problem:
        return [each.span.line for each in problem.diagnostics]
    return []


# ------------------------------------------------------------------ on the command line


def test_a_bad_file_stops_every_command_before_it_does_anything(automations: CommandLine) -> None:
    (automations.folder / "automations.toml").write_text("\nsorce = 1\n")
    ended = automations("status")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.splitlines()[:2] == [
        "automations: automations.toml is not a usable settings file",
        "  automations.toml:2:1: error: unknown key sorce [config/unknown-key]",
    ]
    assert not automations.root.exists()
    error = automations.refused("status", status=1)
    assert error["code"] == "config_invalid"
    assert error["diagnostics"][0]["hint"] == "did you mean source?"


def test_the_file_says_where_the_store_is(automations: CommandLine) -> None:
    (automations.folder / "automations.toml").write_text(f'store = "sqlite:///{automations.folder}/file.db"\n')
    assert automations.json("status")["dbPath"] == f"{automations.folder}/file.db"
    assert automations.json("status", "--config", os.devnull)["dbPath"] == f"{automations.root}/automations.db"
    assert f"{automations.folder}/automations.toml" in automations("status", "--verbose").err


def test_without_a_file_no_parser_is_imported(tmp_path: Path) -> None:
    code = "import sys; from automations.settings import load; load(); print('tomllib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_nobody_is_recorded_under_a_name_of_the_system_wherever_it_is_said(here: Path) -> None:
    for words, variables in ((Words(actor="expiry"), {}), (NOTHING_SAID, {"AUTOMATIONS_ACTOR": "expiry"})):
        with pytest.raises(InvalidInput, match="must not be expiry"):
            loaded(here, words, **variables)
    (here / "taken.toml").write_text('actor = "token:ci"\n')
    with pytest.raises(ConfigInvalid) as refused:
        loaded(here, Words(config="taken.toml"))
    (found,) = refused.value.diagnostics
    assert "must not be token:ci" in found.message


def test_an_account_that_is_called_as_the_system_is_told_from_it(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for account, recorded in (("ada", "ada"), ("automations", "user:automations"), ("a\x1bb", f"uid:{os.getuid()}")):
        monkeypatch.setenv("LOGNAME", account)
        assert loaded(here).actor == recorded
