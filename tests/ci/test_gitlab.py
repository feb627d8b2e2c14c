"""The template for GitLab: its own scripts, run on a merge request's merge commit and on the default branch."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ci.conftest import Project
from wheel import QUIET, ROOT

if TYPE_CHECKING:
    import subprocess

pytestmark = pytest.mark.timeout(600)  # packages are installed

TEMPLATE: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "ci" / "gitlab.yml").read_text())
JOBS = {name: job for name, job in TEMPLATE.items() if name.startswith("automations:")}
GUIDE = (ROOT / "docs" / "how-to" / "ci.md").read_text()
ADVISED = re.findall(r"^ +\| `(\w+)` \| `([\w*]+)` \| ([\w, ]*)\|", GUIDE, re.MULTILINE)
"""The project's variables as the guide has people set them: name, environment, flags."""


class Runner:
    """As much of GitLab's runner as the template needs: variables, `extends`, one shell for all scripts of a job."""

    def __init__(self, project: Project, wheel: Path, environments: Path) -> None:
        self.project = project
        self.environments = environments
        (project.folder / ".git" / "info" / "exclude").write_text("automations-plan.md\n")
        self.variables = {key: str(value) for key, value in TEMPLATE["variables"].items()} | {
            "AUTOMATIONS_PACKAGE": f"automations @ {wheel.as_uri()}",  # the form that a repository's URL has
            "AUTOMATIONS_VENV": str(environments),  # jobs share what the first installed, as they would with a cache
            "AUTOMATIONS_STORE": project.store,
            "CI_API_V4_URL": project.forge.url,
            "CI_PROJECT_ID": "42",
            "GITLAB_USER_LOGIN": "ada",
        }

    def run(self, name: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run a job; variables of the pipeline win over those of the template."""
        job = {**TEMPLATE[TEMPLATE[name]["extends"]], **TEMPLATE[name]}
        script = "\n".join([*job["before_script"], *job["script"]])
        return self.project.bash(script, **{**self.variables, **QUIET, **variables})

    def plan(self, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run the job of a merge request."""
        given = {"CI_MERGE_REQUEST_IID": "7", "AUTOMATIONS_GITLAB_TOKEN": "glpat", **variables}
        return self.run("automations:plan", **given)


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the jobs install."""
    return tmp_path_factory.mktemp("environments")


@pytest.fixture
def runner(project: Project, wheel: Path, environments: Path) -> Runner:
    """A runner that has applied main."""
    made = Runner(project, wheel, environments)
    for job in ("automations:check", "automations:apply"):
        done = made.run(job)
        assert done.returncode == 0, done.stdout + done.stderr
    return made


def test_a_merge_request_is_planned_and_noted_once(runner: Runner, project: Project) -> None:
    project.branch("rename")
    project.write("one", name="Another name")
    project.commit("Rename one")
    project.pull_request("rename")
    done = runner.plan()
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.forge.comments[1].startswith("<!-- automations plan of default -->\n")
    assert "1 to change" in project.forge.comments[1]
    assert (project.folder / "automations-plan.md").read_text() in project.forge.comments[1]
    assert all(credential == "glpat" for _, _, credential in project.forge.requests)
    assert {path for _, path, _ in project.forge.requests} == {"/projects/42/merge_requests/7/notes"}

    project.git("checkout", "--quiet", "rename")
    project.write("four")
    project.commit("And a fourth")
    project.pull_request("rename")
    assert runner.plan().returncode == 0
    assert len(project.forge.comments) == 1
    assert "1 to add" in project.forge.comments[1]
    assert project.forge.requests[-1][:2] == ("PUT", "/projects/42/merge_requests/7/notes/1")


def test_a_merge_request_that_destroys_waits_for_a_label(runner: Runner, project: Project) -> None:
    project.branch("remove")
    (project.folder / "automations.d" / "three.yaml").unlink()
    project.commit("Remove three")
    project.pull_request("remove")
    done = runner.plan(CI_MERGE_REQUEST_LABELS="bug,not-destroy-approved")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "destroy-approved" in done.stdout
    assert "1 to destroy" in project.forge.comments[1]
    assert runner.plan(CI_MERGE_REQUEST_LABELS="bug,destroy-approved").returncode == 0


def test_without_a_token_the_plan_is_only_an_artifact(runner: Runner, project: Project) -> None:
    done = runner.plan(AUTOMATIONS_GITLAB_TOKEN="")
    assert done.returncode == 0
    assert project.forge.requests == []
    assert TEMPLATE["automations:plan"]["artifacts"]["paths"] == ["automations-plan.md"]
    assert (project.folder / "automations-plan.md").is_file()


def test_a_wrong_spec_fails_the_check_and_the_plan(runner: Runner, project: Project) -> None:
    project.write("one", name="[")
    assert runner.run("automations:check").returncode == 1
    assert runner.plan().returncode == 1
    assert "automations.d/one.yaml" in project.forge.comments[1]


def test_a_plan_that_could_not_be_made_says_so_where_the_last_one_stood(runner: Runner, project: Project) -> None:
    assert runner.plan().returncode == 0
    assert "No changes" in project.forge.comments[1]
    broken = f"{project.store}.broken"
    Path(broken.removeprefix("sqlite:///")).write_text("nothing that a store could be" * 40)
    done = runner.plan(AUTOMATIONS_STORE=broken)
    assert done.returncode == 1
    assert "is not a database" in done.stderr
    (note,) = project.forge.comments.values()
    assert note.startswith("<!-- automations plan of default -->\n")
    assert "**Planning failed**" in note
    assert re.search(r"^    automations: .* is not a database", note, re.MULTILINE)
    assert "No changes" not in note


def test_what_was_merged_is_applied_under_the_name_of_who_did_it(runner: Runner, project: Project) -> None:
    project.branch("change")
    project.write("one", name="Another name")
    (project.folder / "automations.d" / "three.yaml").unlink()
    project.commit("Change one, remove three")
    commit = project.merge("change")
    done = runner.run("automations:apply", AUTOMATIONS_ALLOW_DELETES="1")
    assert done.returncode == 0, done.stdout + done.stderr
    program = f"{runner.environments}/bin/automations --json"
    listed = project.bash(f"{program} list", AUTOMATIONS_STORE=project.store)
    assert {each["id"]: each["spec"]["name"] for each in json.loads(listed.stdout)} == {
        "one": "Another name",
        "two": "A name",
    }
    history = project.bash(f"{program} history one", AUTOMATIONS_STORE=project.store)
    assert "gitlab:ada" in history.stdout
    assert commit in history.stdout


def test_without_a_store_there_is_no_plan_that_would_call_everything_new(runner: Runner) -> None:
    assert runner.plan(AUTOMATIONS_STORE="").returncode == 1


def test_nothing_is_installed_unless_somebody_says_what(runner: Runner) -> None:
    assert "AUTOMATIONS_PACKAGE" not in TEMPLATE["variables"]
    del runner.variables["AUTOMATIONS_PACKAGE"]
    done = runner.run("automations:check")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("AUTOMATIONS_PACKAGE is not set: ")


# ------------------------------------------------------------------ which jobs there are, and what they are given


@pytest.mark.parametrize(
    ("pipeline", "jobs"),
    [
        ({"CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_IID": "7"}, {"check", "plan"}),
        ({"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "feature"}, set()),
        ({"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_TAG": "trunk"}, set()),
        ({"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "trunk"}, {"check", "apply"}),
        ({"CI_PIPELINE_SOURCE": "web", "CI_COMMIT_BRANCH": "feature"}, set()),
    ],
)
def test_a_merge_request_has_one_pipeline_and_only_the_default_branch_is_applied(
    pipeline: dict[str, str], jobs: set[str]
) -> None:
    known = {"CI_DEFAULT_BRANCH": "trunk", **pipeline}
    ours = {name.removeprefix("automations:") for name, job in JOBS.items() if wanted(job, known)}
    assert ours == jobs


def wanted(job: dict[str, Any], known: dict[str, str]) -> bool:
    """Whether a pipeline with these variables has the job; without rules, every pipeline of a branch or tag has it."""
    if "rules" not in job:
        return known["CI_PIPELINE_SOURCE"] != "merge_request_event"
    return any(told(rule["if"], known) for rule in job["rules"])


def told(condition: str, known: dict[str, str]) -> bool:
    """A rule's condition; the operators are those of Python under other names, and what is not set is null."""
    python = re.sub(r"\$(\w+)", lambda found: repr(known.get(found[1])), condition)
    return bool(eval(python.replace("&&", " and ").replace("||", " or "), {"__builtins__": {}}))  # noqa: S307  # our own


def given(environment: str | None, *, protected: bool) -> dict[str, str]:
    """The environment that each variable comes from, for a job of an environment on a branch."""
    rows = [row for row in ADVISED if row[1] in ("*", environment) and (protected or "protected" not in row[2])]
    return {name: scope for name, scope, _ in sorted(rows, key=lambda row: row[1] != "*")}


def test_the_variables_of_the_guide_reach_the_jobs_that_need_them(runner: Runner, project: Project) -> None:
    assert given(JOBS["automations:plan"].get("environment"), protected=False)["AUTOMATIONS_STORE"] == "*"
    assert given(JOBS["automations:apply"]["environment"], protected=True)["AUTOMATIONS_STORE"] == "production"
    assert given(JOBS["automations:apply"]["environment"], protected=False)["AUTOMATIONS_STORE"] == "*"
    project.branch("rename")
    project.write("one", name="Another name")
    project.commit("Rename one")
    project.pull_request("rename")
    seen = given(None, protected=False)
    runner.variables |= {name: "" for name, _, _ in ADVISED if name not in seen}
    done = runner.run("automations:plan", CI_MERGE_REQUEST_IID="7", AUTOMATIONS_GITLAB_TOKEN="glpat")
    assert done.returncode == 0, done.stdout + done.stderr
    named = set(re.findall(r"AUTOMATIONS_\w+", "\n".join(JOBS["automations:plan"]["script"])))
    assert named - set(TEMPLATE["variables"]) <= set(seen)
