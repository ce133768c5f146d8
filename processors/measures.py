"""The registry of metrics: every name once, with its type, meaning and what to do about it. Given by `runtime/`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric. `kind`: counter, gauge or histogram; `remedy`: what to do when it looks wrong."""

    name: str
    kind: str
    meaning: str
    remedy: str
    labels: tuple[str, ...] = ()


RECORDS = Measure("records", "counter", "Records taken from Kafka.", "None: it shows the load.", ("topic",))
FACTS = Measure(
    "facts",
    "counter",
    "Facts stored in `events`, a known one again when its conversation was not in memory.",
    "None: it shows the load.",
)
DUPLICATES = Measure(
    "duplicates",
    "counter",
    "Records whose fact was known already.",
    "Many: a producer resends, or a replay is running.",
)
ERASED = Measure(
    "erased",
    "counter",
    "Facts that came at or before an erasure and were not kept.",
    "None: late events of the erased.",
)
DEAD_LETTERS = Measure(
    "dead_letters",
    "counter",
    "Records that can never succeed, by reason.",
    "See `afterword dead-letters list`; mend the producer, then `afterword dead-letters requeue`.",
    ("reason",),
)
SENT_HOME = Measure(
    "sent_home",
    "counter",
    "Records found in another than their home partition and produced there again.",
    "Set the producer's partitioner to murmur2 (librdkafka: partitioner=murmur2_random) and send the key.",
)
ROWS = Measure("rows", "counter", "Rows written to `conversations`, deleted ones included.", "None: it shows the load.")
RELOADED = Measure(
    "reloaded",
    "counter",
    "Conversations looked up in ClickHouse because they were not in memory, new ones included.",
    "Much more than new conversations: raise AFTERWORD_CACHE_BYTES.",
)
EVICTED = Measure("evicted", "counter", "Conversations dropped from memory.", "See `reloaded`.")
STALE_READS = Measure(
    "stale_reads",
    "counter",
    "Conversations looked up anew because ClickHouse had answered from an old state.",
    "Check the replicas; set select_sequential_consistency=1 or insert_quorum on a replicated cluster.",
)
CLOSED_IDLE = Measure("closed_idle", "counter", "Conversations closed because they fell silent.", "None.")
RETRIES = Measure(
    "retries",
    "counter",
    "Calls tried again because ClickHouse or Kafka could not be reached.",
    "See the log.",
    ("what",),
)
FLUSH_SECONDS = Measure(
    "flush_seconds", "histogram", "Duration of a flush.", "Above 1 s under normal load: ClickHouse is slow."
)
EVENT_TO_ROW = Measure(
    "event_to_row_seconds",
    "histogram",
    "From the record's Kafka timestamp to the row being in ClickHouse.",
    "Above 1.5 s: look at flush_seconds and lag.",
)
CACHE_BYTES = Measure("cache_bytes", "gauge", "Estimated bytes of conversations in memory.", "Bounded by settings.")
CACHED = Measure("cached", "gauge", "Conversations in memory, packed ones included.", "None.")
PACKED = Measure(
    "packed",
    "gauge",
    "Conversations in memory that are packed, because not all fit unpacked.",
    "When CPU is short: raise AFTERWORD_CACHE_BYTES until it is 0.",
)
LAG = Measure(
    "lag",
    "gauge",
    "Records behind the high watermark.",
    "Growing: add workers, or see flush_seconds.",
    ("topic", "partition"),
)
POISONED = Measure(
    "poisoned",
    "gauge",
    "1 when more than half of the last 1,000 records of a partition were bad.",
    "A producer is broken: see `afterword dead-letters list`.",
    ("topic", "partition"),
)

MEASURES = tuple(one for one in list(globals().values()) if isinstance(one, Measure))


class Metrics(Protocol):
    """Where measurements go."""

    def count(self, measure: Measure, amount: float = 1, *labels: str) -> None:
        """Add to a counter."""

    def gauge(self, measure: Measure, value: float, *labels: str) -> None:
        """Set a gauge."""

    def observe(self, measure: Measure, values: Sequence[float]) -> None:
        """Add observations to a histogram."""


class NoMetrics:
    """Measurements nobody reads."""

    def count(self, measure: Measure, amount: float = 1, *labels: str) -> None:
        """Forget it."""

    def gauge(self, measure: Measure, value: float, *labels: str) -> None:
        """Forget it."""

    def observe(self, measure: Measure, values: Sequence[float]) -> None:
        """Forget it."""
