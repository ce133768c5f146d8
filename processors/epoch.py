"""What a worker collects between two flushes, and acknowledges together."""

from bisect import bisect_right
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count

from processors.conversation import Fact
from schemas.dead_letters import DeadLetter
from schemas.facts import Facts, Key


@dataclass(frozen=True, slots=True)
class Homeward:
    """A record on its way to its home partition; `send` sends it (again) and ends when it is acknowledged."""

    send: Callable[[], Awaitable[None]]
    sent: Awaitable[None]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a batch of facts comes from: the first has place `start`; offsets and keys of their records in order."""

    start: int
    topic: str
    partition: int
    offsets: list[int]
    keys: list[bytes | None]


@dataclass(slots=True)
class Epoch:
    """One flush in the making.

    `facts`: what came, by conversation, as it came; nothing is folded before the flush. `columns`: the same as they are
    stored, in the order of `Fact.place`; `origins` lead from there to the record. The records themselves and their
    events are let go as soon as they are read, so that the next ones come to lie where the CPU's cache is warm.
    `bytes`: of all values. `frontier`: the next offset by (topic, partition). `urgent`: somebody waits for the result.
    """

    columns: Facts
    number: int = field(default_factory=count(1).__next__)
    facts: dict[Key, list[Fact]] = field(default_factory=dict)
    origins: list[Origin] = field(default_factory=list)
    bytes: int = 0
    letters: list[DeadLetter] = field(default_factory=list)
    homeward: list[Homeward] = field(default_factory=list)
    acknowledge: list[Callable[[], object]] = field(default_factory=list)
    frontier: dict[tuple[str, int], int] = field(default_factory=dict)
    urgent: bool = False

    def __bool__(self) -> bool:
        return bool(self.acknowledge or self.frontier)

    @property
    def held(self) -> int:
        """How many records it keeps in memory: facts, dead letters, and those on their way home."""
        return len(self.columns) + len(self.letters) + len(self.homeward)

    def origin(self, place: int) -> Origin:
        """Give the batch that the fact at `place` came with."""
        return self.origins[bisect_right(self.origins, place, key=lambda one: one.start) - 1]
