"""The local-shell executor with real processes: what reaches the process, what comes out, and that nothing is left."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

import samples
from automations.adapters.executors.local_shell import LocalShell
from automations.adapters.executors.process import Limits
from automations.core.run.execution import Cancelled, Failed, Invocation, Outcome, Succeeded

PATIENCE = 10.0
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/home/someone",
    "LANG": "C.UTF-8",
    "EXTRA": "extra",
    "HASNA_AUTOMATIONS_SECRET_X": "canary",
    "AUTOMATIONS_WEBHOOK_SECRET_R": "canary",
    "AUTOMATIONS_TOKEN": "canary",
}
TREE = """
import os, signal, subprocess, sys, time
mode, ready = sys.argv[1], sys.argv[2]
code = 'import os, signal, sys, time\\n'
if 'stubborn' in mode:
    code += 'signal.signal(signal.SIGTERM, signal.SIG_IGN)\\n'
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if 'away' in mode:
    code += 'os.setsid()\\n'
code += 'open(sys.argv[1] + "." + str(os.getpid()), "w").close()\\ntime.sleep(60)'
for _ in range(3):
    subprocess.Popen([sys.executable, '-S', '-E', '-c', code, ready])
while len([n for n in os.listdir(os.path.dirname(ready)) if n.startswith('pid.')]) < 3:
    time.sleep(0.005)
open(ready + '.' + str(os.getpid()), 'w').close()
if 'leave' in mode:
    print('{"left": true}', flush=True)
else:
    time.sleep(60)
