"""What every test shares: hypothesis without deadlines (machines are slow at times, never wrong), and a clean environment."""

import os

import pytest
from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the data root or the store of whoever runs it."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # it hides what a full disk does to buffered output
    for name in list(os.environ):
        if "AUTOMATIONS" in name and not name.startswith("AUTOMATIONS_TEST_"):
            monkeypatch.delenv(name)
