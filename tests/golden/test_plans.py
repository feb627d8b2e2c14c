"""Plans as people and programs read them: every kind of change, finding and consequence, word for word."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from automations.core.canonical import digest
from automations.core.instant import iso
from automations.core.plan.plan import Plan, Request, make_plan
from automations.core.plan.render.document import LIFETIME, document
from automations.core.plan.render.github import github
from automations.core.plan.render.human import human
from automations.core.plan.render.markdown import ROOM, markdown
from automations.core.plan.render.sarif import sarif
from automations.core.plan.render.words import printable, show
from automations.core.plan.state import Held, HeldManifest, HeldRoute, InFlight, State, source_owner
from samples import action, catalogue, event_trigger, raw, spec, step, webhook_trigger

Golden = Callable[[str, str], None]
NOW = 1_790_000_000_000_000
DEPLOY = spec(
    "deploys.production",
    triggers=[
        webhook_trigger("/webhooks/github", signature={"preset": "github", "secretRef": "secret://github/releases"})
    ],
    actions=[
        step("build", actionId="ci.build", input={"tag": "${{ event.type }}"}),
        step("ship", actionId="k8s.deploy", dependsOn=["build"], retry={"maxAttempts": 5}),
    ],
)
MANIFESTS = {"actions/build.yaml": action("ci.build"), "actions/deploy.yaml": action("k8s.deploy")}
SIGNED = {"preset": "stripe", "secretRef": "secret://stripe/hook"}
SHELL = {"kind": "local-shell", "command": "refund", "args": ["--now"]}
KEY = {"Authorization": "Bearer ${{ secrets.PAY_KEY }}", "X-Api-Key": "hunter2"}
HOSTILE = "</details>```\n| @everyone ![x](http://x) ::error::boom %0A \x1b[31m\x9b \u202e <script>"
LONG = {f"long{number}": "`" * 60_000 for number in range(15)}
PAYMENTS = spec(
    "payments.refund",
    triggers=[webhook_trigger("/webhooks/stripe", id="stripe", signature=SIGNED, mapping={"idPath": "id"})],
    actions=[step("refund", actionId="pay.refund", approval={"mode": "manual", "requiresApproval": True, "count": 2})],
    concurrency={"key": "one"},
)
GIVEN = step("build", actionId="ci.build", input={"ref": "main"})
NIGHTLY = spec("reports.nightly", triggers=[{"kind": "schedule", "id": "nightly", "cron": "30 2 * * *"}])
BUILDS = {"actions/build.yaml": action("ci.build", executorBindings=[SHELL], requiredApprovals=2)}
USERS = {
    **{f"nightly/{number}.yaml": spec(f"nightly.{number}", actions=[GIVEN]) for number in range(7)},
    "roll.yaml": spec("roll", actions=[step("ship", actionId="k8s.deploy", manifestVersion="1.0.0")]),
    "../ops/release.yaml": spec(
        "ops.release",
        actions=[
            step("build", actionId="ci.build", input={"branch": "${{ event.type }}"}),
            step("ship", actionId="k8s.deploy", manifestVersion="2.0.0"),
            step("tell", actionId="docs.publish"),
        ],
    ),
}


def changed(document_: Any, **keys: Any) -> Any:
    return {**document_, **keys}


@dataclass(frozen=True)
class Case:
    """Files as they were applied, files as they are, and what else the state knows."""

    before: dict[str, Any]
    after: dict[str, Any]
    owners: dict[str, str] = field(default_factory=dict)
    in_flight: dict[str, InFlight] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)


CASES = {
    "nothing": Case({"deploy.yaml": DEPLOY, **MANIFESTS}, {"deploy.yaml": DEPLOY, **MANIFESTS}),
    "first": Case({}, {"deploy.yaml": DEPLOY, **MANIFESTS}),
    "update": Case(
        {"deploy.yaml": DEPLOY, **MANIFESTS},
        {
            "deploy.yaml": changed(
                DEPLOY,
                version="1.1.0",
                description="Stage, test, ask, ship.\nThen tell\x1b[31m everybody.",
                actions=[
                    step("lint", actionId="ci.build"),
                    step("build", actionId="ci.build", input={"tag": "${{ event.subject }}", "notes": "x" * 150}),
                ],
            ),
            **MANIFESTS,
            "actions/deploy.yaml": action("k8s.deploy", description="now with one"),
        },
        in_flight={
            "deploys.production": InFlight(
                running=2, queued=1, retrying=1, waiting_approval=3, dead=4, begun=2, not_begun=3
            )
        },
    ),
    "everything": Case(
        {
            "a.yaml": spec("a"),
            "b.yaml": spec("b"),
            "c.yaml": spec("c"),
            "d.yaml": spec("d"),
            "e.yaml": spec("e"),
            "f.yaml": spec("f"),
            "m.yaml": action("todos.create"),
            "n.yaml": action("gone", "2@beta"),
        },
        {
            "a.yaml": spec("a", triggers=[event_trigger(type="ticket.*")]),
            "teams/b.yaml": spec("b"),
            "c.yaml": spec("c.new", lifecycle={"renamedFrom": "c"}),
            "e.yaml": spec("e"),
            "f.yaml": spec("f", version="2"),
            "g.yaml": spec("g"),
            "actions/m.yaml": action("todos.create"),
        },
        owners={"f": "api"},
        in_flight={"d": InFlight(running=1, begun=1)},
        request={"adopt": frozenset({"f"}), "revision": "0123abcd"},
    ),
    "refused": Case(
        {f"{name}.yaml": spec(name) for name in "abcde"},
        {"a.yaml": spec("a"), "b.yaml": spec("b"), "m.yaml": action()},
    ),
    "invalid": Case(
        {"a.yaml": spec("a"), "b.yaml": spec("b", triggers=[webhook_trigger("/x")])},
        {
            "a.yaml": spec("a", actoins=[]),
            "b.yaml": spec("b", triggers=[webhook_trigger("/y")]),
            "broken\x1b[2J.yaml": "id: [",
            "c.yaml": spec("c", actions=[step("s", dependsOn=["t"], input="${{ steps.u.output }}")]),
        },
    ),
    "effects": Case(
        {
            "hooks/pay.yaml": PAYMENTS,
            "night.yaml": NIGHTLY,
            "actions/pay.yaml": action("pay.refund", executorBindings=[SHELL]),
            "old.yaml": spec("reports.old", triggers=[webhook_trigger("/old", signature=SIGNED)], vars={"n": 7}),
            "quiet.yaml": spec("quiet", triggers=[event_trigger()], lifecycle={"onDelete": "cancel-all"}),
        },
        {
            "hooks/pay.yaml": changed(
                PAYMENTS,
                triggers=[
                    webhook_trigger(
                        "/webhooks/stripe/v2",
                        id="stripe",
                        signature={**SIGNED, "secretRef": "secret://stripe/new"},
                        mapping={"dedupeKeyPath": "data.id"},
                    )
                ],
                actions=[step("refund", actionId="pay.refund", retry={"maxAttempts": 2}, timeout="1m")],
                concurrency={"key": "${{ event.data.customer }}"},
                inputs={"type": "object"},
                lifecycle={"onUpdate": "cancel-queued"},
            ),
            "night.yaml": changed(
                NIGHTLY,
                triggers=[{"kind": "schedule", "id": "nightly", "cron": "30 2 * * *", "timezone": "Europe/Berlin"}],
            ),
            "actions/pay.yaml": action(
                "pay.refund",
                executorBindings=[
                    {"kind": "http", "method": "POST", "url": "https://pay.example/refund", "headers": KEY}
                ],
            ),
            "new.yaml": spec("reports.new", triggers=[webhook_trigger("/old", signature=SIGNED)], vars={"n": 7}),
            "off.yaml": spec("off", status="paused"),
        },
        in_flight={
            "payments.refund": InFlight(running=3, queued=2, waiting_approval=1, pending=4, begun=3, not_begun=5),
            "quiet": InFlight(running=1, dead=2, begun=1),
        },
        request={"now": NOW},
        state={"suspended": {"reports.nightly": "by ann until 2026-12-01T00:00:00.000Z: inventory"}},
    ),
    "pins": Case(
        {
            **USERS,
            **BUILDS,
            "actions/ship.yaml": action("k8s.deploy"),
            "actions/ship2.yaml": action("k8s.deploy", "2.0.0"),
        },
        {
            **{file: each for file, each in USERS.items() if not file.startswith("../")},
            **BUILDS,
            "actions/build2.yaml": action(
                "ci.build",
                "2.0.0",
                executorBindings=[{"kind": "local-shell", "command": "make", "args": ["build"], "inheritEnv": ["CI"]}],
                inputSchema={"type": "object", "properties": {"ref": {}}, "required": ["ref"]},
                requiredApprovals=1,
            ),
            "actions/ship.yaml": action("k8s.deploy", description="now with words"),
            "actions/docs.yaml": action("docs.publish"),
        },
        owners={"ops.release": "source:ops"},
    ),
    "hostile": Case(
        {"a.yaml": spec("a"), "b.yaml": action("b@`|x`")},
        {
            "a.yaml": spec("a", name=HOSTILE, vars={HOSTILE: HOSTILE, "password": "hunter2", **LONG}),
            "c<img src=x>`|\n::error::.yaml": spec("c", triggers=[webhook_trigger("/c")]),
        },
    ),
    "withheld": Case(
        {"a.yaml": spec("a", triggers=[webhook_trigger("/x")]), "m.yaml": action()},
        {"b.yaml": spec("b", triggers=[webhook_trigger("/x")]), "c.yaml": spec("c")},
        request={"prune": False},
    ),
}


def state_of(case: Case) -> State:
    declared = catalogue(case.before)

    def owner(identity: str) -> str:
        return case.owners.get(identity, source_owner("default"))

    return State(
        lineage="0190a0a0-0000-7000-8000-000000000000",
        serial=41,
        automations={
            identity: Held(
                f"uid-{identity}", identity, owner(identity), "active", 3, each.value.digest, each.document.file
            )
            for identity, each in declared.automations.items()
        },
        manifests={
            key: HeldManifest(*key, owner(key[0]), each.value.digest, each.document.file)
            for key, each in declared.manifests.items()
        },
        routes={
            trigger.route.path: HeldRoute(trigger.route.id, identity, trigger.route.path, owner(identity))
            for identity, each in declared.automations.items()
            for trigger in each.value.triggers
            if trigger.route
        },
        specs={identity: each.value.spec for identity, each in declared.automations.items()},
        in_flight=case.in_flight,
        texts={
            identity: raw(case.before[each.document.file]).decode() for identity, each in declared.automations.items()
        },
        manifest_documents={key: each.value.document for key, each in declared.manifests.items()},
        using={identity: each.value for identity, each in declared.automations.items()},
        **case.state,
    )


def plan_of(case: Case) -> Plan:
    return make_plan(catalogue(case.after), state_of(case), Request("default", **case.request))


@pytest.mark.parametrize("name", CASES)
def test_a_plan_reads_as_it_always_did(name: str, golden: Golden) -> None:
    golden(f"{name}.txt", human(plan_of(CASES[name])))


@pytest.mark.parametrize("name", CASES)
def test_a_plan_s_document_is_what_it_always_was(name: str, golden: Golden) -> None:
    # The tool's own version changes with every release, and with it the digest over everything.
    steady = document(plan_of(CASES[name]), now=NOW) | {"toolVersion": "(version)", "planDigest": "(digest)"}
    golden(f"{name}.json", json.dumps(steady, indent=2, ensure_ascii=False) + "\n")


@pytest.mark.parametrize("name", CASES)
def test_a_plan_as_a_comment_reads_as_it_always_did(name: str, golden: Golden) -> None:
    golden(f"{name}.md", markdown(plan_of(CASES[name])))


@pytest.mark.parametrize("name", CASES)
def test_a_plan_as_annotations_reads_as_it_always_did(name: str, golden: Golden) -> None:
    golden(f"{name}.github", github(plan_of(CASES[name])))


@pytest.mark.parametrize("name", CASES)
def test_a_plan_as_sarif_reads_as_it_always_did_and_conforms_to_the_standard(name: str, golden: Golden) -> None:
    log = sarif(plan_of(CASES[name]))
    schema = json.loads((Path(__file__).parents[1] / "data" / "sarif-2.1.0.json").read_text())
    jsonschema.Draft7Validator(schema).validate(log)
    driver = log["runs"][0]["tool"]["driver"]
    assert all(rule["help"]["text"] and rule["fullDescription"]["text"] for rule in driver["rules"])
    driver["version"] = "(version)"
    golden(f"{name}.sarif", json.dumps(log, indent=2, ensure_ascii=False) + "\n")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("render", [human, markdown, github, lambda made: json.dumps(document(made, now=NOW))])
def test_every_rendering_is_bounded_and_shows_no_literal_secret(name: str, render: Callable[[Plan], str]) -> None:
    text = render(plan_of(CASES[name]))
    assert len(text) < 100_000
    assert "hunter2" not in text


def test_a_comment_on_a_thousand_changes_fits_and_names_every_one() -> None:
    before = {f"{number}.yaml": spec(f"team.service-{number}.deploy-to-production") for number in range(1000)}
    after = {
        name: changed(each, description="word " * 40, triggers=[webhook_trigger(f"/{name}")])
        for name, each in before.items()
    }
    text = markdown(plan_of(Case(before, after)))
    assert "and " in text
    assert len(text.encode()) <= ROOM
    assert all(f"`team.service-{number}.deploy-to-production`" in text for number in range(1000))


def expanded(text: str) -> set[str]:
    """Every name that a comment writes as code, those in braces one by one."""
    found = set()
    for word in re.findall("`([^`]+)`", text):
        start, brace, rest = word.partition("{")
        found |= {start + end for end in rest.removesuffix("}").split(", ")} if brace else {word}
    return found


@pytest.mark.parametrize(
    "named",
    [
        lambda number: f"platform.payments.{'x' * 38}.job-{number:04d}",
        lambda number: f"{'platform.payments.ledger.'[: number % 3 * 8]}{'y' * 40}{number:06d}{'z' * 17}",
        lambda number: f"team-{number % 40:02d}.{'service' * 20}.{number:04d}",
        lambda number: digest(number)[7:62],  # 55 characters, as the reference says
    ],
    ids=["one beginning", "several", "long", "nothing in common"],
)
@pytest.mark.parametrize("risky", [False, True])
def test_names_are_written_together_before_any_is_left_out(named: Callable[[int], str], *, risky: bool) -> None:
    names = {named(number) for number in range(1000)}
    before = {f"{number}.yaml": spec(named(number), timeout="1h") for number in range(1000)}
    after = {name: changed(each, status="paused" if risky else "active", timeout="2h") for name, each in before.items()}
    text = markdown(plan_of(Case(before, after)))
    assert len(text.encode()) <= ROOM
    assert names <= expanded(text)
    assert bool(re.search(r"and \d+ more warnings \(AU102: \d+\)", text)) is risky


def test_names_that_fit_in_no_way_are_counted() -> None:
    names = [f"{digest(number)[7:]}{digest(-number)[7:]}" for number in range(1000)]
    made = plan_of(Case({}, {f"{number}.yaml": spec(name) for number, name in enumerate(names)}))
    text = markdown(made)
    assert ROOM - 1_500 < len(text.encode()) <= ROOM
    left = int(re.findall(r"and (\d+) more; see", text)[0])
    assert left == 1000 - len(expanded(text) & set(names)) > 0


def test_a_comment_that_is_too_long_still_says_what_is_wrong_what_waits_and_what_is_dangerous() -> None:
    zone = {"kind": "schedule", "cron": "0 3 * * *"}
    before = {f"{number}.yaml": spec(f"team.service-{number}.nightly", triggers=[zone]) for number in range(1000)}
    after: dict[str, Any] = {
        name: changed(each, triggers=[{**zone, "timezone": "Europe/Berlin"}], status="paused")
        for name, each in list(before.items())[:600]
    }
    text = markdown(plan_of(Case(before, after | {f"bad{number}.yaml": "x: [" for number in range(30)})))
    assert len(text.encode()) <= ROOM
    head, errors, rest = (text.index(each) for each in ("30 errors, 400 deletes withheld", "bad0.yaml", "AU"))
    assert head < errors < rest
    assert text.count("yaml/syntax") == 20
    assert "and 10 more errors" in text
    assert "**withheld** (400): `team.service-600.nightly`" in text
    assert all(f"`team.service-{number}.nightly`" in text for number in range(1000))
    counted = {code: int(count) for code, count in re.findall(r"(AU\d+): (\d+)", text)}
    shown = {code: text.count(f" {code} ") for code in ("AU102", "AU205")}
    assert {code: counted[code] + shown[code] for code in shown} == {"AU102": 600, "AU205": 600}
    assert sum(shown.values()) > 10


@pytest.mark.parametrize("render", [human, markdown, github, sarif, lambda made: document(made, now=NOW)])
@pytest.mark.parametrize("request_", [{"prune": False}, {"hold": frozenset({"a"})}])
def test_every_format_says_what_is_withheld(render: Callable[[Plan], Any], request_: dict[str, Any]) -> None:
    after = {} if "prune" in request_ else {"a.yaml": spec("a", version="2.0.0")}
    made = plan_of(Case({"a.yaml": spec("a")}, after, request=request_))
    assert (made.changes, len(made.withheld) + len(made.held_back)) == ((), 1)
    text = str(render(made))
    assert "withheld" in text or "held back" in text
    assert "'a'" in text or "a would" in text


def test_all_that_changes_on_one_line_stands_in_one_annotation() -> None:
    head = 'schemaVersion: "1.0"\nid: a\nname: a\nversion: {}\ntriggers: [{{kind: schedule, {}}}]\nactions: [{}]\n'
    ship = "{{id: ship, actionId: todos.create, timeout: {}, input: {{n: {}}}}}"
    before = head.format('"1"', 'cron: "30 2 * * *"', ship.format("1m", 1))
    after = head.format('"2"', 'cron: "30 3 * * *", timezone: Asia/Tokyo', ship.format("2m", 2))
    lines = github(plan_of(Case({"a.yaml": before}, {"a.yaml": after}))).splitlines()
    told = [line for line in lines if line.startswith("::notice file=a.yaml") and "title=update a::" in line]
    places = [line.split(",title=")[0] for line in told]
    assert places == [f"::notice file=a.yaml,line={number}" for number in (4, 5, 6)]
    assert told[0].endswith(
        "version changed and 4 more: triggers[0].cron, triggers[0].timezone, actions[ship].timeout, actions[ship].input.n"
        '%0A~ version: "1" → "2"'
    )
    assert told[1].count("%0A") == told[2].count("%0A") == 1
    assert "triggers[0].cron" in told[1]
    assert '+ triggers[0].timezone: "Asia/Tokyo"' in told[1]
    assert '~ actions[ship].timeout: "1m" → "2m"%0A~ actions[ship].input.n: 1 → 2' in told[2]


def test_an_annotation_is_bounded_and_says_how_much_is_left_out() -> None:
    before, after = (
        "\n".join(
            (
                'schemaVersion: "1.0"\nid: a\nname: a\nversion: 1.0.0\ntriggers: [{kind: manual}]\nactions:',
                f"  - {{id: s, actionId: todos.create, input: {{{', '.join(f'k{at}: {text}' for at in range(100))}}}}}",
            )
        )
        for text in ("x" * 60, "y" * 60)
    )
    (line,) = [
        each
        for each in github(plan_of(Case({"a.yaml": before}, {"a.yaml": after}))).splitlines()
        if "title=update a::" in each
    ]
    assert "changed and 99 more: actions[s].input.k1, " in line
    assert ", …%0A" in line
    shown = line.count("%0A~")
    assert line.endswith(f"%0Aand {100 - shown} more on this line")
    assert shown > 5
    assert len(line) < 2_500


def test_what_a_spec_says_cannot_break_out_of_a_comment_or_an_annotation() -> None:
    hostile = "</details>```\n| @everyone ![x](http://x) ::error::boom %0A"
    made = plan_of(Case({"a.yaml": spec("a")}, {"a.yaml": spec("a", description=hostile, name=hostile)}))
    comment = markdown(made)
    fence = next(line for line in comment.splitlines() if line.endswith("diff")).removesuffix("diff")
    assert comment.count(fence) == 2
    assert all(line.startswith(("::", "Plan:")) for line in github(made).splitlines())


def test_a_fire_in_utc_is_told_once_and_one_elsewhere_in_both() -> None:
    nightly = {"kind": "schedule", "id": "nightly", "cron": "30 2 * * *"}
    here = spec("here", triggers=[nightly])
    there = spec("there", triggers=[{**nightly, "timezone": "Asia/Tokyo"}])
    lines = human(plan_of(Case({}, {"here.yaml": here, "there.yaml": there}, request={"now": NOW}))).splitlines()
    assert "      + 2026-09-22T02:30:00+00:00" in lines
    assert "      + 2026-09-22T02:30:00+09:00 (2026-09-21T17:30:00Z)" in lines


def test_colours_are_only_added_when_asked_for_and_change_no_word(golden: Golden) -> None:
    coloured = human(plan_of(CASES["everything"]), color=True)
    golden("everything.ansi", coloured)
    plain = coloured
    for code in ("31", "32", "33", "35", "36", "0"):
        plain = plain.replace(f"\x1b[{code}m", "")
    assert plain == human(plan_of(CASES["everything"]))


@pytest.mark.parametrize("name", CASES)
def test_nothing_in_a_plan_can_drive_a_terminal_or_forge_a_line(name: str) -> None:
    text = human(plan_of(CASES[name]))
    assert all(line.isprintable() for line in text.split("\n"))
    assert text.endswith("\n")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain → äöü 漢 🙂", "plain → äöü 漢 🙂"),
        ("a\nb\rc\td", "a\\nb\\rc\\td"),
        ("\x1b[31m\x07\x9b", "\\x1b[31m\\x07\\x9b"),
        ("\u202egnp.exe\u200b", "\\u202egnp.exe\\u200b"),
        ("\udcff", "\\udcff"),
    ],
)
def test_controls_and_direction_marks_are_shown_as_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_long_value_is_cut_with_its_length() -> None:
    assert show("x" * 98) == '"' + "x" * 98 + '"'
    assert show("x" * 200).endswith("… (202 characters)")
    assert len(show("x" * 10_000)) < 120


def test_the_digest_is_over_everything_but_the_time() -> None:
    made = plan_of(CASES["everything"])
    early, late = document(made, now=NOW), document(made, now=NOW + 1_000_000)
    assert early["planDigest"] == late["planDigest"]
    assert (early["expiresAt"], late["expiresAt"]) == (iso(NOW + LIFETIME), iso(NOW + 1_000_000 + LIFETIME))
    body = {key: value for key, value in early.items() if key not in ("planDigest", "expiresAt")}
    assert digest(body) == early["planDigest"]
    assert document(replace(made, serial=made.serial + 1), now=NOW)["planDigest"] != early["planDigest"]


@pytest.mark.parametrize("name", CASES)
def test_a_document_has_the_keys_that_the_contract_names(name: str) -> None:
    found = document(plan_of(CASES[name]), now=NOW)
    assert list(found) == [
        "formatVersion", "toolVersion", "lineage", "serial", "source", "sourceRevision", "files", "summary", "changes",
        "withheld", "hazards", "diagnostics", "planDigest", "expiresAt",
    ]  # fmt: skip
    assert set(found["summary"]) == {"create", "update", "rename", "move", "adopt", "delete", "unchanged"}
    for change in found["changes"]:
        assert {"id", "action", "reason", "file", "line", "fields", "impact"} <= set(change)
        assert change["action"] in found["summary"]
    json.dumps(found, allow_nan=False).encode()


@pytest.mark.parametrize(
    ("name", "value", "hidden"),
    [
        ("password", "hunter2", True),
        ("githubToken", "hunter2", True),
        ("X-Api-Key", "hunter2", True),
        ("client_secret", "hunter2", True),
        ("Authorization", "Bearer hunter2", True),
        ("token", "${{ secrets.TOKEN }}", False),
        ("secretRef", "secret://a", False),
        ("secret", "secret://a", False),
        ("dedupeKeyHeader", "X-Token-Id", False),
        ("maxTokens", 5, False),
        ("password", "", False),
    ],
)
def test_a_literal_under_a_secret_s_name_is_not_shown(name: str, value: Any, hidden: bool) -> None:
    made = plan_of(Case({"a.yaml": spec("a")}, {"a.yaml": spec("a", vars={"deep": [{name: value}]})}))
    text = human(made) + json.dumps(document(made, now=NOW))
    assert ("(hidden)" in text) is hidden
    assert "hunter2" not in text
