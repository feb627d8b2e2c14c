"""What the two drivers' transactions have in common, so that both behave alike where their databases would not.

PostgreSQL refuses every statement after a failed one and turns the commit into a rollback without saying so; SQLite
would carry on, after some failures even outside of any transaction. Here a failed statement ends the transaction on
both: later statements and the commit raise.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from automations.errors import InvalidInput, StoreError

FAILED = "a statement of this transaction failed, so nothing of it can be kept"
OVER = "this transaction has ended; begin another one"


class Statements:
    """The guard of one transaction: `refusal` says why it takes no more statements, and is empty while it does."""

    __slots__ = ("refusal",)

    def __init__(self) -> None:
        self.refusal = ""

    def check(self, parameters: Mapping[str, Any]) -> None:
        """Let one statement through.

        Raises StoreError when the transaction failed or ended, InvalidInput for a text with a NUL character (which
        PostgreSQL cannot store, so neither store does).
        """
        if self.refusal:
            raise StoreError(self.refusal)
        # One search over all texts: this runs for every statement, and a NUL is as good as never there.
        if "\0" in "".join([value for value in parameters.values() if isinstance(value, str)]):
            name = next(name for name, value in parameters.items() if isinstance(value, str) and "\0" in value)
            raise InvalidInput(
                f"the value of `{name}` holds a NUL character, which the store cannot keep",
                hint="remove the character U+0000 from the text",
            )

    def check_each(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """Pass the rows on, each checked."""
        for row in rows:
            self.check(row)
            yield row


class OnePerThread(threading.local):
    """Holds a thread to one open transaction: a second one would wait for the first for ever, or see half of it."""

    inside = False

    def enter(self) -> None:
        """Note that this thread begins a transaction. Raises StoreError when it has one open."""
        if self.inside:
            raise StoreError(
                "this thread already has a transaction open; pass that one on instead of beginning another"
            )
        self.inside = True

    def leave(self) -> None:
        """Note that the thread's transaction ended."""
        self.inside = False


def unstorable(error: Exception) -> InvalidInput:
    """Make the error for a value that no column of ours can hold: an integer over 64 bits, text that is not Unicode."""
    reason = "text with an unpaired surrogate" if isinstance(error, UnicodeEncodeError) else "an integer over 64 bits"
    return InvalidInput(f"the store cannot keep {reason}", hint="correct the value and send it again")
