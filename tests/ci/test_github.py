"""The composite action for GitHub: its own shell steps, run in order on a pull request's merge commit and on main."""

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

ACTION = yaml.safe_load((ROOT / "docs" / "ci" / "github" / "action.yml").read_text())
WORKFLOW = yaml.safe_load((ROOT / "docs" / "ci" / "github" / "workflow.yml").read_text())
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
NAME = re.compile(r"'[^']*'|\b(?:inputs|github|steps|secrets|vars)(?:\.[\w*-]+)+")


class Runner:
    """As much of GitHub's runner as a composite action needs: inputs, outputs, the path, conditions."""

    def __init__(self, project: Project, temporary: Path, wheel: Path) -> None:
        self.project = project
        self.temporary = temporary
        self.defaults = {name: str(each.get("default", "")) for name, each in ACTION["inputs"].items()} | {
            "store": project.store,
            "package": f"automations @ {wheel.as_uri()}",  # the form that a repository's URL has
        }
        self.path = project.environment["PATH"]
        self.log = ""
        self.outcomes: dict[str, str] = {}

    def value(self, name: str, inputs: dict[str, str], outputs: dict[str, str]) -> str:
        """What a name in an expression stands for."""
        known = {
            "github.token": "t0ken",
            "github.actor": "octocat",
            "github.event.pull_request.number": inputs.get("pull_request", ""),
            **{f"inputs.{key}": value for key, value in inputs.items()},
            **{f"steps.plan.outputs.{key}": value for key, value in outputs.items()},
            **self.outcomes,
        }
        if name.startswith("steps.plan.outputs."):
            return known.get(name, "")
        return known[name]

    def evaluated(self, text: str, inputs: dict[str, str], outputs: dict[str, str]) -> Any:
        """An expression's value; the operators are those of Python under other names."""

        def replaced(found: "re.Match[str]") -> str:
            return found[0] if found[0].startswith("'") else repr(self.value(found[0], inputs, outputs))

        python = NAME.sub(replaced, text).replace("!cancelled()", "True").replace("&&", " and ").replace("||", " or ")
        return eval(python, {"__builtins__": {}})  # noqa: S307  # our own file's expressions

    def filled(self, text: str, inputs: dict[str, str], outputs: dict[str, str]) -> str:
        """A text with its expressions worked out, twice: a default may hold one."""
        for _ in range(2):
            text = EXPRESSION.sub(lambda found: str(self.evaluated(found[1], inputs, outputs)), text)
        return text

    def run(self, **given: str) -> dict[str, "subprocess.CompletedProcess[str]"]:
        """Run the action; what became of each step that ran."""
        inputs = {
            **self.defaults,
            **{key.replace("_", "-"): value for key, value in given.items() if key != "pull_request"},
        }
        inputs["pull_request"] = given.get("pull_request", "7")
        outputs: dict[str, str] = {}
        self.outcomes = {f"steps.{step['id']}.outcome": "skipped" for step in ACTION["runs"]["steps"] if "id" in step}
        done: dict[str, subprocess.CompletedProcess[str]] = {}
        failed = False
        for step in ACTION["runs"]["steps"]:
            condition = EXPRESSION.sub(r"\1", step.get("if", ""))
            if failed and "cancelled()" not in condition:
                continue
            if condition and not self.evaluated(condition, inputs, outputs):
                continue
            ended = done[step["name"]] = self.step(step, inputs, outputs)
            self.outcomes[f"steps.{step.get('id')}.outcome"] = "failure" if ended.returncode else "success"
            failed = failed or ended.returncode != 0
        return done

    def step(
        self, step: dict[str, Any], inputs: dict[str, str], outputs: dict[str, str]
    ) -> "subprocess.CompletedProcess[str]":
        """Run one step with the files that a runner reads afterwards."""
        assert step["shell"] == "bash"
        files = {name: self.temporary / name for name in ("GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")}
        for name in ("GITHUB_OUTPUT", "GITHUB_PATH"):
            files[name].write_text("")
        variables = {key: self.filled(str(value), inputs, outputs) for key, value in step.get("env", {}).items()}
        ended = self.project.bash(
            step["run"],
            **variables,
            **{key: str(value) for key, value in files.items()},
            **QUIET,
            PATH=self.path,
            RUNNER_TEMP=str(self.temporary),
            GITHUB_API_URL=self.project.forge.url,
            GITHUB_REPOSITORY="acme/automations",
        )
        self.log += ended.stdout + ended.stderr
        for added in files["GITHUB_PATH"].read_text().splitlines():
            self.path = f"{added}:{self.path}"
        outputs |= dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
        return ended


