"""Every risk of the catalogue: what makes a plan warn of it, and that what is harmless does not."""

from dataclasses import replace
from typing import Any

import pytest

from automations.core.plan.manifest_hazards import manifest_hazards
from automations.core.plan.plan import Plan, Request, make_plan
from automations.core.plan.risks import RISKS
from automations.core.plan.state import Held, HeldManifest, HeldRoute, InFlight, State
from samples import action, catalogue, event_trigger, spec, step, webhook_trigger

OWNER = "source:default"
SIGNED = {"preset": "github", "secretRef": "secret://a"}
GUARDED = {"mode": "manual", "requiresApproval": True, "count": 2, "roles": ["sre"]}
STRIPE = {**SIGNED, "preset": "stripe"}
NIGHT = {"kind": "schedule", "cron": "0 3 * * *"}
MANUAL = {"kind": "manual"}


def plan_of(before: dict[str, Any], after: dict[str, Any], **state: Any) -> Plan:
    """The plan from the files `before` to those `after`."""
    old = catalogue(before)
    held = State(
        "l",
        1,
        {
            name: Held(f"u-{name}", name, OWNER, "active", 1, each.value.digest, each.document.file)
            for name, each in old.automations.items()
        },
        {key: HeldManifest(*key, OWNER, each.value.digest, each.document.file) for key, each in old.manifests.items()},
        {
            trigger.route.path: HeldRoute(trigger.route.id, name, trigger.route.path, OWNER)
            for name, each in old.automations.items()
            for trigger in each.value.triggers
            if trigger.route
        },
        {name: each.value.spec for name, each in old.automations.items()},
        manifest_documents={key: each.value.document for key, each in old.manifests.items()},
        using={name: each.value for name, each in old.automations.items()},
    )
    request = Request("default", **{key: state.pop(key) for key in ("adopt", "unprotect") if key in state})
    return make_plan(catalogue(after), replace(held, **state), request)


def codes(before: Any, after: Any, **state: Any) -> list[str]:
    """Codes for one automation that was and that is, beside a manifest that stays: no directory is empty."""
    made = plan_of(_files(before), _files(after), **state)
    return [each.code for each in made.hazards]


def _files(document: Any) -> dict[str, Any]:
    return {"m.yaml": action("x.other")} | ({"a.yaml": document} if document else {})


def hook(path: str = "/x", **keys: Any) -> Any:
    trigger = {key: keys.pop(key) for key in ("id",) if key in keys}
    return spec("a", triggers=[{**webhook_trigger(path, **keys), **trigger}])


def one_step(**keys: Any) -> Any:
    return spec("a", actions=[step(**keys)])


def hears(*types: str) -> Any:
    return spec("a", triggers=[event_trigger(type=each) for each in types])


def door(trigger: str, route: str, **keys: Any) -> dict[str, Any]:
    return {**webhook_trigger(f"/{route}", id=route, **keys), "id": trigger}


def ways(*triggers: Any) -> Any:
    return spec("a", triggers=list(triggers))


