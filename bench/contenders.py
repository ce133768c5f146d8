"""The contenders: what runs, with which Python, on which part of the input, and when not."""

from enum import StrEnum
from typing import Final, NamedTuple

from bench import guests, jvm
from bench.producer import Produced
from bench.report import TO_CHDB, TO_MEMORY
from bench.totals import Totals

KEEPS_MOST: Final = 5_000_000
"""Events. A contender that keeps all of them in memory takes some 1.5 GiB per million."""


class Takes(StrEnum):
    """What a contender reads, by the names of `Produced`."""

    WHOLE = "whole"
    UNLABELLED = "unlabelled"
    PART = "part"

    def of(self, produced: Produced) -> Totals:
        """Give what must be counted in it."""
        totals: Totals = getattr(produced, self)
        return totals


class Contender(NamedTuple):
    """What runs: a module of this package, with the task as its argument."""

    title: str
    module: str
    takes: Takes = Takes.WHOLE
    package: str = ""
    """Of `bench.guests`, with whose Python it runs; '' for the product's own."""
    keeps_all: bool = False
    """In memory: so large inputs leave it out."""
    only_with_all: bool = False
    """Not run unless all are asked for, or this one."""

    def why_not(self) -> str:
        """Why it cannot run here; '' when it can."""
        if self.module == "jvm":
            return jvm.why_unavailable()
        return guests.why_unavailable(self.package) if self.package else ""


CONTENDERS: Final = {
    TO_CHDB: Contender("Afterword to chDB in the process", "afterword_worker"),
    TO_MEMORY: Contender("Afterword, in-memory sink", "afterword_worker", keeps_all=True),
    "http": Contender("Afterword to ClickHouse over HTTP", "afterword_http"),
    "quix": Contender("Quix Streams, RocksDB, changelog", "quix_streams", Takes.UNLABELLED, "quixstreams"),
    "bytewax": Contender("Bytewax, recovery on", "bytewax_dataflow", package="bytewax"),
    "faust": Contender("stock Faust agent with a Table", "stock_faust", Takes.PART),
    "kafka-streams": Contender("Kafka Streams, RocksDB, changelog", "jvm", only_with_all=True),
    "kafka-streams-eos": Contender("Kafka Streams, exactly once", "jvm", only_with_all=True),
    "flink-heap": Contender("Flink, state on the heap, checkpoints", "jvm", only_with_all=True),
    "flink-rocksdb": Contender("Flink, RocksDB, checkpoints", "jvm", only_with_all=True),
    "limit": Contender("limit: fetch and decode only", "consume_limit"),
}


class CannotRun(Exception):  # noqa: N818  (it says what happened)
    """A contender that was asked for by its name cannot run here: why."""


def chosen(only: list[str] | None, *, everything: bool, events: int) -> tuple[list[str], list[str]]:
    """Give the names of those that run, in order, and of the others why they are left out. Raises CannotRun."""
    names, left_out = [], []
    for name, one in CONTENDERS.items():
        if name not in only if only else one.only_with_all and not everything:
            continue
        reason = one.why_not()
        if not reason and one.keeps_all and events > KEEPS_MOST and not only:
            reason = f"it keeps all its events in memory, and more than {KEEPS_MOST:,} only when asked for"
        if reason and only:
            raise CannotRun(f"{one.title}: {reason}")
        if reason:
            left_out.append(f"{one.title}: left out, {reason}")
        else:
            names.append(name)
    return names, left_out
