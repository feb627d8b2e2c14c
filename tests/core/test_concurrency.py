"""Who begins, waits, is dropped or makes room: as a table, and as laws over any sequence of arrivals and ends."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automations.core.expression.template import compile_template
from automations.core.run.concurrency import (
    KEY_ROOTS,
    Admission,
    KeyInvalid,
    Line,
    Rival,
    admit,
    policy_of,
    rendered,
    wants_slot,
)
from automations.core.run.states import ActionStatus, RunStatus
from automations.core.spec.model import Concurrency

BEGINS, WAITS, DROPPED = RunStatus.MATERIALIZED, RunStatus.PENDING, RunStatus.DROPPED


@pytest.mark.parametrize(
    ("policy", "line", "status"),
    [
        ({}, (0, 0), BEGINS),
        ({}, (1, 0), WAITS),
        ({"limit": 2}, (1, 0), BEGINS),
        ({"limit": 2}, (1, 1), WAITS),
        ({"max_queued": 2}, (1, 1), WAITS),
        ({"max_queued": 2}, (1, 2), DROPPED),
        ({"max_queued": 0}, (1, 0), DROPPED),
        ({"max_queued": 0}, (0, 0), BEGINS),
        ({"overlap": "skip"}, (0, 0), BEGINS),
        ({"overlap": "skip"}, (1, 0), DROPPED),
        ({"overlap": "latest"}, (0, 0), BEGINS),
        ({"overlap": "latest", "max_queued": 0}, (1, 0), WAITS),
        ({"overlap": "cancel-running"}, (0, 0), BEGINS),
    ],
)
def test_a_run_that_arrives(policy: dict[str, Any], line: tuple[int, int], status: RunStatus) -> None:
    admission = admit(Concurrency(**policy), Line(*line))
    assert admission.status is status
    assert (admission.reason is not None) == (status is DROPPED)


WAITING, RETURNING, HELD, RELEASED = (
    Rival(name, name, stopping=False) for name in ("waiting", "returning", "held", "released")
)
LEAVING = Rival("leaving", "held", stopping=True)


@pytest.mark.parametrize(
    ("policy", "line", "rivals", "wanted"),
    [
        # Only who never began is superseded: a run that came back for its slot has work behind it.
        ({"overlap": "latest"}, (1, 2), (HELD, RETURNING, WAITING), Admission(WAITS, supersede=("waiting",))),
        ({"overlap": "cancel-running"}, (1, 0), (HELD,), Admission(WAITS, cancel=("held",))),
        ({"overlap": "cancel-running"}, (1, 1), (LEAVING, WAITING), Admission(WAITS, supersede=("waiting",))),
        ({"overlap": "cancel-running"}, (1, 0), (LEAVING,), Admission(WAITS)),
        ({"overlap": "cancel-running"}, (0, 0), (RELEASED,), Admission(WAITS, cancel=("released",))),
        ({"overlap": "cancel-running", "limit": 2}, (1, 0), (HELD,), Admission(BEGINS)),
        ({"overlap": "cancel-running", "limit": 2}, (1, 1), (HELD, WAITING), Admission(WAITS, cancel=("held",))),
    ],
)
def test_whom_a_run_replaces(
    policy: dict[str, Any], line: tuple[int, int], rivals: tuple[Rival, ...], wanted: Admission
) -> None:
    assert admit(Concurrency(**policy), Line(*line), rivals) == wanted


@pytest.mark.parametrize(
    ("given_", "overlap", "wanted"),
    [
        (None, None, None),
        (Concurrency(overlap="parallel"), None, None),
        (Concurrency(key="k"), None, Concurrency(key="k")),
        (None, "queue", Concurrency(key="schedule:nightly", overlap="queue")),
        (Concurrency(key="k", limit=2), "cancel-running", Concurrency(key="k", limit=2, overlap="cancel-running")),
        (Concurrency(key="k", overlap="parallel"), "queue", Concurrency(key="k", overlap="queue")),
    ],
)
def test_a_schedule_s_overlap_uses_the_automation_s_key_where_it_has_one(
    given_: Concurrency | None, overlap: Any, wanted: Concurrency | None
) -> None:
    assert policy_of(given_, overlap=overlap, trigger_id="nightly") == wanted


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("prod", "prod"),
        ("", ""),
        ("${{ inputs.x }}", "7"),
        ("a-${{ inputs.x }}", "a-7"),
        ("${{ inputs.x == 7 }}", "true"),
    ],
)
def test_a_key_is_text(text: str, key: str) -> None:
    assert rendered(compile_template(text, roots=KEY_ROOTS), {"inputs": {"x": 7}}) == key


@pytest.mark.parametrize("value", [None, [], {"a": 1}, "x" * 513, "\0"])
def test_anything_else_is_no_key_and_says_why(value: Any) -> None:
    found = rendered(compile_template("${{ inputs.x }}", roots=KEY_ROOTS), {"inputs": {"x": value}})
    assert isinstance(found, KeyInvalid)
    assert found.message.startswith("the concurrency key")


@pytest.mark.parametrize(
    ("statuses", "wants"),
    [
        ({"succeeded", "skipped"}, False),
        ({"waiting_approval", "blocked"}, False),
        ({"waiting_approval", "queued"}, True),
        ({"waiting_approval", "retrying"}, True),
        ({"blocked", "rejected"}, True),
        ({"claimed"}, True),
    ],
)
def test_a_run_wants_a_slot_while_anything_but_an_approval_is_to_be_done(statuses: set[str], wants: bool) -> None:
    assert wants_slot({ActionStatus(each) for each in statuses}) is wants


# Laws over any sequence of arrivals and ends, played with the decisions alone.


@dataclass
class Key:
    """The runs of one key as a service would keep them."""

    policy: Concurrency
    rivals: list[Rival] = field(default_factory=list)
    fates: dict[str, str] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)
    count: int = 0

    def line(self) -> Line:
        return Line(self.having("held"), self.having("waiting"))

    def having(self, slot: str) -> int:
        return sum(each.slot == slot for each in self.rivals)

    def arrive(self) -> str:
        self.count += 1
        name = f"{self.count:03d}"
        admission = admit(self.policy, self.line(), self.rivals)
        for gone in admission.supersede:
            self.end(gone, "superseded")
        for gone in admission.cancel:
            at = [each.id for each in self.rivals].index(gone)
            self.rivals[at] = self.rivals[at]._replace(stopping=True)
        if admission.status is DROPPED:
            self.fates[name] = "dropped"
        else:
            self.rivals.append(Rival(name, "held" if admission.status is BEGINS else "waiting", stopping=False))
            self.begun += [name] if admission.status is BEGINS else []
        return name

    def end(self, name: str, fate: str) -> None:
        self.rivals = [each for each in self.rivals if each.id != name]
        self.fates[name] = fate
        while self.having("held") < self.policy.limit:
            waiting = [at for at, each in enumerate(self.rivals) if each.slot == "waiting"]
            if not waiting:
                return
            self.rivals[waiting[0]] = self.rivals[waiting[0]]._replace(slot="held")
            self.begun.append(self.rivals[waiting[0]].id)

    def holders(self) -> list[Rival]:
        return [each for each in self.rivals if each.slot == "held"]


POLICIES = st.builds(
    Concurrency,
    limit=st.integers(1, 3),
    overlap=st.sampled_from(["queue", "skip", "latest", "cancel-running"]),
    max_queued=st.integers(0, 4),
)


@settings(max_examples=300)
@given(POLICIES, st.lists(st.one_of(st.none(), st.integers(0, 5)), max_size=40))
def test_whatever_comes_and_ends_the_slots_are_kept_and_everybody_has_a_fate(
    policy: Concurrency, moves: list[int | None]
) -> None:
    key = Key(policy)
    for move in moves:
        if move is None:
            newest = key.arrive()
            if policy.overlap in ("latest", "cancel-running"):
                assert newest not in key.fates, "the newest always survives"
            if policy.overlap == "latest":
                assert key.having("waiting") <= 1
            if policy.overlap == "cancel-running":
                assert sum(not each.stopping for each in key.rivals) <= policy.limit
        elif holders := key.holders():
            key.end(holders[move % len(holders)].id, "ended")
        assert key.having("held") <= policy.limit
        assert not key.having("waiting") or key.having("held") == policy.limit
        assert policy.overlap != "queue" or key.having("waiting") <= policy.max_queued
    while holders := key.holders():
        key.end(holders[0].id, "ended")
    assert len(key.fates) == key.count, "every run that waited began, or has a reason"
    assert key.begun == sorted(key.begun), "first come, first served"
