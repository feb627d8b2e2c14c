"""What one connection, and all of them together, may take from the server before anybody has proven who they are."""

from dataclasses import dataclass

from automations.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the protocol: bytes, counts, seconds.

    `body_seconds` is the time that any body may take; each `body_rate` bytes that arrive buy another second.
    `buffered_bytes` is what all requests together may hold beyond `free_bytes` each, from their first byte to their
    answer. `connections` open at once is the most; the one that has waited longest makes room for a new one.
    """

    body_bytes: int = 1024 * 1024
    header_bytes: int = 16 * 1024
    header_count: int = 100
    connections: int = 512
    pipelined: int = 8
    buffered_bytes: int = 16 * 1024 * 1024
    free_bytes: int = 4 * 1024
    head_seconds: float = 10.0
    body_seconds: float = 10.0
    body_rate: int = 8 * 1024
    idle_seconds: float = 75.0
    linger_seconds: float = 2.0

    def __post_init__(self) -> None:
        """Raises InvalidInput for a bound that would let nothing through."""
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise InvalidInput(f"the limit {name} must be more than 0", hint="leave it out for its default")

    @property
    def sweep_seconds(self) -> float:
        """How often deadlines are looked at: often enough that none is overrun by much, at most once a second."""
        return min(1.0, min(self.head_seconds, self.body_seconds, self.idle_seconds, self.linger_seconds) / 4)
