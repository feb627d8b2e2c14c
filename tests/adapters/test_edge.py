"""Around an executor: secrets come at the last moment, and what goes wrong there tells nothing of them."""

from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

import samples
from automations.adapters.executors.edge import AtTheEdge
from automations.adapters.executors.http import Http
from automations.adapters.executors.local_shell import LocalShell
from automations.adapters.secrets import EnvironmentSecrets
from automations.core.expression.template import INPUT_ROOTS, compile_template
from automations.core.run.execution import Failed, Invocation, Outcome, Succeeded

CANARY = "canary-0123456789"


class Spy:
    """An executor that keeps what it got, and fails if it is told to."""

    kind = "local-shell"

    def __init__(self, problem: Exception | None = None) -> None:
        self.got: list[Invocation] = []
        self._problem = problem

    def execute(self, invocation: Invocation, _: Event) -> Outcome:
        self.got.append(invocation)
        if self._problem:
            raise self._problem
        return Succeeded()


def asked(text: str = "${{ secrets.TOKEN }}", /, **config: object) -> Invocation:
    template = compile_template({"token": text}, roots=INPUT_ROOTS)
    return replace(samples.invocation("local-shell", config, **template.render({})), secrets=template.secrets())


def run(spy: Spy, invocation: Invocation, environment: dict[str, str], directory: str | None = None) -> Outcome:
    secrets = EnvironmentSecrets(environment, directory)
    return AtTheEdge(spy, secret=secrets.value, known_secrets=secrets.known).execute(invocation, Event())


def test_the_executor_gets_the_value_and_nobody_else() -> None:
    spy, given = Spy(), asked("Bearer ${{ secrets.TOKEN }}")
    run(spy, given, {"HASNA_AUTOMATIONS_SECRET_TOKEN": CANARY})
    assert spy.got[0].input == {"token": f"Bearer {CANARY}"}
    assert CANARY not in repr(given)


@pytest.mark.parametrize(
    ("environment", "directory", "words"),
    [
        ({}, None, ["no secret TOKEN", "HASNA_AUTOMATIONS_SECRET_TOKEN", "AUTOMATIONS_SECRETS_DIR is not set"]),
        ({"HASNA_AUTOMATIONS_SECRET_TOKEN": ""}, "/nowhere", ["the file TOKEN in /nowhere"]),
        ({"HASNA_AUTOMATIONS_SECRET_TOKEN": "\udcff\udcfe"}, None, ["not UTF-8"]),
    ],
)
def test_a_secret_that_cannot_be_had_fails_for_good_and_says_where_it_was_looked_for(
    environment: dict[str, str], directory: str | None, words: list[str]
) -> None:
    spy = Spy()
    result = run(spy, asked(), environment, directory)
    assert isinstance(result, Failed)
    assert (result.code, result.retryable) == ("SECRET_UNAVAILABLE", False)
    assert all(word in result.message for word in words), result.message
    assert spy.got == []


def test_a_template_of_the_binding_that_fails_is_told_without_the_secret() -> None:
    config = {"env": {"A": "${{ input.token + 1 }}"}}
    result = run(Spy(), asked(**config), {"HASNA_AUTOMATIONS_SECRET_TOKEN": CANARY})
    assert isinstance(result, Failed)
    assert (result.code, result.retryable) == ("EXPRESSION_ERROR", False)
    assert CANARY not in repr(result)


def test_a_bug_tells_nothing_of_what_was_filled_in() -> None:
    result = run(Spy(ValueError(f"bad {CANARY}")), asked(), {"HASNA_AUTOMATIONS_SECRET_TOKEN": CANARY})
    assert isinstance(result, Failed)
    assert (result.code, result.retryable) == ("EXECUTOR_ERROR", True)
    assert "[redacted]" in result.message
    assert CANARY not in repr(result)


PAYLOADS = [
    "$(touch x)",
    "`touch x`",
    "; touch x",
    "a\nb; touch x",
    "&& touch x",
    "-c",
    "\U0001f4a5\u2028",
    "%s%n",
    "x" * 100_000,
]


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_data_in_a_variable_stays_data_even_where_a_shell_reads_it(tmp_path: Path, payload: str) -> None:
    shell = LocalShell(tmp_path, {"PATH": "/usr/bin:/bin"})
    config = {
        "command": "sh",
        "args": ["-c", 'printf "%s" "$BRANCH"'],
        "env": {"BRANCH": "${{ input.branch }}"},
        "outputMode": "text",
    }
    edge = AtTheEdge(shell, secret=EnvironmentSecrets({}, None).value, known_secrets=lambda: ())
    result = edge.execute(samples.invocation("local-shell", config, branch=payload), Event())
    assert isinstance(result, Succeeded), result
    assert result.output == payload
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("payload", ["a\0b", "x" * 1_000_000])
def test_data_that_no_variable_can_hold_fails_for_good(tmp_path: Path, payload: str) -> None:
    config = {"command": "true", "env": {"BRANCH": "${{ input.branch }}"}}
    edge = AtTheEdge(LocalShell(tmp_path, {}), secret=EnvironmentSecrets({}, None).value, known_secrets=lambda: ())
    result = edge.execute(samples.invocation("local-shell", config, branch=payload), Event())
    assert isinstance(result, Failed)
    assert (result.code in {"CANNOT_START", "EXPRESSION_ERROR"}, result.retryable) == (True, False)


def test_data_in_a_header_cannot_begin_another_one() -> None:
    config = {"method": "GET", "url": "https://example.com/", "headers": {"X-A": "${{ input.a }}"}}
    http = Http(lambda: 0, resolve=lambda *_: pytest.fail("nothing is looked up"))
    edge = AtTheEdge(http, secret=EnvironmentSecrets({}, None).value, known_secrets=lambda: ())
    result = edge.execute(samples.invocation("http", config, a="x\r\nX-Admin: 1"), Event())
    assert isinstance(result, Failed)
    assert (result.code, result.retryable) == ("BINDING_INVALID", False)
    assert "X-Admin" not in result.message
