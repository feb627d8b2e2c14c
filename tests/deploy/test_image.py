"""The Dockerfile's own steps, carried out by hand: built into a folder, started as its user, asked as its health check does.

There need not be an engine for that. What only an engine does (layers, the base image, mounts) is not seen here.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from processes import announced, end_all
from wheel import QUIET, ROOT

pytestmark = pytest.mark.timeout(600)  # packages are installed

DOCKERFILE = ROOT / "docs" / "deploy" / "Dockerfile"
SPEC = """\
schemaVersion: "1.0"
id: one
name: One
version: 1.0.0
triggers:
  - {kind: manual}
actions:
  - {id: only, actionId: x.do}
"""


@dataclass
class Stage:
    """One `FROM` and what follows it: instruction and argument, in order."""

    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        """Every argument of one instruction."""
        return [argument for name, argument in self.steps if name == instruction]


def stages() -> list[Stage]:
    text = re.sub(r"\\\n\s*", "", "\n".join(line for line in DOCKERFILE.read_text().splitlines() if line[:1] != "#"))
    found: list[Stage] = []
    for line in filter(None, text.splitlines()):
        name, _, argument = line.partition(" ")
        if name == "FROM":
            found.append(Stage(argument))
        else:
            found[-1].steps.append((name, argument))
    return found


@dataclass
class Image:
    """The result: a folder in the place of `/`, and how it is started."""

    root: Path
    stage: Stage

    @property
    def environment(self) -> dict[str, str]:
        """What ENV sets, with paths inside the image."""
        pairs = dict(pair.split("=", 1) for line in self.stage.all("ENV") for pair in line.split())
        return {
            key: re.sub(r"(?<![\w.])/(opt|var|etc)/", rf"{self.root}/\1/", value).replace("$PATH", os.environ["PATH"])
            for key, value in pairs.items()
        }

    def words(self, instruction: str) -> list[str]:
        """An instruction in its JSON form."""
        (argument,) = self.stage.all(instruction)
        words: list[str] = json.loads(argument[argument.index("[") :])
        return words


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """The image, built by the steps of the file."""
    build, final = stages()
    with TemporaryDirectory(prefix="automations-image-") as folder:
        root = Path(folder)
        root.chmod(0o755)
        context, source = root / "context", root / "src"
        for name in ("opt", "var/lib/automations"):
            (root / name).mkdir(parents=True)
        sent(context)
        source.mkdir()
        for each in build.all("COPY"):
            *names, target = each.split()
            for name in names:
                put(context / name, source / target / name if target == "./" else source / target)
        for script in build.all("RUN"):
            here = re.sub(r"(?<![\w.])/(opt|wheels)\b", rf"{root}/\1", script)
            done = subprocess.run(
                ["sh", "-ec", here],
                cwd=source,
                env={**os.environ, **QUIET},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode and os.environ.get("CI") != "true":
                pytest.skip("the image cannot be built without a package registry")
            assert done.returncode == 0, done.stdout + done.stderr
        for each in final.all("COPY"):
            name, target = each.split()[-2:]
            if not each.startswith("--from="):
                (root / target[1:]).parent.mkdir(parents=True)
                put(context / name, root / target[1:])
        shutil.rmtree(source)  # the final stage has only what it copies
        yield Image(root, final)


def put(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)


def sent(context: Path) -> None:
    """What an engine is sent: what the ignore file lets through."""
    context.mkdir()
    for line in (DOCKERFILE.parent / "Dockerfile.dockerignore").read_text().splitlines():
        if line.startswith("!"):
            put_without_caches(ROOT / line[1:], context / line[1:])


def put_without_caches(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def test_the_final_stage_takes_the_program_only_and_runs_as_nobody() -> None:
    build, final = stages()
    assert build.base == "python:3.13-slim AS build"
    assert final.base == "python:3.13-slim"
    settings = "docs/deploy/image.toml /etc/automations/automations.toml"
    assert final.all("COPY") == ["--from=build /opt/automations /opt/automations", settings]
    assert final.all("USER") == ["10001:10001"]
    names = [name for name, _ in final.steps]
    assert names.index("USER") < names.index("ENTRYPOINT")


def for_everybody(program: str) -> bool:
    """Whether any user may start it; some machines keep their interpreter in a home directory."""
    path = Path(program).resolve()
    return all(each.stat().st_mode & 0o001 for each in (path, *path.parents))


def test_a_container_serves_is_healthy_and_stops_in_order(image: Image) -> None:
    specs = image.root / "specs"
    specs.mkdir()
    (specs / "one.yaml").write_text(SPEC)
    (image.root / "var/lib/automations").chmod(0o777)  # `install` gives it to the user, which only root may
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    state = str(image.root / "var/lib/automations")
    variables = {**image.environment, "HASNA_AUTOMATIONS_DIR": state}
    variables |= {"AUTOMATIONS_LISTEN_HOST": "127.0.0.1", "AUTOMATIONS_LISTEN_PORT": str(port)}
    entry = [str(image.root / "opt/automations/bin" / image.words("ENTRYPOINT")[0]), "--json"]
    user: dict[str, Any] = (
        {"user": 10001, "group": 10001, "extra_groups": []}
        if os.getuid() == 0 and for_everybody(sys.executable)
        else {}
    )
    process = subprocess.Popen(
        [*entry, *image.words("CMD"), str(specs)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=variables, cwd=image.root / "var/lib/automations",
        **user,
    )  # fmt: skip
    try:
        started = announced(process)
        assert started is not None
        assert (started["mode"], started["port"]) == ("serve", port)
        health = subprocess.run(image.words("HEALTHCHECK"), env=variables, capture_output=True, text=True, check=False)
        assert health.returncode == 0, health.stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
        health = subprocess.run(image.words("HEALTHCHECK"), env=variables, capture_output=True, text=True, check=False)
        assert health.returncode != 0
    finally:
        end_all([process])
