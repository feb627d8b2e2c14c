"""From documents to the model: defaults are the schemas', and both spellings of a thing mean the same."""

from typing import Any

import pytest

from automations.core.instant import SECOND
from automations.core.run.retry import Retry
from automations.core.spec import build
from automations.core.spec.model import (
    Approval,
    AutomationStatus,
    Binding,
    Concurrency,
    Dependency,
    Lifecycle,
    RouteMapping,
    Timeouts,
)
from automations.core.spec.schemas import schema
from samples import action, spec, step, webhook_trigger


def one_step(**keys: Any) -> Any:
    return build.step(step(**keys), final=False)


def test_a_minimal_automation_has_every_default() -> None:
    made = build.automation(spec("a"))
    assert (made.status, made.vars, made.renamed_from) == (AutomationStatus.ACTIVE, {}, None)
    assert (made.timeouts, made.concurrency, made.lifecycle) == (Timeouts(), None, Lifecycle())
    (only,) = made.steps
    assert (only.input, only.depends_on, only.when, only.retry) == ({}, (), None, Retry())
    assert (only.timeout, only.total_timeout) == (None, None)
    assert (only.on_failure, only.approval, only.final) == ("stop", None, False)


def test_the_model_s_defaults_are_those_that_the_schema_promises() -> None:
    defs = schema("automation")["$defs"]
    retry, approval = defs["retry"]["properties"], defs["approval"]["properties"]
    promised = build.step(
        step(retry={key: each["default"] for key, each in retry.items() if "default" in each}), final=False
    )
    assert promised.retry == Retry()
    asked = {key: each["default"] for key, each in approval.items() if "default" in each}
    assert one_step(approval={"mode": "manual", **asked}).approval == Approval()
    assert defs["step"]["properties"]["onFailure"]["default"] == one_step().on_failure
    for word in ("concurrency", "lifecycle"):
        given = {key: each["default"] for key, each in defs[word]["properties"].items() if "default" in each}
        made = build.automation(spec("a", **{word: given}))
        assert (made.concurrency or Concurrency(), made.lifecycle) == (Concurrency(), Lifecycle())
    assert schema("automation")["properties"]["timeoutCountsApprovals"]["default"] is Timeouts().counts_approvals


def test_the_three_timeouts_and_those_of_finally_become_microseconds() -> None:
    made = build.automation(
        spec("a", timeout="2h", finallyTimeout="10m", timeoutCountsApprovals=True, actions=[step(totalTimeout="1h")])
    )
    assert made.timeouts == Timeouts(7200 * SECOND, 600 * SECOND, counts_approvals=True)
    assert made.steps[0].total_timeout == 3600 * SECOND


def test_finally_steps_come_last_and_know_it() -> None:
    made = build.automation(spec("a", actions=[step("one")], **{"finally": [step("two")]}))
    assert [(each.id, each.final) for each in made.steps] == [("one", False), ("two", True)]


