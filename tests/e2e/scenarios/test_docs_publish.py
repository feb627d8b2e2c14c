"""While one version of the documentation is published, of those that wait only the newest counts."""

from collections.abc import Callable

from e2e.conftest import until
from e2e.scenarios.conftest import Scenario

COMMITS = [f"{number}a1b2c3" for number in range(8)]


def test_of_eight_pushes_the_first_and_the_newest_are_published(staged: Callable[[str], Scenario]) -> None:
    scenario = staged("docs-publish")
    site = scenario.site
    held = scenario.world / f"hold-{COMMITS[0]}"
    held.touch()
    site.start("run", "automations.d")
    runs = []
    for commit in COMMITS:
        event = {"id": commit, "source": "git", "type": "push", "data": {"ref": "refs/heads/main", "commit": commit}}
        runs.append(site.send(event)["materialized"][0]["run"]["id"])
        until(lambda: scenario.written("begun") == COMMITS[:1], what="the first is begun, and no other")
    assert [site.run(run)["status"] for run in runs] == ["running", *["superseded"] * 6, "pending"]
    held.unlink()
    assert [site.over(run)["status"] for run in runs] == ["succeeded", *["superseded"] * 6, "succeeded"]
    assert scenario.written("begun") == [COMMITS[0], COMMITS[7]]
    assert scenario.written("site") == [COMMITS[7]]
