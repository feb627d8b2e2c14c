"""No secret is found anywhere: a canary in every spelling is looked for in whatever a run leaves behind."""

import base64
import json
import urllib.parse
from pathlib import Path

import pytest

from e2e.conftest import PATIENCE, Site, until

CANARY = 'k3y/+"ü'
NAME = "HASNA_AUTOMATIONS_SECRET_CI_TOKEN"
SPELLINGS = (
    CANARY.encode(),
    base64.b64encode(CANARY.encode()),
    base64.urlsafe_b64encode(CANARY.encode()),
    CANARY.encode().hex().encode(),
    urllib.parse.quote(CANARY, safe="").encode(),
    json.dumps(CANARY)[1:-1].encode(),
    json.dumps(CANARY, ensure_ascii=False)[1:-1].encode(),
)
LEAK = """\
import base64, json, os, sys, urllib.parse
from automations import ActionFailed

def _shout(token):
    raw = token.encode()
    for each in (token, base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode(), raw.hex(),
                 urllib.parse.quote(token, safe=""), json.dumps(token)):
        print(each)
        print(each, file=sys.stderr)
    assert token == os.environ["TOKEN"] == os.environ["BOTH"].removeprefix("x-")

def tell(given):
    _shout(given["token"])
    coded = base64.b64encode(given["token"].encode()).decode()
    return {"said": given["token"], "hex": given["token"].encode().hex(), given["token"]: [coded]}

def fail(given):
    _shout(given["token"])
    raise ValueError("bad token " + given["token"])

def refuse(given):
    raise ActionFailed(given["token"], retryable=False)
"""
MANIFEST = """\
id: leak.{name}
name: leak
version: 1.0.0
inputSchema:
  type: object
  properties: {{token: {{type: string, x-secret: true, maxLength: 20}}}}
  additionalProperties: false
executorBindings:
  - {{kind: python, ref: "leaking:{name}", env: {{TOKEN: "${{{{ secrets.CI_TOKEN }}}}", BOTH: "x-${{{{ input.token }}}}"}}}}
"""
SPEC = """\
schemaVersion: "1.0"
id: leaks
name: leaks
version: 1.0.0
triggers:
  - {{kind: event, source: test, type: leaks}}
actions:
{steps}
"""
STEP = (
    '  - {{id: {name}, actionId: leak.{name}, input: {{token: "${{{{ secrets.CI_TOKEN }}}}"}}, onFailure: continue, '
    "retry: {{maxAttempts: 2, base: 10ms, cap: 10ms}}}}"
)


@pytest.fixture
def leaking(site: Site) -> Site:
    for name in ("tell", "fail", "refuse"):
        site.write(f"actions/{name}.yaml", MANIFEST.format(name=name))
    (site.specs / "leaking.py").write_text(LEAK)
    site.write(
        "leaks.yaml", SPEC.format(steps="\n".join(STEP.format(name=name) for name in ("tell", "fail", "refuse")))
    )
    return site


def sent(site: Site) -> str:
    event = '{"id":"l-1","source":"test","type":"leaks"}'
    return str(site.automations("events", "send", "--event-json", event)["materialized"][0]["run"]["id"])


def test_a_secret_s_value_is_nowhere_in_what_is_stored_logged_or_shown(leaking: Site) -> None:
    leaking.environment[NAME] = CANARY
    plan = leaking.automations("plan")
    daemon, _ = leaking.start("run", "automations.d")
    run = sent(leaking)
    over = {"succeeded", "failed"}
    until(lambda: leaking.automations("runs", "show", run)["status"] in over, what="the run ends")
    shown = leaking.automations("runs", "show", run)
    queue = [leaking.automations("queue", "show", each["id"]) for each in shown["actions"]]
    states = {each["stepId"]: each["status"] for each in shown["actions"]}
    assert states == {"tell": "succeeded", "fail": "dead", "refuse": "dead"}
    told = next(each for each in shown["actions"] if each["stepId"] == "tell")
    assert told["invocation"]["input"] == {"token": "${{ secrets.CI_TOKEN }}"}
    assert told["result"]["output"]["said"] == "[redacted]"
    files = [each for each in leaking.folder.rglob("*") if each.is_file() and each.suffix != ".py"]
    assert {"automations.db", "automations.db-wal", "daemon.log"} <= {each.name for each in files}
    kept = {each.name: each.read_bytes() for each in files}
    daemon.terminate()
    assert daemon.wait(timeout=PATIENCE) == 0
    kept |= {f"{each.name} after": each.read_bytes() for each in files if each.exists()}
    kept |= {"shown": json.dumps([plan, shown, queue], ensure_ascii=False).encode()}
    found = [(name, spelling) for name, text in kept.items() for spelling in SPELLINGS if spelling in text]
    assert found == []


def test_a_secret_from_a_file_is_found_and_a_missing_one_is_told_by_where_it_was_looked_for(leaking: Site) -> None:
    folder = leaking.folder / "secrets"
    folder.mkdir()
    leaking.environment["AUTOMATIONS_SECRETS_DIR"] = str(folder)
    leaking.start("run", "automations.d")
    run = sent(leaking)
    until(lambda: leaking.automations("runs", "show", run)["status"] == "succeeded", what="the run ends")
    action = leaking.automations("runs", "show", run)["actions"][0]
    assert (action["status"], action["error"]["code"]) == ("dead", "SECRET_UNAVAILABLE")
    assert action["deadLetter"]["attempts"] == 1
    assert NAME in action["error"]["message"]
    assert str(folder / "CI_TOKEN").removesuffix("/CI_TOKEN") in action["error"]["message"]
    Path(folder, "CI_TOKEN").write_text(CANARY + "\n")
    leaking.automations("dlq", "replay", action["id"])
    until(lambda: leaking.automations("queue", "show", action["id"])["status"] == "succeeded", what="it is done")
