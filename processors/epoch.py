"""What a worker collects between two flushes, and acknowledges together."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count

from processors.conversation import Fact
from schemas.dead_letters import DeadLetter
from schemas.facts import Key


@dataclass(frozen=True, slots=True)
class Homeward:
    """A record on its way to its home partition; `send` sends it (again) and ends when it is acknowledged."""

    send: Callable[[], Awaitable[None]]
    sent: Awaitable[None]


@dataclass(slots=True)
class Epoch:
    """One flush in the making.

    `facts`: what came, by conversation, as it came; nothing is folded before the flush. `frontier`: the next offset by
    (topic, partition). `taken`: how many facts there are. `urgent`: somebody waits for the result.
    """

    number: int = field(default_factory=count(1).__next__)
    facts: dict[Key, list[Fact]] = field(default_factory=dict)
    taken: int = 0
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
        return self.taken + len(self.letters) + len(self.homeward)
