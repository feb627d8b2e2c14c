"""What is not there: every command refuses a name in the same words and points to the list that such names stand in."""

import shlex

import pytest

from command_line import CommandLine

ACTIONS = [
    ("queue show {}", "queue list"),
    ("queue cancel {}", "queue list"),
    ("queue complete {}", "queue list"),
    ("queue fail {}", "queue list"),
    ("queue heartbeat {}", "queue list"),
    ("queue release {}", "queue list"),
    ("queue approve {}", "approvals list"),
    ("queue reject {}", "approvals list"),
    ("approvals approve {}", "approvals list"),
    ("approvals reject {}", "approvals list"),
    ("dlq show {}", "dlq list"),
    ("dlq replay {}", "dlq list"),
]
RUNS = [(f"runs {verb} {{}}", "runs list") for verb in ("show", "watch", "cancel", "replay")]
EVENTS = [("events show {}", "events list"), ("why {}", "events list")]
AUTOMATIONS = [
    (words, "list")
    for words in (
        "show {}",
        "history {}",
        "diff {}",
        "export {}",
        "rollback {} --to 1",
        "suspend {} --reason x",
        "resume {}",
        "trigger {}",
        "events near-misses {}",
        "schedules next {}",
        "schedules misfires {}",
        "schedules resume {}",
        "schedules backfill {} --from 2h --to 1h",
        "webhooks create {} --source s --type t",
    )
]
ROUTES = [
    (f"webhooks {words}", "webhooks list")
    for words in (
        "show {}",
        "enable {}",
        "disable {}",
        "archive {}",
        "rotate-secret {} --secret-ref secret://x",
        "event {} --body-json '{{}}'",
        "test {} --body-json '{{}}'",
    )
]
OTHERS = [("token revoke {}", "token list")]
NOUNS = [
    *(("queued action", *each) for each in ACTIONS),
    *(("run", *each) for each in RUNS),
    *(("event", *each) for each in EVENTS),
    *(("automation", *each) for each in AUTOMATIONS),
    *(("webhook route", *each) for each in ROUTES),
    *(("token", *each) for each in OTHERS),
]


@pytest.mark.parametrize(("noun", "words", "listed"), NOUNS, ids=[each[1] for each in NOUNS])
@pytest.mark.parametrize("name", ["nope", "no", "00000000-0000-7000-8000-000000000000"])
def test_a_name_that_is_not_there_is_refused_with_the_list_that_such_names_stand_in(
    automations: CommandLine, noun: str, words: str, listed: str, name: str
) -> None:
    automations.applied(["a"])
    error = automations.refused(*shlex.split(words.format(name)), status=1)
    assert (error["code"], error["error"]) == ("not_found", f"{noun} not found: {name}")
    assert error["hint"].split(";")[0] == f"see: automations {listed}"


@pytest.mark.parametrize("words", [each[0] for each in AUTOMATIONS])
def test_an_automation_that_was_mistyped_brings_the_one_that_was_meant(automations: CommandLine, words: str) -> None:
    automations.applied(["deploys.production", "other"])
    error = automations.refused(*shlex.split(words.format("deploys.prodution")), status=1)
    assert error["hint"].startswith("did you mean deploys.production? see: automations list")