W1_SIGNED = door("w", "r1", signature=SIGNED)
BOTH = spec("a", triggers=[*hook(signature=SIGNED)["triggers"], webhook_trigger("/z")])
CANCELS = spec("a", lifecycle={"onUpdate": "cancel-queued"})
LIVE = {"in_flight": {"a": InFlight(running=1, queued=1, begun=1, not_begun=1)}}
CASES: list[tuple[str, Any, Any, dict[str, Any], list[str]]] = [
    ("a new one", None, spec("a"), {}, []),
    ("a word changes", spec("a"), spec("a", description="d"), LIVE, []),
    ("deleted", spec("a"), None, {}, ["AU100"]),
    ("only people start it", spec("a"), spec("a", triggers=[{"kind": "manual"}]), {}, ["AU101"]),
    ("paused", spec("a"), spec("a", status="paused"), {}, ["AU102"]),
    ("archived", spec("a"), spec("a", status="archived"), {}, ["AU102"]),
    ("of two triggers one", spec("a", triggers=[event_trigger(), NIGHT]), spec("a"), {}, ["AU103"]),
    ("a trigger that people replace",
     spec("a", triggers=[event_trigger(), NIGHT]),
     spec("a", triggers=[event_trigger(), MANUAL]), {}, ["AU103"]),
    ("another event under one id", hears("x", "y"), hears("x", "z"), {}, ["AU103"]),
    ("the first of two without ids", hears("x", "y"), hears("y"), {}, ["AU103"]),
    ("two in another order", hears("x", "y"), hears("y", "x"), {}, []),
    ("one event more", hears("x"), spec("a", triggers=[event_trigger(type=["x", "y"])]), {}, []),
    ("switched on", spec("a", status="paused"), spec("a"), {}, ["AU104"]),
    ("another path", hook("/x", id="h"), hook("/y", id="h"), {}, ["AU203"]),
    ("another dedupe key", hook(mapping={}), hook(mapping={"dedupeKeyPath": "n"}), {}, ["AU204"]),
    ("another route id", hook(), hook(id="other"), {}, ["AU204"]),
    ("another zone", spec("a", triggers=[NIGHT]), spec("a", triggers=[{**NIGHT, "timezone": "Asia/Tokyo"}]), {}, ["AU205"]),
    ("another trigger id", spec("a", triggers=[NIGHT]), spec("a", triggers=[{**NIGHT, "id": "n"}]), {}, ["AU205"]),
    (
        "a trigger before it moves its index",
        spec("a", triggers=[NIGHT]),
        spec("a", triggers=[event_trigger(), NIGHT]),
        {},
        ["AU205"],
    ),
    ("another time", spec("a", triggers=[NIGHT]), spec("a", triggers=[{**NIGHT, "cron": "0 4 * * *"}]), {}, []),
    ("another key", spec("a", concurrency={"key": "x"}), spec("a", concurrency={"key": "y"}), {}, ["AU206"]),
    ("no limit any more", spec("a", concurrency={"limit": 1}), spec("a"), {}, ["AU206"]),
    ("a first key", spec("a"), spec("a", concurrency={"key": "y"}), {}, []),
    ("no filter", spec("a", triggers=[event_trigger(filter={"a": 1})]), spec("a"), {}, ["AU207"]),
    ("no expression", spec("a", triggers=[event_trigger(expr="true")]), spec("a"), {}, ["AU207"]),
    ("any type", spec("a"), spec("a", triggers=[event_trigger(type="*")]), {}, ["AU207"]),
    ("no signature", hook(signature=SIGNED), hook(), {}, ["AU310"]),
    ("never signed", None, hook(), {}, ["AU311"]),
    ("a second route", hook(signature=SIGNED), BOTH, {}, ["AU311"]),
    ("no signature under another path and id", ways(W1_SIGNED), ways(door("w", "r2")), {}, ["AU310", "AU203", "AU204"]),
    ("no signature and nothing is called as before", ways(W1_SIGNED), ways(door("v", "r2")), {}, ["AU103", "AU310"]),
    ("a second door under an old id", ways(W1_SIGNED), ways(door("w", "r2"), door("v", "r1", signature=SIGNED)), {}, ["AU311"]),
    ("weaker under another path",
     ways(door("w", "r1", signature=STRIPE)),
     ways(door("w", "r2", signature=SIGNED)), {}, ["AU313", "AU203", "AU204"]),
    ("weaker and nothing is called as before",
     ways(door("w", "r1", signature=STRIPE)),
     ways(door("v", "r2", signature=SIGNED)), {}, ["AU103", "AU313"]),
    ("another secret", hook(signature=SIGNED), hook(signature={**SIGNED, "secretRef": "secret://b"}), {}, ["AU312"]),
    ("a weaker scheme", hook(signature={**SIGNED, "preset": "stripe"}), hook(signature=SIGNED), {}, ["AU313"]),
    ("a stronger scheme", hook(signature=SIGNED), hook(signature={**SIGNED, "preset": "stripe"}), {}, []),
    ("no approval", one_step(approval=GUARDED), one_step(), {}, ["AU320"]),
    ("one instead of two", one_step(approval=GUARDED), one_step(approval={**GUARDED, "count": 1}), {}, ["AU320"]),
    ("oneself", one_step(approval=GUARDED), one_step(approval={**GUARDED, "allowSelf": True}), {}, ["AU320"]),
    ("another role too", one_step(approval=GUARDED), one_step(approval={**GUARDED, "roles": ["sre", "dev"]}), {}, ["AU320"]),
    ("anybody", one_step(approval=GUARDED), one_step(approval={**GUARDED, "roles": []}), {}, ["AU320"]),
    ("by itself", one_step(approval=GUARDED), one_step(approval={**GUARDED, "onExpire": "approve"}), {}, ["AU320"]),
    ("renamed step without", one_step(approval=GUARDED), one_step(identity="other"), {}, ["AU320"]),
    ("renamed step with", one_step(approval=GUARDED), one_step(identity="other", approval=GUARDED), {}, []),
    ("another name and action without",
     one_step(approval=GUARDED),
     one_step(identity="other", actionId="x.other"), {}, ["AU320"]),
    ("another name and action with",
     one_step(approval=GUARDED),
     one_step(identity="other", actionId="x.other", approval=GUARDED), {}, []),
    ("more people", one_step(approval=GUARDED), one_step(approval={**GUARDED, "count": 3}), {}, []),
    ("fewer attempts", one_step(), one_step(retry={"maxAttempts": 1}), LIVE, ["AU400"]),
    ("fewer attempts, nothing runs", one_step(), one_step(retry={"maxAttempts": 1}), {}, []),
    ("less time", one_step(timeout="2m"), one_step(timeout="1m"), LIVE, ["AU400"]),
    ("less time for a run", spec("a"), spec("a", timeout="1m"), LIVE, ["AU400"]),
    ("cancels", CANCELS, {**CANCELS, "version": "2"}, LIVE, ["AU401"]),
    ("cancels when it goes", spec("a", lifecycle={"onDelete": "cancel-all"}), None, LIVE, ["AU100", "AU401"]),
    ("other inputs", spec("a"), spec("a", inputs={"type": "object"}), {}, ["AU402"]),
    ("not protected any more", spec("a", lifecycle={"protect": True}), spec("a"), {}, ["AU502"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "state", "expected"), [each[1:] for each in CASES], ids=[each[0] for each in CASES]
)
def test_a_change_warns_of_what_it_risks(before: Any, after: Any, state: Any, expected: list[str]) -> None:
    found = codes(before, after, **state)
    assert found == expected


def test_a_suspension_a_rejection_and_a_takeover_are_told() -> None:
    declared = catalogue({"a.yaml": spec("a", version="2")}).automations["a"].value.digest
    assert codes(spec("a"), spec("a", version="2"), rejected={"a": declared}) == ["AU501"]
    assert codes(spec("a"), spec("a"), suspended={"a": "by ann: inventory"}) == ["AU105"]
    assert codes(spec("a"), spec("a"), source_suspended="by ann: freeze") == ["AU106"]
    held = {"a": Held("u", "a", "api", "active", 1, "old", None)}
    assert codes(None, spec("a"), automations=held, specs={"a": spec("a")}, adopt=frozenset({"a"})) == ["AU500"]


def test_deleting_what_is_protected_takes_its_name() -> None:
    held = {"a": Held("u", "a", OWNER, "active", 1, "old", "a.yaml")}
    old = {"a": spec("a", lifecycle={"protect": True})}
    assert codes(None, None, automations=held, specs=old) == []
    assert codes(None, None, automations=held, specs=old, unprotect=frozenset({"a"})) == ["AU100", "AU503"]


SHELL = {"kind": "local-shell", "command": "ship", "args": ["--prod"]}
HTTP = {"kind": "http", "method": "POST", "url": "https://a.example/x"}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (SHELL, SHELL, []),
        (SHELL, {**SHELL, "args": ["--all"]}, ["AU330"]),
        (SHELL, {**SHELL, "command": "other"}, ["AU330"]),
        (SHELL, HTTP, ["AU330"]),
        (HTTP, {**HTTP, "url": "https://a.example/y"}, []),
        (HTTP, {**HTTP, "url": "http://a.example/x"}, ["AU330"]),
        (HTTP, {**HTTP, "url": "https://user:pass@b.example/x"}, ["AU330"]),
        (HTTP, {**HTTP, "headers": {"A": "${{ secrets.KEY }}"}}, ["AU331"]),
        (HTTP, {**HTTP, "allowHosts": ["10.0.0.1"]}, ["AU331"]),
        (SHELL, {**SHELL, "inheritEnv": True}, ["AU331"]),
        ({**SHELL, "inheritEnv": ["A"]}, {**SHELL, "inheritEnv": ["A", "B"]}, ["AU331"]),
        ({"kind": "python", "ref": "m:f"}, {"kind": "python", "ref": "m:g"}, ["AU330"]),
        ({"kind": "mcp", "server": "s", "tool": "t"}, {"kind": "mcp", "server": "s", "tool": "u"}, ["AU330"]),
    ],
)
def test_who_carries_an_action_out_and_what_it_reaches(before: Any, after: Any, expected: list[str]) -> None:
    old, new = action(executorBindings=[before]), action(executorBindings=[after])
    found = list(manifest_hazards("do@1", old, new))
    assert [each.code for each in found] == expected
    assert not any("pass" in each.message for each in found)


