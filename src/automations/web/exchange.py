"""A request that was taken and is owed an answer, in its place among those of its connection."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from automations.web.message import Response


class Exchange:
    """`close` ends the connection with the answer, `bare` leaves its body out (HEAD).

    `held` is the request's share of the shared buffer in bytes, given back with the answer.
    """

    __slots__ = ("bare", "close", "held", "response")

    def __init__(self, *, close: bool, bare: bool = False, held: int = 0) -> None:
        self.close = close
        self.bare = bare
        self.held = held
        self.response: Response | None = None