"""


def shell(root: Path, *, grace: float = 0.3, drain: float = 1.0, output: int = 64 * 1024) -> LocalShell:
    return LocalShell(root, ENVIRONMENT, limits=Limits(grace=grace, drain=drain, output=output))


def invocation(config: Mapping[str, Any], **data: Any) -> Invocation:
    return samples.invocation("local-shell", config, **data)


def run(root: Path, config: Mapping[str, Any], **data: Any) -> Outcome:
    return shell(root).execute(invocation(config, **data), Event())


def python(code: str, *args: str) -> dict[str, Any]:
    return {"command": sys.executable, "args": ["-S", "-E", "-c", code, *args]}


def output(result: Outcome) -> Any:
    assert isinstance(result, Succeeded), result
    return result.output


def failure(result: Outcome) -> Failed:
    assert isinstance(result, Failed), result
    return result


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not collected by its new parent does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def until(condition: Callable[[], bool], *, seconds: float = PATIENCE) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def pids(folder: Path) -> list[int]:
    return sorted(int(entry.name.split(".")[1]) for entry in folder.glob("pid.*"))


# What reaches the process


def test_only_a_few_variables_are_inherited_and_the_run_s_own_are_set(tmp_path: Path) -> None:
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    config = {**python(code), "env": {"MINE": "1", "AUTOMATIONS_FENCE": "99", "N": 7}}
    seen = output(run(tmp_path, config))
    assert seen.pop("AUTOMATIONS_QUEUED_ACTION")
    assert seen.pop("LC_CTYPE", None) in {None, "C.UTF-8"}  # the interpreter's own, under the C locale
    assert seen == {
        "PATH": ENVIRONMENT["PATH"],
        "HOME": ENVIRONMENT["HOME"],
        "MINE": "1",
        "N": "7",
        "OPEN_ACTIONS_RUN_ID": "run-1",
        "OPEN_ACTIONS_ACTION_ID": "k8s.deploy",
        "OPEN_ACTIONS_ACTION_VERSION": "1.2.3",
        "OPEN_ACTIONS_DRY_RUN": "false",
        "AUTOMATIONS_FENCE": "5",
        "AUTOMATIONS_IDEMPOTENCY_KEY": "deploys:event-1:ship",
        "AUTOMATIONS_ATTEMPT": "2",
        "AUTOMATIONS_CAUSE": "run=run-1;hops=0",
    }


@pytest.mark.parametrize(
    ("inherit", "names"),
    [
        (False, set()),
        ([], set()),
        (["EXTRA"], {"EXTRA"}),
        (["AUTOMATIONS_TOKEN", "ABSENT"], {"AUTOMATIONS_TOKEN"}),
        (True, {"EXTRA", "LANG"}),
    ],
)
def test_more_is_inherited_when_asked_but_our_own_keys_only_by_name(
    tmp_path: Path, inherit: Any, names: set[str]
) -> None:
    code = "import json, os; print(json.dumps(list(os.environ)))"
    seen = set(output(run(tmp_path, {**python(code), "inheritEnv": inherit})))
    assert seen & (set(ENVIRONMENT) - {"PATH", "HOME"}) == names


@pytest.mark.parametrize(
    ("mode", "on_stdin", "in_variable"),
    [
        ("stdin-json", True, False),
        ("env-json", False, True),
        ("stdin-and-env-json", True, True),
        ("none", False, False),
    ],
)
def test_the_input_takes_the_ways_that_its_mode_names(
    tmp_path: Path, mode: str, on_stdin: bool, in_variable: bool
) -> None:
    code = 'import json, os, sys; print(json.dumps([sys.stdin.read(), os.environ.get("OPEN_ACTIONS_INPUT")]))'
    stdin, variable = output(run(tmp_path, {**python(code), "inputMode": mode}, a=1))
    assert stdin == ('{"a":1}\n' if on_stdin else "")
    assert variable == ('{"a":1}' if in_variable else None)


def test_a_dry_run_is_told_to_the_process(tmp_path: Path) -> None:
    config = {**python('import os; print(os.environ["OPEN_ACTIONS_DRY_RUN"])'), "outputMode": "text"}
    result = shell(tmp_path).execute(replace(invocation(config), dry_run=True), Event())
    assert output(result) == "true\n"


@pytest.mark.parametrize(
    "payload", ["$(touch canary)", "`touch canary`", "; touch canary", "| touch canary", "-c", "\n"]
)
def test_data_in_arguments_variables_and_input_is_never_run(tmp_path: Path, payload: str) -> None:
    code = 'import json, os, sys; print(json.dumps([sys.argv[1], os.environ["X"], json.load(sys.stdin)["x"]]))'
    config = {**python(code, payload), "env": {"X": payload}}
    assert output(run(tmp_path, config, x=payload)) == [payload] * 3
    assert not (tmp_path / "canary").exists()


def test_a_shell_runs_only_where_the_manifest_names_one(tmp_path: Path) -> None:
    config = {"command": "sh", "args": ["-c", 'printf "%s" "$1"', "sh", "$(id)"], "outputMode": "text"}
    assert output(run(tmp_path, config)) == "$(id)"
    missing = failure(run(tmp_path, {"command": "echo hello; id"}))
    assert missing.code == "COMMAND_NOT_FOUND"


def test_a_large_input_that_nobody_reads_does_no_harm(tmp_path: Path) -> None:
    assert output(run(tmp_path, python("print(1)"), big="x" * 1_000_000)) == 1
    echo = python("import json, sys; print(len(json.load(sys.stdin)['big']))")
    assert output(run(tmp_path, echo, big="x" * 1_000_000)) == 1_000_000


# Where it runs


def test_the_working_directory_lies_below_the_root(tmp_path: Path) -> None:
    (tmp_path / "root" / "sub").mkdir(parents=True)
    (tmp_path / "root" / "inside").symlink_to("sub")
    code = {**python("import os; print(os.getcwd())"), "outputMode": "text"}
    root = tmp_path / "root"
    assert output(run(root, code)) == f"{root}\n"
    assert output(run(root, {**code, "cwd": "sub"})) == f"{root / 'sub'}\n"
    assert output(run(root, {**code, "cwd": "inside"})) == f"{root / 'sub'}\n"
    assert output(run(root, {**code, "cwd": str(root / "sub")})) == f"{root / 'sub'}\n"


@pytest.mark.parametrize("cwd", ["..", "sub/../..", "/", "/tmp", "out", "missing", "file", "loop", "a\0b", ""])  # noqa: S108  # refused
def test_a_working_directory_elsewhere_is_refused(tmp_path: Path, cwd: str) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "out").symlink_to(tmp_path)
    (root / "loop").symlink_to("loop")
    (root / "file").touch()
    refused = failure(run(root, {**python("open('canary', 'w')"), "cwd": cwd}))
    assert (refused.code, refused.retryable) == ("BINDING_INVALID", False)
    assert "cwd" in refused.message
    assert not list(tmp_path.rglob("canary"))


# What comes out


@pytest.mark.parametrize(
    ("printed", "mode", "expected"),
    [
        ("", "json", {}),
        ("\n  \n", "json", {}),
        (' {"a": [1]} \n', "json", {"a": [1]}),
        ("null", "json", None),
        (" kept \n", "text", " kept \n"),
    ],
)
def test_output_is_read_as_its_mode_says(tmp_path: Path, printed: str, mode: str, expected: Any) -> None:
    code = python("import sys; sys.stdout.write(sys.argv[1])", printed)
    assert output(run(tmp_path, {**code, "outputMode": mode})) == expected


def test_a_shell_result_tells_the_whole_process(tmp_path: Path) -> None:
    code = python("import sys; print('out'); print('err', file=sys.stderr)", "arg")
    result = output(run(tmp_path, {**code, "outputMode": "shell-result"}))
    assert (result["exitCode"], result["stdout"], result["stderr"]) == (0, "out\n", "err\n")
    assert (result["status"], result["code"], result["signal"], result["args"][-1]) == ("success", 0, None, "arg")


def test_long_text_keeps_its_head_and_tail_and_says_so(tmp_path: Path) -> None:
    code = {**python("print('head' + 'x' * 3_000_000 + 'tail')"), "outputMode": "text"}
    result = run(tmp_path, code)
    text = output(result)
    assert text.startswith("headx")
    assert text.endswith("xtail\n")
    assert "bytes left out" in text
    assert len(text) < 70_000
    assert isinstance(result, Succeeded)
    assert result.metadata["truncated"] is True


def test_output_that_is_not_utf8_is_shown_with_replacement_characters(tmp_path: Path) -> None:
    code = {**python("import sys; sys.stdout.buffer.write(b'a\\xffb')"), "outputMode": "text"}
    assert output(run(tmp_path, code)) == "a\ufffdb"


@pytest.mark.parametrize(
    ("status", "retryable"), [(1, True), (2, True), (64, True), (65, False), (75, True), (78, False), (127, True)]
)
def test_an_exit_status_says_whether_trying_again_can_help(tmp_path: Path, status: int, retryable: bool) -> None:
    result = failure(run(tmp_path, {"command": "sh", "args": ["-c", f"echo why >&2; exit {status}"]}))
    assert (result.code, result.retryable) == ("COMMAND_FAILED", retryable)
    assert result.metadata == {"exitCode": status, "stderr": "why"}


def test_a_process_ended_by_a_signal_may_be_tried_again(tmp_path: Path) -> None:
    result = failure(run(tmp_path, {"command": "sh", "args": ["-c", "kill -SEGV $$"]}))
    assert (result.code, result.retryable, result.metadata["signal"]) == ("COMMAND_KILLED", True, "SIGSEGV")


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"command": "no-such-program-here"}, "COMMAND_NOT_FOUND"),
        ({"command": "./missing"}, "COMMAND_NOT_FOUND"),
        ({"command": "./plain"}, "CANNOT_START"),
        ({"command": "true", "args": ["a\0b"]}, "CANNOT_START"),
        ({"command": "true", "env": {"A=B": "c"}}, "CANNOT_START"),
        ({"command": "true", "args": ["\ud800"]}, "CANNOT_START"),
        ({"command": ""}, "BINDING_INVALID"),
        ({"command": ["sh"]}, "BINDING_INVALID"),
        ({"command": "true", "args": "a b"}, "BINDING_INVALID"),
        ({"command": "true", "args": [{"a": 1}]}, "BINDING_INVALID"),
        ({"command": "true", "env": ["A=b"]}, "BINDING_INVALID"),
        ({"command": "true", "inheritEnv": "PATH"}, "BINDING_INVALID"),
        ({"command": "true", "inputMode": "argv"}, "BINDING_INVALID"),
        ({"command": "true", "outputMode": "xml"}, "BINDING_INVALID"),
    ],
)
def test_what_cannot_start_fails_for_good_with_its_reason(tmp_path: Path, config: Mapping[str, Any], code: str) -> None:
    (tmp_path / "plain").touch(mode=0o644)
    result = failure(run(tmp_path, config))
    assert (result.code, result.retryable) == (code, False)


def test_an_input_too_long_for_a_variable_names_the_way_out(tmp_path: Path) -> None:
    result = failure(run(tmp_path, {"command": "true", "inputMode": "env-json"}, big="x" * 3_000_000))
    assert result.code == "CANNOT_START"
    assert "stdin-json" in result.message


# That nothing is left


@pytest.mark.parametrize("mode", ["plain", "stubborn"])
def test_a_timed_out_family_that_holds_the_pipes_is_gone(tmp_path: Path, mode: str) -> None:
    config = {**python(TREE, mode, str(tmp_path / "pid")), "timeoutMs": 1500}
    begun = time.monotonic()
    result = failure(run(tmp_path, config))
    took = time.monotonic() - begun
    family = pids(tmp_path)
    assert result.code == "TIMEOUT"
    assert family
    assert until(lambda: not any(map(alive, family)), seconds=2)
    assert took < 1.5 + 2


@pytest.mark.parametrize("mode", ["plain", "stubborn"])
def test_a_cancelled_family_that_holds_the_pipes_is_gone(tmp_path: Path, mode: str) -> None:
    cancelled = Event()
    results: list[Outcome] = []
    config = python(TREE, mode, str(tmp_path / "pid"))
    work = Thread(target=lambda: results.append(shell(tmp_path).execute(invocation(config), cancelled)), daemon=True)
    work.start()
    assert until(lambda: len(pids(tmp_path)) == 4)
    assert all(map(alive, pids(tmp_path)))
    cancelled.set()
    work.join(PATIENCE)
    assert isinstance(results[0], Cancelled)
    assert until(lambda: not any(map(alive, pids(tmp_path))), seconds=2)


def test_what_a_finished_process_left_in_its_group_is_gone_too(tmp_path: Path) -> None:
    result = shell(tmp_path, drain=0.3).execute(invocation(python(TREE, "leave", str(tmp_path / "pid"))), Event())
    assert output(result) == {"left": True}
    family = pids(tmp_path)
    assert len(family) == 4
    assert until(lambda: not any(map(alive, family)), seconds=2)


def test_a_process_that_left_the_group_cannot_hold_the_attempt_up(tmp_path: Path) -> None:
    begun = time.monotonic()
    result = shell(tmp_path, drain=0.3).execute(invocation(python(TREE, "leave away", str(tmp_path / "pid"))), Event())
    took = time.monotonic() - begun
    try:
        assert output(result) == {"left": True}
        assert took < PATIENCE
    finally:
        for pid in filter(alive, pids(tmp_path)):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="strays are found in /proc")
@pytest.mark.parametrize("mode", ["away", "stubborn away"])
def test_a_timed_out_family_is_gone_although_it_left_the_group_and_others_are_left_alone(
    tmp_path: Path, mode: str
) -> None:
    folders = {name: tmp_path / name for name in ("mine", "other")}
    for folder in folders.values():
        folder.mkdir()
    other = shell(tmp_path, drain=0.1)
    cancelled = Event()
    config = python(TREE, mode, str(folders["other"] / "pid"))
    bystander = Thread(target=lambda: other.execute(invocation(config), cancelled), daemon=True)
    bystander.start()
    assert until(lambda: len(pids(folders["other"])) == 4)
    late = {**python(TREE, mode, str(folders["mine"] / "pid")), "timeoutMs": 1500}
    assert failure(run(tmp_path, late)).code == "TIMEOUT"
    assert not any(map(alive, pids(folders["mine"])))
    assert all(map(alive, pids(folders["other"])))
    cancelled.set()
    bystander.join(PATIENCE)
    assert not any(map(alive, pids(folders["other"])))


def test_a_process_may_clean_up_when_it_is_told_to_stop(tmp_path: Path) -> None:
    code = """
