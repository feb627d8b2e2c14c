"""What a benchmark hands back, and how rounds are taken and shown."""

from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter
from typing import Literal, NamedTuple


class Line(NamedTuple):
    """One measured path, as the table shows it."""

    path: str
    ours: str
    floor: str
    ratio: str
    target: str
    met: bool


class Scale(NamedTuple):
    """How much work a run takes on: the full one, or the small one of `--quick`."""

    quick: bool

    def of(self, full: int, quick: int) -> int:
        """Give the count for this run."""
        return quick if self.quick else full


def in_turn(rounds: int, *contenders: Callable[[], float]) -> list[list[float]]:
    """Let each contender measure itself once a round, one after the other; each one's measurements, in order."""
    measured: list[list[float]] = [[] for _ in contenders]
    for _ in range(rounds):
        for contender, kept in zip(contenders, measured, strict=True):
            kept.append(contender())
    return measured


def ratio(ours: Sequence[float], floor: Sequence[float]) -> float:
    """The median over rounds of ours through the floor of the same round, so that a slow spell touches both."""
    return median(mine / least for mine, least in zip(ours, floor, strict=True))


def timed(work: Callable[[], object]) -> float:
    """Seconds that it took."""
    started = perf_counter()
    work()
    return perf_counter() - started


def times_floor(path: str, ours: Sequence[float], floor: Sequence[float], *, most: float, remark: str = "") -> Line:
    """A path that is measured in seconds and may take `most` times its floor."""
    found = ratio(ours, floor)
    shown = f"{milliseconds(median(ours))}{remark}"
    return Line(path, shown, milliseconds(median(floor)), f"{found:.2f}x", f"≤ {most:g}x", found <= most)


def share_of_floor(path: str, ours: Sequence[float], floor: Sequence[float], *, least: float, remark: str = "") -> Line:
    """A path that is measured in things a second and must reach `least` of its floor."""
    found = ratio(ours, floor)
    return Line(
        path,
        f"{median(ours):,.0f}/s{remark}",
        f"{median(floor):,.0f}/s",
        f"{found:.2f}",
        f"≥ {least:g}",
        found >= least,
    )


def bound(path: str, value: float, *, most: float, unit: Literal["ms", "MB"]) -> Line:
    """A path with an absolute bound (in seconds for `ms`), which has no floor."""
    shown, limit = (
        (milliseconds(value), milliseconds(most)) if unit == "ms" else (f"{value:.3g} {unit}", f"{most:g} {unit}")
    )
    return Line(path, shown, "", "", f"≤ {limit}", value <= most)


def milliseconds(seconds: float) -> str:
    """Seconds as people read short times."""
    thousandths = seconds * 1e3
    return f"{thousandths:.0f} ms" if thousandths >= 100 else f"{thousandths:.3g} ms"


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def table(lines: Sequence[Line]) -> str:
    """Lines as a table in Markdown."""
    head = ("path", "ours", "floor", "ratio", "target", "")
    rows = [head, *((*line[:5], "" if line.met else "missed") for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    shown = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    shown.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(shown)
