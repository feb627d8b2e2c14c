"""Around an executor: secrets come at the last moment, and what goes wrong there tells nothing of them."""

from dataclasses import replace
from threading import Event

import pytest

import samples
from automations.adapters.executors.edge import AtTheEdge
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


def asked(text: str = "${{ secrets.TOKEN }}", **config: object) -> Invocation:
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
