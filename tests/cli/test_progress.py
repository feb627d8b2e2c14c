"""A bar is drawn on a terminal once work turned out to be slow, and never into what programs read."""

import pytest

from automations.cli import progress
from command_line import CommandLine


def test_slow_work_on_a_terminal_shows_a_bar_on_stderr_only(
    automations: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SLOW", 0.0)
    for number in range(5):
        automations.write(f"spec-{number}")
    shown = automations("plan", terminal=True)
    assert "reading" in shown.err
    assert "reading" not in shown.out
    assert automations("plan").err == ""


def test_quick_work_shows_none(automations: CommandLine) -> None:
    automations.write("one")
    assert automations("plan", terminal=True).err == ""
