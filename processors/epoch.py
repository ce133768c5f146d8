"""What a worker collects between two flushes, and acknowledges together."""

from bisect import bisect_right
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count

from processors.conversation import Conversation, Fact
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

    `touched`: cached conversations that a record touched, known fact or new, each once: it bears the epoch's `number`.
    `waiting`: facts of conversations that are not in memory. `dropped`: conversations that were in memory and have to
    be read as a whole. `frontier`: the next offset by (topic, partition). `records` and `origins` lead from a fact back
    to its record.
    """

    facts: FactColumns = field(default_factory=FactColumns)
    records: list[Record] = field(default_factory=list)
    origins: list[tuple[int, str, int]] = field(default_factory=list)
    number: int = field(default_factory=count(1).__next__)
    touched: list[Conversation] = field(default_factory=list)
    waiting: dict[Key, list[Fact]] = field(default_factory=dict)
    dropped: set[Key] = field(default_factory=set)
    letters: list[DeadLetter] = field(default_factory=list)
    homeward: list[Homeward] = field(default_factory=list)
    acknowledge: list[Callable[[], object]] = field(default_factory=list)
    frontier: dict[tuple[str, int], int] = field(default_factory=dict)
    records_taken: int = 0
    urgent: bool = False

    def __bool__(self) -> bool:
        return bool(self.acknowledge)

    @property
    def held(self) -> int:
        """How many records it keeps in memory: facts, dead letters, and those on their way home."""
        return len(self.facts) + len(self.letters) + len(self.homeward)

    def origin(self, index: int) -> tuple[str, int, Record]:
        """Give topic, partition and record of the fact at `index`."""
        _, topic, partition = self.origins[bisect_right(self.origins, index, key=lambda one: one[0]) - 1]
        return topic, partition, self.records[index]
