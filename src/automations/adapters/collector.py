"""The garbage collector's pause, for work that makes many objects and no cycles: thousands of documents, rows, changes.

Looking for cycles among them again and again costs a plan over ten thousand files half of its time.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """No collection for the length of a block; what it was before comes back at the end. Blocks may nest."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
