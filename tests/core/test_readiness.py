"""Readiness: the verdict over a step's dependencies, for every way in which one can stand."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.core.run.readiness import Ready, Skip, Standing, Waiting, readiness
from automations.core.run.states import FINAL, ActionStatus, SkipReason
from automations.core.spec.model import Dependency, Step

ONS = ("default", "succeeded", "completed", "failed")
FAILED, SKIPPED, SUCCEEDED = SkipReason.UPSTREAM_FAILED, SkipReason.UPSTREAM_SKIPPED, SkipReason.UPSTREAM_SUCCEEDED
standings = st.one_of(
    st.sampled_from([each for each in ActionStatus if each is not ActionStatus.SKIPPED]).flatmap(
        lambda status: st.booleans().map(lambda continues: Standing(status, None, continues))
    ),
    st.sampled_from(list(SkipReason)).map(lambda reason: Standing(ActionStatus.SKIPPED, reason)),
)


def verdict(on: str, standing: Standing) -> object:
    return readiness(Step("b", "x", depends_on=(Dependency("a", on),)), {"a": standing})  # type: ignore[arg-type]  # words


@pytest.mark.parametrize(("on", "status"), list(product(ONS, [each for each in ActionStatus if each not in FINAL])))
def test_a_dependency_that_is_not_over_is_waited_for(on: str, status: ActionStatus) -> None:
    assert verdict(on, Standing(status)) == Waiting()


@pytest.mark.parametrize("on", ["default", "succeeded", "completed"])
def test_success_is_enough_for_all_but_failed(on: str) -> None:
    assert verdict(on, Standing(ActionStatus.SUCCEEDED)) == Ready()
    assert verdict("failed", Standing(ActionStatus.SUCCEEDED)) == Skip(SUCCEEDED)


@pytest.mark.parametrize("status", [ActionStatus.FAILED, ActionStatus.DEAD, ActionStatus.REJECTED])
@pytest.mark.parametrize("continues", [False, True])
def test_every_bad_end_is_a_failure_to_dependants(status: ActionStatus, continues: bool) -> None:
    standing = Standing(status, None, continues)
    assert verdict("default", standing) == (Ready() if continues else Skip(FAILED))
    assert verdict("succeeded", standing) == Skip(FAILED)
    assert verdict("failed", standing) == Ready()
    assert verdict("completed", standing) == Ready()


@pytest.mark.parametrize(
    ("reason", "default"),
    [(SkipReason.WHEN, Ready()), (FAILED, Skip(FAILED)), (SKIPPED, Skip(SKIPPED)), (SUCCEEDED, Skip(SUCCEEDED))],
)
def test_a_skip_hands_its_reason_on_unless_it_was_the_author_s_when(reason: SkipReason, default: object) -> None:
    standing = Standing(ActionStatus.SKIPPED, reason)
    assert verdict("default", standing) == default
    assert verdict("succeeded", standing) == Skip(SKIPPED)
    assert verdict("failed", standing) == Skip(SKIPPED)
    assert verdict("completed", standing) == Ready()


def test_a_step_that_waits_for_nothing_is_ready() -> None:
    assert readiness(Step("a", "x"), {}) == Ready()


@given(st.lists(st.tuples(st.sampled_from(ONS), standings), max_size=5))
def test_one_dependency_that_rules_out_beats_any_that_wait_and_those_beat_any_that_allow(
    given_dependencies: list[tuple[str, Standing]],
) -> None:
    alone = [verdict(on, standing) for on, standing in given_dependencies]
    step = Step("z", "x", depends_on=tuple(Dependency(str(i), on) for i, (on, _) in enumerate(given_dependencies)))  # type: ignore[arg-type]  # words
    together = readiness(step, {str(i): standing for i, (_, standing) in enumerate(given_dependencies)})
    ruled_out = [each for each in alone if isinstance(each, Skip)]
    expected = ruled_out[0] if ruled_out else Waiting() if Waiting() in alone else Ready()
    assert together == expected