def test_fewer_approvals_of_a_manifest_and_one_that_is_still_in_use_are_told() -> None:
    old, new = action(requiredApprovals=2), action(requiredApprovals=1)
    assert [each.code for each in manifest_hazards("do@1", old, new)] == ["AU320"]
    gone = plan_of({"a.yaml": spec("a"), "m.yaml": action("todos.create")}, {"a.yaml": spec("a")})
    assert [(each.code, each.message) for each in gone.hazards] == [
        ("AU332", "action todos.create@1.0.0 is used by a/work")
    ]
    assert plan_of({"m.yaml": action("todos.create")}, {}).hazards == ()


def test_every_hazard_names_the_line_that_it_is_about() -> None:
    made = plan_of({"a.yaml": one_step(approval=GUARDED)}, {"a.yaml": one_step(identity="work")})
    (hazard,) = made.hazards
    assert (hazard.file, hazard.line) == ("a.yaml", 14)
    made = plan_of({"a.yaml": spec("a")}, {"a.yaml": spec("a", status="paused")})
    assert made.hazards[0].line == 19


def test_the_catalogue_speaks_for_itself() -> None:
    assert [code for code, risk in RISKS.items() if risk.refused] == ["AU001"]
    for code, risk in RISKS.items():
        assert risk.code == code
        assert risk.text.endswith((".", "`."))
        assert risk.title[0].islower()
