"""Where events go: the Protocol of the log, and who waits for what."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from schemas.topics import Topic

PATIENCE: Final = 10.0
"""Seconds that a write waits for Kafka's acknowledgement (embedded: for the flush that holds it too)."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One event on its way: a JSON object of the contract, at most 1 MiB."""

    topic: Topic
    conversation_id: str
    value: bytes


class EventLog(Protocol):
    """Appends events to the input topics, each on its home partition."""

    async def append(self, events: Sequence[Outgoing]) -> list[bool]:
        """Say for each event, in order, whether it was taken for certain; waits at most PATIENCE and never raises.

        Taken means acknowledged by Kafka; in the embedded stack, whose broker forgets, stored in ClickHouse too. What
        was not taken for certain may still arrive: sending it again is safe, because its id decides.
        """
