"""How a command line is read: global options anywhere, both spellings, one reading by two parsers, no surprise ever."""

import shlex
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from automations.cli import quick
from automations.cli.application import run as run_typer
from automations.cli.command import Command, Option
from automations.cli.globals import GLOBAL_OPTIONS, lift
from automations.cli.registry import FILES, GROUPS, among, daemon_commands, every_command
from automations.errors import UsageError
from command_line import CommandLine, with_run

STAYING = {("worker",), ("runs", "watch")}
"""Commands that end by a signal; their words are the end-to-end tests'."""
QUICK = {command.name: command for command in every_command() if command.quick}
PATIENT = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize(
    "line",
    [
        "--json status",
        "-j status",
        "status --json",
        "status -j",
        "--json --dir {elsewhere} status",
        "--dir={elsewhere} status -j",
        "status --dir {elsewhere} --json",
        "status --dir={elsewhere} -j",
        "--actor ada status -j --store=sqlite:///{elsewhere}/other.db",
        "-j -- status",
    ],
)
def test_global_options_stand_before_or_after_the_command_in_both_spellings(
    automations: CommandLine, line: str
) -> None:
    elsewhere = automations.folder / "elsewhere"
    elsewhere.mkdir()
    ended = automations(*shlex.split(line.format(elsewhere=elsewhere)))
    assert (ended.status, ended.err) == (0, "")
    root = elsewhere if "--dir" in line else automations.root
    assert ended.document["dataDir"] == str(root)
    store = elsewhere / "other.db" if "--store" in line else root / "automations.db"
    assert ended.document["dbPath"] == str(store)
    assert store.exists()


def test_an_option_keeps_its_value_even_when_that_looks_like_a_global_option() -> None:
    lifted = lift(["queue", "fail", "x", "--message", "--json"], valued=frozenset({"--message"}))
    assert not lifted.json
    assert lifted.rest == ("queue", "fail", "x", "--message", "--json")


def test_the_value_of_a_global_option_is_not_taken_for_the_command(automations: CommandLine) -> None:
    """A runner named `runs` reports a failure whose message is `--json`."""
    ended = automations("--actor", "runs", "queue", "fail", "nope", "--message", "--json")
    assert ended.status == 1
    assert ended.err.startswith("automations: queued action not found: nope")


@pytest.mark.parametrize("name", [option.name for option in GLOBAL_OPTIONS if option.kind == "text"])
@pytest.mark.parametrize("form", ["{} status", "status {}", "{}= status", "{} '' status"])
def test_a_global_option_without_a_value_is_a_usage_error(automations: CommandLine, name: str, form: str) -> None:
    ended = automations(*shlex.split(form.format(name)))
    if form == "{} status" and name == "--config":  # a file that is not there
        said = f"automations: status is not there (looked in {automations.folder})"
        assert (ended.status, ended.err.splitlines()[0]) == (1, said)
    elif form == "{} status":  # `status` is its value, and then there is no command: help
        assert (ended.status, ended.out[:6]) == (0, "Usage:")
    else:
        assert (ended.status, ended.out) == (2, "")
        assert ended.err.startswith(f"automations: {name} requires a value")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("bogus", "No such command 'bogus'."),
        ("queue bogus", "No such command 'bogus'."),
        ("status extra", "Got unexpected extra argument (extra)"),
        ("plan one two", "Got unexpected extra argument (two)"),
        ("queue claim --bogus", "No such option: --bogus"),
        ("plan --bogus", "No such option: --bogus"),
        ("queue claim --limit", "--limit requires a value"),
        ("queue claim --limit many", "--limit takes a whole number of at most 18 digits, not 'many'"),
        ("apply --allow-deletes 1.0", "--allow-deletes takes a whole number of at most 18 digits, not '1.0'"),
        ("queue claim --limit 0", "--limit takes 1 to 1000, not 0"),
        ("queue claim --lease-ms 0", "--lease-ms takes 1 to 86400000, not 0"),
        ("queue fail x --retryable maybe", "--retryable takes true or false, not 'maybe'"),
        ("queue complete", "queue complete requires an action id"),
        ("show", "show requires an automation id"),
        ("runs list --status odd", "no run has the status odd"),
        ("plan --format odd", "unknown format: odd"),
        ("schema odd", "unknown schema: odd"),
        ("events send", "events send takes a file (or - for standard input), or --event-json"),
        ("events send x --event-json {}", "events send takes a file (or - for standard input), or --event-json"),
        ("plan --detailed-exitcode=yes", "Option '--detailed-exitcode' does not take a value."),
    ],
)
def test_what_is_not_understood_is_one_line_with_a_next_step_and_exit_two(
    automations: CommandLine, line: str, said: str
) -> None:
    ended = automations(*line.split())
    assert (ended.status, ended.out) == (2, "")
    first, *rest = ended.err.splitlines()
    assert first.startswith(f"automations: {said}")
    assert len(rest) <= 1
    error = automations.refused(*line.split(), status=2)
    assert error["code"] == "usage"
    assert error["error"].startswith(said)


