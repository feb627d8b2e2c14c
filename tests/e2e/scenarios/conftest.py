"""A scenario on its stage: a site with the scenario's specs, and a directory for what its actions do to the world."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import Site

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Scenario:
    """A site with the specs of one scenario. `world` is where its actions leave their traces."""

    site: Site
    folder: Path
    world: Path

    def document(self, name: str) -> dict[str, Any]:
        """One of the scenario's recorded events or requests."""
        read: dict[str, Any] = json.loads((self.folder / name).read_text())
        return read

    def written(self, name: str) -> list[str]:
        """The lines of a file of the world; none when there is no such file."""
        file = self.world / name
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def staged(site: Site) -> Callable[[str], Scenario]:
    """Puts a scenario of this directory on a site."""

    def stage(name: str) -> Scenario:
        world = site.folder / "world"
        world.mkdir()
        site.copy(HERE / name / "automations.d")
        site.environment["WORLD"] = str(world)
        return Scenario(site, HERE / name, world)

    return stage
