"""What was measured, each with where it comes from; everything in `bench.scaling` is arithmetic on these.

The machine of all of them: AMD EPYC, 2 cores, 2026-11-24, CPython 3.11, Apache Kafka 4.4, chDB 4.4 (ClickHouse 26.9).
*Busy*: other programs took more than half of it, so CPU seconds are high by an unknown part.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """CPU in microseconds (seconds per million) unless the name says otherwise."""

    # A worker. `make bench`, 1 M events, quiet: in-memory sink 19.9 at 0.305 rows an event, to chDB 36.1, fetch and
    # decode alone 2.6. The parts are those of docs/performance.md, "Where the time goes".
    worker_event: float = 19.9
    worker_rows: float = 0.305
    """Rows an event while `worker_event` was measured."""
    take_event: float = 6.8
    """Of `worker_event`: aiokafka's thread (2.5) and reading, checking, columns (4.3); runs beside a flush."""
    project_row: float = 3.8
    http_event: float = 9.3
    """What writing and looking up over HTTP adds in the worker: 28.4 - 19.1, `--events 300000`, busy."""
    http_rows: float = 0.157
    """Rows an event while `http_event` was measured."""
    ready_row: float = 4.4
    """A row as Arrow, compressed; of `http_event`. `bench.scaling.store`, busy."""
    worker_flush: float = 10_000
    """A flush beside its events: the loop, the requests, the commit. Assumed; not measured by itself."""

    # ClickHouse. `bench.scaling.store`, in the process, busy.
    fact: float = 3.9
    row: float = 3.6
    insert_facts: float = 6_100
    insert_rows: float = 11_700
    merge_fact: float = 2.9
    """One fact through one merge; a row likewise below."""
    merge_row: float = 2.3
    merge_part: float = 1_500
    """One part merged away, beside its rows."""
    look_up: float = 27_000
    look_up_new: float = 10
    look_up_known: float = 63
    close_open_row: float = 0.36
    """The look for what is due, a row that is open: 25 ms on both cores among 140,000 (`ClickHouseWriter.close_idle`);
    129 to 280 ms among 1,000,000 give 0.26 to 0.56."""
    fan_in: int = 10
    """Parts that one merge takes. Assumed: ClickHouse decides by sizes and ages."""
    distributed: float = 1.0
    """What dividing an insert among shards costs the server that is asked, in inserts. Assumed; not measured."""

    # Kafka. `make bench`: 1.2 to 2.1, read once, nothing replicated.
    broker_event: float = 2.1

    # Sizes, in bytes. Events: the input of `make bench`. The store's: `bench.scaling.store`, merged to one part.
    event_bytes: int = 312
    kafka_disk_event: float = 400
    """`bench/README.md`: 0.4 GB per million."""
    fact_wire: int = 153
    row_wire: int = 121
    fact_disk: int = 126
    row_disk: int = 60
    cached_base: int = 1_500
    cached_fact: int = 126
    """66 beside the packed effect (`processors.conversation`); `make bench`: 2,940 a finished one, so 60 packed."""
    packed_base: int = 480
    packed_fact: int = 78
    """The same of conversations that the cache has packed, for not all fit: 60 an effect, 18 of identity."""
    cache_room: float = 1.5
    """What the cache must hold, by what is live: with 1.5 times as much 99.5 % of the events find their conversation,
    with 1.0 only 83 % (`simulation.seen_hit_ratio`): those that have ended stay for a while."""
    worker_base_mib: int = 1_000
    """Resident beside the cache, over HTTP, epochs of up to 150,000 facts: 1,061 MiB with 74 of cache, at most."""


MEASURED = Figures()


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What comes, and how Afterword is set to take it. The conversations are those of `make bench` unless said."""

    events_per_second: float
    events_per_conversation: float = 11.42
    minutes: float = 20.0
    """From the first event of a conversation to its last."""
    silent: float = 0.45
    """Share of the conversations that end by silence and stay open for the idle gap; that of `runtime.simulator`."""
    idle_hours: float = 4.0
    interval: float = 0.5
    """`AFTERWORD_FLUSH_INTERVAL_S`"""
    epoch_facts: int = 150_000
    """`AFTERWORD_FLUSH_FACTS`"""
    closing: float = 10.0
    """Seconds between looks for what is due (`Pace.closing`)."""
    cache_bytes: int | None = None
    """`AFTERWORD_CACHE_BYTES`; None: as much as the live conversations need."""
    shard_cores: int = 8
    worker_busy: float = 0.3
    """Share of a worker's core that is planned with. A flush is one thing after another, so waits grow long before the
    core is full: `python -m bench.scaling --waits` shows how."""
    shard_busy: float = 0.6
    """Share of a shard's cores that is planned with."""
    one_closes: bool = False
    """One worker of a shard looks for what is due, which Afterword cannot do yet; else each of them."""

    @property
    def per_second(self) -> float:
        """Conversations that begin in a second."""
        return self.events_per_second / self.events_per_conversation

    @property
    def gap(self) -> float:
        """Seconds between two events of a conversation, on average."""
        return self.minutes * 60 / self.events_per_conversation

    @property
    def live(self) -> float:
        """Conversations that are under way."""
        return self.per_second * self.minutes * 60

    @property
    def open_rows(self) -> float:
        """Rows that are not closed."""
        return self.live + self.per_second * self.silent * self.idle_hours * 3_600
