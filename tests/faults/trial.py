"""An experiment and its trial: what is done to a laboratory, and the figures that it gave."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from random import Random

from tests.faults.laboratory import Laboratory
from tests.faults.load import SHORT, WHOLE, Load
from tests.kafka.broker import KafkaBroker


@dataclass
class Trial:
    """One run of one experiment. `short`: as `make test` runs it. What was seen is noted in `figures`."""

    broker: KafkaBroker
    directory: Path
    seed: int = 1
    short: bool = True
    figures: list[str] = field(default_factory=list)
    told: Callable[[str], None] = lambda _: None
    """Is told each figure at once."""

    @cached_property
    def random(self) -> Random:
        """Decides all that is random in it."""
        return Random(self.seed)

    @cached_property
    def load(self) -> Load:
        """The load of this run."""
        return Load(self.seed, SHORT if self.short else WHOLE)

    @asynccontextmanager
    async def laboratory(self, *, partitions: int = 4, strays: bool = True) -> AsyncIterator[Laboratory]:
        """A fresh laboratory on the broker: empty topics, an empty database, no worker."""
        async with Laboratory(self.broker, self.directory, partitions=partitions, strays=strays) as laboratory:
            yield laboratory

    def note(self, figure: str) -> None:
        """Keep something that was seen."""
        self.figures.append(figure)
        self.told(figure)

    async def judge(
        self, laboratory: Laboratory, lines: Sequence[bytes] | None = None, *, database: str = "default"
    ) -> None:
        """Hold what is stored against the load, or against these records; anything wrong fails."""
        verdict = await laboratory.verdict(self.load, lines, database)
        self.note(str(verdict).splitlines()[0])
        assert verdict.good, str(verdict)


Run = Callable[[Trial], Awaitable[None]]


@dataclass(frozen=True)
class Experiment:
    """One fault of the list: its number, its name on the command line, what is done and asked."""

    number: int
    name: str
    what: str
    run: Run
    in_short: bool


EXPERIMENTS: dict[str, Experiment] = {}


def experiment(number: int, *, in_short: bool = True) -> Callable[[Run], Run]:
    """Enter a coroutine function into the list: its name names it, its docstring says what it is.

    `in_short`: whether `make test` runs it too.
    """

    def enter(run: Run) -> Run:
        assert run.__doc__
        name = run.__name__.replace("_", "-")
        EXPERIMENTS[name] = Experiment(number, name, run.__doc__.strip().splitlines()[0], run, in_short)
        return run

    return enter
