"""Facts: validated events as they are stored, in columns, and as they are read back."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Protocol, Self

Key = tuple[str, str]
"""(assistant, conversation id)."""


class Facts(Protocol):
    """Facts on their way to a store, in the form in which it takes them fastest; each has its place."""

    def __len__(self) -> int: ...

    def extend(self, more: "FactColumns") -> None:
        """Append all facts of `more`."""

    def take(self, indices: Sequence[int]) -> Self:
        """Copy the facts at these places, in this order."""

    def columns(self) -> "FactColumns":
        """Give them as columns."""

    def recorded(self, most: int) -> list[int]:
        """Give the recorded_at of at most so many of them, evenly spread."""


@dataclass(slots=True)
class FactColumns:
    """Facts of one flush, a list per column of the table `events`, all of one length.

    `digest`: 16 bytes, xxh3-128 of the payload. `at`: epoch milliseconds, UTC. `payload`: the event's own JSON bytes.
    `recorded_at`: the record's Kafka timestamp in epoch milliseconds; it does not reach the fold.
    """

    assistant: list[str] = field(default_factory=list)
    conversation_id: list[str] = field(default_factory=list)
    id: list[str] = field(default_factory=list)
    digest: list[bytes] = field(default_factory=list)
    type: list[str] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    seq: list[int] = field(default_factory=list)
    role: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    payload: list[bytes] = field(default_factory=list)
    recorded_at: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.id)

    def slice(self, start: int, stop: int) -> "FactColumns":
        """Copy the facts from `start` up to `stop`."""
        return FactColumns(*(getattr(self, one.name)[start:stop] for one in fields(self)))

    def take(self, indices: Sequence[int]) -> "FactColumns":
        """Copy the facts at these places, in this order."""
        return FactColumns(*([getattr(self, one.name)[i] for i in indices] for one in fields(self)))

    def extend(self, more: "FactColumns") -> None:
        """Append all facts of `more`."""
        for one in fields(self):
            getattr(self, one.name).extend(getattr(more, one.name))

    def columns(self) -> "FactColumns":
        """Give them as columns: themselves."""
        return self

    def recorded(self, most: int) -> list[int]:
        """Give the recorded_at of at most so many of them, evenly spread."""
        return self.recorded_at[:: -(-len(self) // most) or 1]


@dataclass(frozen=True, slots=True)
class StoredFact:
    """A fact as it is read back: all that the fold needs."""

    key: Key
    digest: bytes
    payload: bytes
