"""Debounce windows: a burst of events with one key becomes one run when it has been quiet for a while.

A window opens with its first event, every event of its key joins it, and it closes `quiet` after the last one, at the latest
`max` after the first. With `emit: all` it also closes when it is full, because the run is given everything in it.
"""

from dataclasses import dataclass
from typing import Any

from automations.core.instant import iso
from automations.core.spec.model import Debounce

MOST_EVENTS = 1_000
MOST_BYTES = 4 * 1024 * 1024
"""What a window of `emit: all` holds before it closes: events, and bytes of their envelopes."""


@dataclass(frozen=True, slots=True)
class Window:
    """An open window. Instants in microseconds; `size` in bytes of envelopes."""

    opened_at: int
    due_at: int
    events: int = 0
    size: int = 0


def joined(debounce: Debounce, window: Window | None, *, now: int, size: int) -> Window:
    """The window after one more event of `size` bytes; None opens one. One that is due stays due: its timer is on its way."""
    opened_at = window.opened_at if window else now
    events = 1 + (window.events if window else 0)
    size += window.size if window else 0
    due_at = now + debounce.quiet
    if debounce.max is not None:
        due_at = min(due_at, opened_at + debounce.max)
    if window is not None and window.due_at <= now:
        due_at = window.due_at
    if debounce.emit == "all" and (events >= MOST_EVENTS or size >= MOST_BYTES):
        due_at = min(due_at, now)
    return Window(opened_at, due_at, events, size)


def about(debounce: Debounce | None, window: Window, *, key: str, closed_at: int) -> dict[str, Any]:
    """What expressions see as `event.window`; with `emit: all` it also has the window's `events`.

    A trigger that lost its debounce while a window was open emits the last event.
    """
    emit = debounce.emit if debounce else "last"
    opened, closed = iso(window.opened_at), iso(closed_at)
    return {"key": key, "count": window.events, "emit": emit, "openedAt": opened, "closedAt": closed}