def statuses(done: dict[str, "subprocess.CompletedProcess[str]"]) -> dict[str, int]:
    return {name: each.returncode for name, each in done.items()}


GREEN = {"Install": 0, "Validate": 0, "Test": 0, "Plan": 0}


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a runner keeps for one job; here for all, so that only the first installs what others find."""
    return tmp_path_factory.mktemp("runner")


@pytest.fixture
def runner(project: Project, temporary: Path, wheel: Path) -> Runner:
    """A runner whose first job has applied main."""
    made = Runner(project, temporary, wheel)
    assert statuses(made.run(apply="true", pull_request="")) == {**GREEN, "Apply": 0}, made.log
    return made


def test_a_pull_request_is_planned_from_its_merge_commit_and_commented_once(runner: Runner, project: Project) -> None:
    project.branch("rename")
    project.write("one", name="Another name")
    project.commit("Rename one")
    project.pull_request("rename")
    assert statuses(runner.run()) == {**GREEN, "Comment": 0, "Gate": 0}, runner.log
    (comment,) = project.forge.comments.values()
    assert comment.startswith("<!-- automations plan of default -->\n")
    assert "one" in comment
    assert "1 to change" in comment
    assert (
        runner.log.count("::warning file=automations.d/one.yaml,") == 2
    )  # once by this job, once by the one that applied
    assert all(credential == "Bearer t0ken" for _, _, credential in project.forge.requests)

    project.git("checkout", "--quiet", "rename")
    project.write("four")
    project.commit("And a fourth")
    project.pull_request("rename")
    project.forge.comments |= dict.fromkeys(range(2, 150), "somebody's")
    assert statuses(runner.run()) == {**GREEN, "Comment": 0, "Gate": 0}, runner.log
    assert "1 to add" in project.forge.comments[1]
    assert len(project.forge.comments) == 149
    assert [method for method, _, _ in project.forge.requests if method != "GET"] == ["POST", "PATCH"]


def test_a_pull_request_that_destroys_is_commented_and_stopped(runner: Runner, project: Project) -> None:
    project.branch("remove")
    (project.folder / "automations.d" / "three.yaml").unlink()
    project.commit("Remove three")
    project.pull_request("remove")
    done = runner.run()
    assert statuses(done) == {**GREEN, "Comment": 0, "Gate": 3}, runner.log
    assert "1 to destroy" in project.forge.comments[1]
    assert "::error" in done["Gate"].stdout
    assert statuses(runner.run(allow_destroy="true"))["Gate"] == 0


def test_what_was_merged_is_applied_under_the_name_of_who_did_it(runner: Runner, project: Project) -> None:
    project.branch("change")
    project.write("one", name="Another name")
    (project.folder / "automations.d" / "three.yaml").unlink()
    project.commit("Change one, remove three")
    commit = project.merge("change")
    done = runner.run(apply="true", pull_request="", allow_deletes="1")
    assert statuses(done) == {**GREEN, "Apply": 0}, runner.log
    listed = project.bash("automations --json list", PATH=runner.path, AUTOMATIONS_STORE=project.store)
    assert {each["id"]: each["spec"]["name"] for each in json.loads(listed.stdout)} == {
        "one": "Another name",
        "two": "A name",
    }
    history = project.bash("automations --json history one", PATH=runner.path, AUTOMATIONS_STORE=project.store)
    assert "github:octocat" in history.stdout
    assert commit in history.stdout
    assert project.forge.comments == {}


def test_a_wrong_spec_is_annotated_at_its_line_and_takes_the_place_of_the_last_plan(
    runner: Runner, project: Project
) -> None:
    project.branch("slip")
    project.write("one", name="Another name")
    project.commit("Rename one")
    project.pull_request("slip")
    runner.run()
    assert "1 to change" in project.forge.comments[1]

    project.git("checkout", "--quiet", "slip")
    project.write("one", name="[")
    project.commit("A slip")
    project.pull_request("slip")
    done = runner.run()
    assert statuses(done) == {"Install": 0, "Validate": 1, "Plan": 1, "Comment": 0}, runner.log
    (annotation,) = [line for line in done["Validate"].stdout.splitlines() if line.startswith("::error ")]
    assert annotation.startswith("::error file=automations.d/one.yaml,line=")
    assert "::error" not in done["Plan"].stdout  # once is enough
    assert "automations.d/one.yaml:" in done["Validate"].stdout.partition("::")[0]  # people read the log
    assert len(project.forge.comments) == 1
    assert "1 to change" not in project.forge.comments[1]
    assert "automations.d/one.yaml:" in project.forge.comments[1]


def test_an_error_that_only_the_state_shows_is_annotated_by_the_plan(runner: Runner, project: Project) -> None:
    done = runner.run(source="other")
    assert statuses(done) == {**GREEN, "Plan": 1, "Comment": 0}, runner.log
    assert "::error file=automations.d/one.yaml,line=2" in done["Plan"].stdout


def test_a_plan_that_could_not_be_made_says_so_where_the_last_one_stood(runner: Runner, project: Project) -> None:
    runner.run()
    assert "No changes" in project.forge.comments[1]
    broken = f"{project.store}.broken"
    Path(broken.removeprefix("sqlite:///")).write_text("nothing that a store could be" * 40)
    done = runner.run(store=broken)
    assert statuses(done) == {**GREEN, "Plan": 1, "Comment": 0}, runner.log
    assert "is not a database" in done["Plan"].stderr
    (comment,) = project.forge.comments.values()
    assert comment.startswith("<!-- automations plan of default -->\n")
    assert "**Planning failed**" in comment
    assert re.search(r"^    automations: .* is not a database", comment, re.MULTILINE)
    assert "No changes" not in comment


def test_what_is_wrong_is_not_applied(runner: Runner, project: Project) -> None:
    project.write("one", name="[")
    assert statuses(runner.run(apply="true", pull_request="")) == {"Install": 0, "Validate": 1, "Plan": 1}


def test_without_a_store_there_is_no_plan_that_would_call_everything_new(runner: Runner, project: Project) -> None:
    done = runner.run(store="")
    assert statuses(done) == {**GREEN, "Plan": 1}
    assert "::error" in done["Plan"].stdout


def test_nothing_is_installed_unless_somebody_says_what(runner: Runner) -> None:
    assert "default" not in ACTION["inputs"]["package"]
    done = runner.run(package="")
    assert statuses(done) == {"Install": 1}
    assert "::error" in done["Install"].stdout
    assert "input package is empty" in done["Install"].stdout


BRANCH, DEFAULT = "refs/heads/feature", "refs/heads/trunk"


@pytest.mark.parametrize(
    ("event", "ref", "jobs"),
    [
        ("pull_request", "refs/pull/7/merge", {"plan"}),
        ("push", DEFAULT, {"apply"}),
        ("workflow_dispatch", DEFAULT, {"apply"}),
        ("workflow_dispatch", BRANCH, set()),
        ("workflow_dispatch", "refs/tags/trunk", set()),
    ],
)
def test_only_the_default_branch_is_applied_whoever_starts_the_workflow(event: str, ref: str, jobs: set[str]) -> None:
    known = {
        "github.event_name": event,
        "github.ref": ref,
        "github.ref_name": ref.split("/", 2)[2],
        "github.event.repository.default_branch": "trunk",
    }
    assert {name for name, job in WORKFLOW["jobs"].items() if told(job["if"], known)} == jobs


def told(condition: str, known: dict[str, str]) -> bool:
    """A job's condition; operators and `format` are those of Python under other names."""
    python = NAME.sub(lambda found: found[0] if found[0].startswith("'") else repr(known[found[0]]), condition)
    python = python.replace("&&", " and ").replace("||", " or ")
    return bool(eval(python, {"__builtins__": {}, "format": str.format}))  # noqa: S307  # our own file's expressions


def test_inputs_reach_the_shell_as_variables_only() -> None:
    """An expression inside a script would let a branch's name become part of it."""
    assert [step["name"] for step in ACTION["runs"]["steps"] if "${{" in step["run"]] == []


def test_the_workflow_uses_the_action_with_inputs_that_it_has() -> None:
    for job in WORKFLOW["jobs"].values():
        (used,) = (step for step in job["steps"] if step.get("uses") == "./.github/actions/automations")
        assert set(used["with"]) <= set(ACTION["inputs"])
        assert {name for name, each in ACTION["inputs"].items() if each.get("required")} <= set(used["with"])
    assert WORKFLOW["jobs"]["plan"]["permissions"]["pull-requests"] == "write"
