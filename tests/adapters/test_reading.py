"""Reading with helpers finds exactly what reading alone finds, whatever becomes of the helpers."""

import os
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from automations.adapters import reading
from automations.adapters.reading import File, read_all
from automations.core.spec import build
from automations.core.spec.catalogue import Interpreted, interpret
from automations.core.spec.manifests import shelve
from automations.core.spec.remembered import whole
from samples import action, raw, spec, step

BAD = (
    b"id: [",
    b"\xff",
    b"",
    b"\xef\xbb\xbfid: a\n",
    raw(spec("bad", bogus=1)),
    raw(spec("x", actions=[step("a", when="1 +")])),
)

SHELF = shelve([build.manifest(action())])


def files(count: int = 400) -> list[File]:
    good = [(f"ä/{number}.yaml", raw(spec(f"a{number}", vars={"text": "ö" * number}))) for number in range(count)]
    warned = [(f"w{number}.yaml", raw(spec(f"w{number}", triggers=[{"kind": "api"}]))) for number in range(20)]
    bad = [(f"bad{number}.yaml", each) for number, each in enumerate(BAD)]
    return [*good, *bad, *warned, ("m.yaml", raw(action())), ("a.test.yaml", b"automation: a\ncases: []\n")]


def shown(found: list[Interpreted]) -> list[Any]:
    return [
        (
            each.file,
            each.document.value if each.document else None,
            each.document.at(("id",)) if each.document else None,
            each.document.source() if each.document and each.document.source else None,
            whole(each.automation),
            whole(each.manifest),
            each.claims,
            each.diagnostics,
            each.routes,
            each.advice,
        )
        for each in found
    ]


@pytest.fixture
def alone() -> list[Any]:
    return shown([interpret(raw_, name, SHELF) for name, raw_ in files()])


@pytest.fixture(autouse=True)
def helped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "WORTH_IT", 1)
    monkeypatch.setattr(reading, "CHUNK", 7)
    monkeypatch.setattr(reading, "_processors", lambda: 3)


def test_with_helpers_everything_is_found_as_without(alone: list[Any]) -> None:
    told: list[tuple[int, int]] = []
    assert shown(read_all(files(), SHELF, lambda done, total: told.append((done, total)))) == alone
    assert all(done <= total == len(files()) for done, total in told)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


@pytest.mark.parametrize("failing", ["never starts", "ends at once", "talks nonsense", "dies with work in hand"])
def test_a_helper_that_fails_costs_nothing_but_its_help(
    alone: list[Any], failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = subprocess.Popen
    begun: list[Any] = []

    def broken(command: list[str], **given: Any) -> Any:
        if failing == "never starts":
            raise OSError("no more processes")
        script = {"ends at once": "", "talks nonsense": "print('hello' * 1000, flush=True); input()"}
        process = start([*command[:3], script.get(failing, command[3]), *command[4:]], **given)
        begun.append(process)
        if failing == "dies with work in hand":
            os.kill(process.pid, signal.SIGSTOP)  # it takes work and never answers, until it is killed
        return process

    monkeypatch.setattr(subprocess, "Popen", broken)
    if failing == "dies with work in hand":
        monkeypatch.setattr(reading._Helper, "join", _killed(reading._Helper.join))
    assert shown(read_all(files(), SHELF)) == alone
    assert all(process.poll() is not None for process in begun)


def _killed(join: Callable[[Any], None]) -> Callable[[Any], None]:
    def kill_first(helper: Any) -> None:
        helper._process.kill()
        join(helper)

    return kill_first