def test_durations_become_microseconds() -> None:
    made = one_step(timeout="1m", retry={"base": "250ms", "cap": "1h30m", "maxAttempts": 9, "jitter": "full"})
    assert made.timeout == 60 * SECOND
    assert made.retry == Retry(9, SECOND // 4, 5400 * SECOND, "full")


@pytest.mark.parametrize(
    ("raw", "dependency"),
    [
        ("a", Dependency("a")),
        ({"step": "a"}, Dependency("a")),
        ({"step": "a", "on": "failed"}, Dependency("a", "failed")),
    ],
)
def test_a_dependency_is_a_name_or_an_object(raw: Any, dependency: Dependency) -> None:
    assert one_step(dependsOn=[raw]).depends_on == (dependency,)


@pytest.mark.parametrize(
    ("keys", "asked"),
    [
        ({}, False),
        ({"approval": {}}, False),
        ({"approval": {"mode": "none"}}, False),
        ({"approval": {"mode": "manual"}}, True),
        ({"approval": {"mode": "manual", "requiresApproval": False}}, False),
        ({"approval": {"mode": "policy"}}, False),
        ({"approval": {"roles": ["sre"], "count": 2}}, True),
        ({"approval": {"reason": "Production"}}, True),
        ({"approval": {"roles": ["sre"], "mode": "none"}}, False),
        ({"approvalGate": {"requirement": {"roles": ["sre"]}}}, True),
        ({"approval": {"requiresApproval": True}}, True),
        ({"approvalGate": {"requirement": {"mode": "manual"}}}, True),
        ({"approvalGate": {"requirement": {"requiresApproval": True}, "blockedUntilApproved": True}}, True),
        ({"approvalGate": {"blockedUntilApproved": True}}, True),
        ({"approvalGate": {"blockedUntilApproved": False}}, False),
    ],
)
def test_a_step_asks_for_approval_when_its_author_said_so_in_either_spelling(keys: Any, asked: bool) -> None:
    assert (one_step(**keys).approval is not None) is asked


def test_a_webhook_s_route_defaults_to_the_automation_s_and_trigger_s_names() -> None:
    first, second, third = build.automation(
        spec("a", triggers=[webhook_trigger(), {**webhook_trigger(), "id": "named"}, webhook_trigger("/x", id="own")])
    ).triggers
    assert [(each.route.id, each.route.path) for each in (first, second, third) if each.route] == [
        ("a.0", "/webhooks/a.0"),
        ("a.named", "/webhooks/a.named"),
        ("own", "/x"),
    ]


def test_a_route_s_events_carry_the_trigger_s_source_and_type_unless_mapped() -> None:
    plain = build.trigger("a", 0, webhook_trigger()).route
    mapped = build.trigger("a", 0, webhook_trigger(mapping={"source": "s", "dataPath": "."})).route
    bare = build.trigger("a", 0, {"kind": "webhook", "route": {}}).route
    assert plain is not None
    assert mapped is not None
    assert bare is not None
    assert plain.mapping == RouteMapping("github", "push")
    assert (mapped.mapping.source, mapped.mapping.type, mapped.mapping.data_path) == ("s", "push", ".")
    assert (bare.mapping.source, bare.mapping.type) == ("a.0", "webhook")


def test_a_webhook_without_a_route_waits_for_one_registered_by_hand() -> None:
    assert build.trigger("a", 0, {"kind": "webhook"}).route is None


@pytest.mark.parametrize(("raw", "patterns"), [("a.*", ("a.*",)), (["a", "b"], ("a", "b"))])
def test_a_pattern_is_one_or_a_list(raw: Any, patterns: tuple[str, ...]) -> None:
    made = build.trigger("a", 3, {"kind": "event", "source": raw, "type": raw, "subject": raw})
    assert (made.id, made.sources, made.types, made.subjects) == ("3", patterns, patterns, patterns)


@pytest.mark.parametrize(
    ("given", "count"),
    [
        (0, 0),
        (2, 2),
        ([], 0),
        ([{"kind": "manual"}, {"kind": "manual", "count": 2}], 3),
        ([{"kind": "none"}, {"kind": "none", "count": 5}], 0),
    ],
)
def test_a_manifest_s_approvals_are_a_number_or_a_list(given: Any, count: int) -> None:
    assert build.manifest(action(requiredApprovals=given)).required_approvals == count


def test_bindings_keep_their_order_and_their_whole_configuration() -> None:
    given = [{"kind": "mcp", "server": "s", "tool": "t"}, {"kind": "http", "method": "POST", "url": "https://x"}]
    made = build.manifest(action(executorBindings=given))
    assert made.bindings == (Binding("mcp", given[0]), Binding("http", given[1]))


def test_the_digest_is_of_the_meaning_and_not_of_the_spelling() -> None:
    one, other = spec("a"), dict(reversed(spec("a").items()))
    assert build.automation(one).digest == build.automation(other).digest
    assert build.automation(spec("a", vars={"n": 1})).digest != build.automation(spec("a", vars={"n": 1.0})).digest


def test_a_whole_number_written_with_a_point_is_the_integer_that_the_schema_takes_it_for() -> None:
    made = one_step(retry={"maxAttempts": 4.0}, approval={"mode": "manual", "count": 2.0})
    counts = [made.retry.max_attempts, made.approval.count]
    counts.append(build.manifest(action(requiredApprovals=3.0)).required_approvals)
    counts.append(build.manifest(action(requiredApprovals=[{"kind": "manual", "count": 5.0}])).required_approvals)
    signed = build.signature({"secretRef": "secret://x", "toleranceSeconds": 300.0})
    assert repr([*counts, signed.tolerance_seconds]) == "[4, 2, 3, 5, 300]"
