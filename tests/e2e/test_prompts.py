"""Questions to a person, on a real terminal: answered, refused, left by Ctrl-D and by Ctrl-C."""

import pytest

from e2e.conftest import Site
from e2e.terminal import END_OF_INPUT, INTERRUPT, terminal

ASKING = """\
schemaVersion: "1.0"
id: deploy
name: deploy
version: 1.0.0
inputs:
  type: object
  required: [ref, replicas]
  properties:
    ref: {type: string, description: What to deploy}
    replicas: {type: integer}
triggers:
  - {kind: manual}
actions:
  - {id: only, actionId: x.do, input: {ref: "${{ inputs.ref }}", replicas: "${{ inputs.replicas }}"}}
"""
LEFT, REFUSED = 130, 4
"""The statuses of a program that a person leaves by Ctrl-C, and of one that is not to do what it asked about."""


@pytest.fixture
def asking(site: Site) -> Site:
    site.write("deploy.yaml", ASKING)
    site.automations("apply", "--auto-approve")
    return site


def test_a_trigger_asks_for_what_is_missing_until_it_is_of_the_right_type(asking: Site) -> None:
    with terminal(asking, "trigger", "deploy") as person:
        person.expect("ref")
        person.type("main\n")
        person.expect("replicas")
        person.type("many\n")
        person.expect("replicas")
        person.type("\n")
        person.expect("replicas")
        person.type("3\n")
        assert person.ended() == 0
        assert "deploy: run " in person.shown
    (run,) = asking.runs()
    action = asking.run(run["id"])["actions"][0]
    assert action["invocation"]["input"] == {"ref": "main", "replicas": 3}


def test_a_trigger_does_not_ask_for_what_was_given(asking: Site) -> None:
    with terminal(asking, "trigger", "deploy", "--input", "ref=main") as person:
        person.expect("replicas")
        assert "ref" not in person.shown
        person.type("1\n")
        assert person.ended() == 0
    assert len(asking.runs()) == 1


@pytest.mark.parametrize("key", [END_OF_INPUT, INTERRUPT])
def test_a_trigger_that_is_left_starts_nothing(asking: Site, key: str) -> None:
    with terminal(asking, "trigger", "deploy") as person:
        person.expect("ref")
        person.type("main\n")
        person.expect("replicas")
        person.type(key)
        assert person.ended() == LEFT
        assert "Traceback" not in person.shown
    assert asking.runs() == []


@pytest.mark.parametrize("answer", ["y\n", "yes\n", "what\ny\n"])
def test_an_apply_is_carried_out_when_a_person_agrees(site: Site, answer: str) -> None:
    site.write("deploy.yaml", ASKING)
    with terminal(site, "apply") as person:
        person.expect("Apply these changes?")
        person.type(answer)
        assert person.ended() == 0
        assert "Applied at serial" in person.shown
    assert [each["id"] for each in site.automations("list")] == ["deploy"]


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [("n\n", REFUSED, "not applied"), ("\n", REFUSED, "not applied"), (END_OF_INPUT, LEFT, ""), (INTERRUPT, LEFT, "")],
)
def test_an_apply_changes_nothing_when_a_person_does_not_agree(site: Site, answer: str, status: int, said: str) -> None:
    site.write("deploy.yaml", ASKING)
    with terminal(site, "apply") as person:
        person.expect("Apply these changes?")
        person.type(answer)
        assert person.ended() == status
        assert said in person.shown
        assert "Traceback" not in person.shown
    assert site.automations("list") == []