def test_a_group_without_a_command_shows_its_help_but_not_to_a_program(automations: CommandLine) -> None:
    for group in GROUPS:
        assert automations(group).out.startswith(f"Usage: automations {group} ")
        error = automations.refused(group, status=2)
        assert error["error"].startswith(f"{group} needs a command: ")


def test_the_hint_leads_to_the_nearest_help_page(automations: CommandLine) -> None:
    assert automations.refused("plan", "--bogus", status=2)["hint"] == "see: automations plan --help"
    assert automations.refused("queue", "odd", status=2)["hint"] == "see: automations queue --help"
    assert automations.refused("odd", status=2)["hint"] == "see: automations --help"


@pytest.mark.parametrize("words", [(), ("help",), ("-h",), ("--help",)])
def test_help_lists_every_command(automations: CommandLine, words: tuple[str, ...]) -> None:
    ended = automations(*words)
    assert (ended.status, ended.err) == (0, "")
    for word in {command.words[0] for command in every_command()}:
        assert f"\n  {word} " in ended.out


@pytest.mark.parametrize("name", [command.name for command in every_command()])
def test_every_command_has_a_help_page_that_shows_its_options(automations: CommandLine, name: str) -> None:
    command = next(each for each in every_command() if each.name == name)
    pages = {automations(*words).out for words in ((*command.words, "--help"), ("help", *command.words))}
    assert len(pages) == 1
    (page,) = pages
    assert page.startswith(f"Usage: automations {name} ")
    assert all(option.name in page for option in command.options)
    assert not automations.root.exists()


def test_the_version_is_a_word_and_an_option(automations: CommandLine) -> None:
    plain = {automations(word).out for word in ("version", "-v", "--version")}
    assert len(plain) == 1
    assert automations.json("version") == {"version": plain.pop().strip()}


REQUIRED = [(command, option) for command in every_command() for option in command.options if option.required]


@pytest.mark.parametrize(("command", "option"), REQUIRED, ids=lambda each: getattr(each, "name", ""))
def test_what_help_calls_required_is_asked_for_by_name(
    automations: CommandLine, command: Command, option: Option
) -> None:
    automations.applied(["a"])
    given = [word for each in command.options if each.required and each is not option for word in (each.name, "1h")]
    ended = automations(*command.words, *("a" for _ in command.arguments), *given)
    assert ended.status in (1, 2)
    assert option.name in ended.err
    help_page = " ".join(automations(*command.words, "--help").out.split())
    assert "[required]" in help_page.split(f"{option.name} ", 1)[1].split(" --", 1)[0]


def test_an_alias_is_the_command_by_another_name(automations: CommandLine) -> None:
    automations.write("one")
    assert automations("lint").out == automations("validate").out


def test_every_file_of_commands_is_reached_by_their_first_words() -> None:
    for command in every_command():
        assert all(word in FILES for word in (command.words[0], *command.aliases))
        assert len(command.words) == 1 or command.words[0] in GROUPS


def test_no_command_is_found_where_no_word_is() -> None:
    assert among(daemon_commands(), ()) is None


# The quick parser and typer.


def typers_reading(command: Command, words: tuple[str, ...]) -> dict[str, Any] | None:
    """What typer makes of a command's words; None for a usage error."""
    seen: list[dict[str, Any]] = []

    def record(_: Any, values: Any) -> int:
        seen.append(dict(values))
        return 0

    try:
        run_typer(
            "automations",
            [with_run(command, record)],
            words=(*command.words, *words),
            context=None,  # type: ignore[arg-type]  # the recorder needs none
        )
    except UsageError:
        return None
    return seen[0]


