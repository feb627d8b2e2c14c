"""Every scenario's specs are free of warnings, and what their test files say comes true."""

from pathlib import Path

import pytest

from e2e.conftest import Site
from e2e.scenarios.conftest import HERE

SCENARIOS = sorted(folder.parent.name for folder in HERE.glob("*/automations.d"))
PAGE = Path(__file__).resolve().parents[3] / "docs" / "scenarios.md"


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_is_valid_even_strictly(site: Site, name: str) -> None:
    assert site.automations("validate", "--strict", str(HERE / name / "automations.d"))["valid"] is True


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_test_files_of_a_scenario_pass(site: Site, name: str) -> None:
    report = site.automations("test", str(HERE / name / "automations.d"))
    assert report["passed"], report


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_says_what_it_shows_and_stands_in_the_documentation(name: str) -> None:
    assert (HERE / name / "README.md").read_text().startswith("# ")
    assert f"tests/e2e/scenarios/{name}" in PAGE.read_text()
