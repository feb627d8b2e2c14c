"""Lists of ids in a statement: a few lengths only, so that there are few texts to prepare."""

from collections.abc import Sequence

AT_ONCE = (1, 8, 32, 128)
"""How many ids a statement takes; shorter lists repeat their last one."""


def listed(ids: Sequence[str]) -> tuple[str, dict[str, str]]:
    """What stands between the parentheses of `IN (…)`, and its values. For one id or more, up to the longest list."""
    size = next(size for size in AT_ONCE if size >= len(ids))
    padded = [*ids, *[ids[-1]] * (size - len(ids))]
    return ", ".join(f":p{at}" for at in range(size)), {f"p{at}": each for at, each in enumerate(padded)}