def quick_reading(command: Command, words: tuple[str, ...]) -> dict[str, Any] | None:
    """What the quick parser makes of them."""
    try:
        return quick.parse(command, words)
    except UsageError:
        return None


VALUES = (
    "",
    "-",
    "--",
    "a",
    "a b",
    "a=b",
    "=",
    "-5",
    "7",
    "007",
    "+7",
    " 7",
    "7.0",
    "1_0",
    "٣",
    "9" * 18,
    "9" * 19,
    "é",
    "-x",
)


def words_for(command: Command) -> st.SearchStrategy[tuple[str, ...]]:
    names = [option.name for option in command.options]
    options = st.sampled_from([*names, "--odd", "-r", "--no-runner"])
    values = st.sampled_from(VALUES)
    attached = st.tuples(options, values).map("=".join)
    piece = st.one_of(
        values.map(lambda value: (value,)), options.map(lambda name: (name,)), attached.map(lambda one: (one,))
    )
    spaced = st.tuples(options, values)
    return st.lists(st.one_of(piece, spaced), max_size=5).map(
        lambda pieces: tuple(word for each in pieces for word in each)
    )


@pytest.mark.parametrize("name", QUICK)
def test_the_quick_parser_reads_plain_use_as_typer_does(name: str) -> None:
    command = QUICK[name]
    arguments = tuple(f"the-{argument.name}" for argument in command.arguments)
    for option in command.options:
        value = {"number": "5", "text": "some text"}.get(option.kind)
        spaced = (option.name,) if value is None else (option.name, value)
        attached = (option.name,) if value is None else (f"{option.name}={value}",)
        for words in (
            (*arguments, *spaced),
            (*spaced, *arguments),
            (*arguments, *attached),
            (*spaced, *attached, *arguments),
        ):
            reading = quick_reading(command, words)
            assert reading is not None
            assert reading == typers_reading(command, words)
    assert quick_reading(command, arguments) == typers_reading(command, arguments) is not None


@pytest.mark.parametrize("name", QUICK)
def test_the_quick_parser_reads_odd_use_as_typer_does_or_both_refuse(name: str) -> None:
    command = QUICK[name]

    @settings(max_examples=25)
    @given(words=words_for(command))
    @example(words=("x", "--fence=", "--fence=5", "--limit", "odd", "--limit=5"))
    def holds(words: tuple[str, ...]) -> None:
        assert quick_reading(command, words) == typers_reading(command, words)

    holds()


# Whatever stands on the line.

PLAIN = [
    *{word for command in every_command() for word in (*command.words, *command.aliases)},
    *{option.name for command in every_command() for option in command.options},
    *(option.name for option in GLOBAL_OPTIONS),
    *("-j", "-h", "-v", "--help", "help", "version", "--", "-", "--=", "=", "", "x", "0", "-1", "99999999999999999999"),
    *("automations.d", "automations.d/one.yaml", "{}", "[1]", '{"id":"e","source":"test","type":"ticket"}', "../..x"),
    *(
        "sqlite:///here.db",
        "sqlite:",
        "mysql://x",
        "json",
        "true",
        "false",
        "\N{SNOWMAN}",
        "a\nb",
        "\udcff",
        "\x1b[31m",
    ),
]


LINES = st.tuples(
    st.lists(st.sampled_from(PLAIN), max_size=2),
    st.sampled_from([(), *(command.words for command in every_command() if command.words not in STAYING)]),
    st.lists(st.sampled_from(PLAIN), max_size=4),
).map(lambda parts: [word for part in parts for word in part])


@given(words=LINES, stdin=st.sampled_from([b"", b"{}", b"\xff\x00", b"id: x"]))
@example(words=["--json", "show", "\udcff"], stdin=b"")
@example(words=["--dir", "\udcff", "status"], stdin=b"")
@example(words=["plan", ""], stdin=b"")
@example(words=["validate", "-"], stdin=b"\xff\x00")
@settings(PATIENT, max_examples=200)
def test_no_words_bring_a_traceback_or_a_bug(automations: CommandLine, words: list[str], stdin: bytes) -> None:
    automations.write("one")
    ended = automations(*words, stdin=stdin)
    assert ended.status in {0, 1, 2, 3, 4, 5, 6}, ended
    assert "Traceback" not in ended.err
    assert "Traceback" not in ended.out
    assert not list(automations.folder.rglob("crash-*"))
