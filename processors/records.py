"""Records as they come from Kafka, and the way back to it."""

from collections.abc import Awaitable, Sequence
from typing import NamedTuple, Protocol


class Record(Protocol):
    """A consumed record: aiokafka's own object, not copied. `timestamp` is in epoch milliseconds."""

    @property
    def offset(self) -> int:
        """Its place in the partition."""

    @property
    def timestamp(self) -> int:
        """When Kafka took it, with LogAppendTime; else what its producer said."""

    @property
    def key(self) -> bytes | None:
        """Its key, None when it has none."""

    @property
    def value(self) -> bytes | None:
        """Its value, None for a tombstone."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """Its headers."""


class Taken(NamedTuple):
    """A record that was taken, as far as a dead letter needs it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes
    headers: tuple[()] = ()


class Producer(Protocol):
    """Produces records; used to send home what lies in another partition."""

    def send(
        self,
        topic: str,
        partition: int,
        key: bytes,
        value: bytes,
        headers: list[tuple[str, bytes]],
        timestamp_ms: int,
    ) -> Awaitable[None]:
        """Send one record; the awaitable ends when Kafka has acknowledged it and raises Unavailable otherwise."""