import signal, sys, time
def stop(*_):
    open(sys.argv[1] + ".cleaned", "w").close()
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
open(sys.argv[1] + ".ready", "w").close()
time.sleep(60)
"""
    cancelled = Event()
    config = python(code, str(tmp_path / "mark"))
    patient = shell(tmp_path, grace=PATIENCE)
    work = Thread(target=lambda: patient.execute(invocation(config), cancelled), daemon=True)
    work.start()
    assert until((tmp_path / "mark.ready").exists)
    cancelled.set()
    work.join(PATIENCE)
    assert (tmp_path / "mark.cleaned").exists()


def test_a_process_that_closed_its_pipes_is_still_waited_for(tmp_path: Path) -> None:
    code = "import os, sys, time; os.close(1); os.close(2); time.sleep(0.2); open(sys.argv[1], 'w').close()"
    assert output(run(tmp_path, python(code, str(tmp_path / "done")))) == {}
    assert (tmp_path / "done").exists()


def test_no_descriptor_and_no_child_stays_behind(tmp_path: Path) -> None:
    run(tmp_path, python("print(1)"))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        run(tmp_path, python("print(1)"))
        run(tmp_path, {"command": "no-such-program-here"})
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_what_a_timed_out_process_said_is_told(tmp_path: Path) -> None:
    code = "import sys, time; print('working', file=sys.stderr, flush=True); time.sleep(60)"
    result = failure(run(tmp_path, {**python(code), "timeoutMs": 1000}))
    assert result.code == "TIMEOUT"
    assert result.metadata["stderr"] == "working"
    assert json.dumps(dict(result.metadata))
