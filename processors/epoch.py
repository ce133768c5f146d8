"""What a worker collects between two flushes, and acknowledges together."""

from bisect import bisect_right
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count

from processors.conversation import Fact
from processors.records import Record
from schemas.dead_letters import DeadLetter
from schemas.facts import FactColumns, Key


@dataclass(frozen=True, slots=True)
class Homeward:
    """A record on its way to its home partition; `send` sends it (again) and ends when it is acknowledged."""

    send: Callable[[], Awaitable[None]]
    sent: Awaitable[None]


@dataclass(slots=True)
class Epoch:
    """One flush in the making.

    `facts`: what came, by conversation, as it came; nothing is folded before the flush. `columns`: the same as they are
    stored, built while they are in the CPU's cache, in the order of `Fact.place`; `records` and `origins` lead from
    there to the record. `bytes`: of all values. `frontier`: the next offset by (topic, partition). `urgent`: somebody
    waits for the result.
    """

    number: int = field(default_factory=count(1).__next__)
    facts: dict[Key, list[Fact]] = field(default_factory=dict)
    columns: FactColumns = field(default_factory=FactColumns)
    records: list[Record] = field(default_factory=list)
    origins: list[tuple[int, str, int]] = field(default_factory=list)
    bytes: int = 0
    letters: list[DeadLetter] = field(default_factory=list)
    homeward: list[Homeward] = field(default_factory=list)
    acknowledge: list[Callable[[], object]] = field(default_factory=list)
    frontier: dict[tuple[str, int], int] = field(default_factory=dict)
    urgent: bool = False

    def __bool__(self) -> bool:
        return bool(self.acknowledge)

    @property
    def held(self) -> int:
        """How many records it keeps in memory: facts, dead letters, and those on their way home."""
        return len(self.columns) + len(self.letters) + len(self.homeward)

    def origin(self, place: int) -> tuple[str, int, Record]:
        """Give topic, partition and record of the fact at `place`."""
        _, topic, partition = self.origins[bisect_right(self.origins, place, key=lambda one: one[0]) - 1]
        return topic, partition, self.records[place]
