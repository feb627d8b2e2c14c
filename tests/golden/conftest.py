"""Golden files: what people and programs read of a plan, kept word for word.

After a wording was changed on purpose: `pytest tests/golden --update-golden`, and look at the difference before committing it.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

PLACE = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """Known when pytest is started on this directory."""
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Holds a text against the golden file of that name."""
    update = request.config.getoption("--update-golden", default=False)

    def same(name: str, text: str) -> None:
        path = PLACE / "plans" / name
        if update:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        assert path.is_file(), f"{name} was never written; run: pytest tests/golden --update-golden"
        assert text == path.read_text(encoding="utf-8")

    return same
