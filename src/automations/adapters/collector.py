"""The garbage collector's pause, for work that makes many objects and no cycles: thousands of documents, rows, changes.

Looking for cycles among them again and again costs a plan over ten thousand files half of its time, and a single look
afterwards half a second. So what is there when the work is done is never looked through again: it goes when nobody refers to
it any more, as most things do.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def collector_paused() -> Iterator[None]:
    """No collection for the length of a block, and none later of what it made. Blocks may nest."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.freeze()
            gc.enable()


def trim() -> None:
    """Give back to the system what a large load freed: glibc keeps it otherwise (malloc_trim(3)); others have no such call."""
    import ctypes  # noqa: PLC0415  # only a daemon does this, once

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
