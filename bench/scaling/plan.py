"""The plan in closed form: what a load needs, from the measured figures alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, exp, inf

from bench.scaling.figures import Figures, Load
from processors.cache import UNPACKED_SHARE

MONTH = 30 * 86_400.0
_DAY = 86_400
_MOST_SHARDS = 100
REST = 0.25
"""Seconds; behind a flush a worker that keeps up rests as long as it took, but no longer: `processors.worker._REST`."""


def distinct(events: float, live: float, events_per_conversation: float) -> float:
    """Give how many conversations `events` events touch, each of one of `live` conversations taken at random.

    A conversation that has ended is followed by another, whose first event comes at once (`runtime.simulator.Bulk`):
    those, events / events_per_conversation, are touched for certain; of those live before, each that was drawn.
    """
    if not events or not live:
        return 0.0
    begun = events / events_per_conversation
    return min(events, live * (1 - exp(-(events - begun) / live)) + begun)


def hit_ratio(live: float, capacity: float, events_per_conversation: float) -> float:
    """Give the share of a conversation's later events that find it in a cache of the last `capacity` touched.

    Che's approximation: a conversation stays for the time in which `capacity` distinct ones are touched.
    """
    low, high = 0.0, live * events_per_conversation
    for _ in range(60):
        events = (low + high) / 2
        low, high = (events, high) if distinct(events, live, events_per_conversation) < capacity else (low, events)
    return 1 - exp(-low * (1 - 1 / events_per_conversation) / live)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one group of workers and one ClickHouse need for a load; see the table that `bench.scaling` prints."""

    load: Load
    figures: Figures
    workers: int
    partitions: int
    shards: int

    @classmethod
    def of(cls, load: Load, figures: Figures, *, workers: int | None = None, shards: int | None = None) -> "Plan":
        """Plan a load; `workers` and `shards` fix what would be chosen. Two workers at least: one may die.

        Where no number of shards would do, it has one and does not fit.
        """
        count = workers or 1
        for _ in range(20):  # the rows of an event depend on the epoch (of one interval here), that on the workers
            plan = cls(load=load, figures=figures, workers=count, partitions=_partitions(count), shards=shards or 1)
            each = plan.worker_event_in(plan.worker_rate * load.interval)
            wanted = workers or max(2, ceil(load.events_per_second * each / 1e6 / load.worker_busy))
            if wanted <= count:
                break
            count = wanted
        fitting = (replace(plan, shards=one) for one in range(1, _MOST_SHARDS))
        return plan if shards else next((one for one in fitting if one.fits), plan)

    @property
    def fits(self) -> bool:
        """Whether the workers keep up and the shards have cores enough, a share of them kept free."""
        return self.cycle < inf and self.server_cores() <= self.shards * self.load.shard_cores * self.load.shard_busy

    @property
    def worker_rate(self) -> float:
        """Events a second of a worker, on average."""
        return self.load.events_per_second / self.workers

    @property
    def worker_live(self) -> float:
        """Conversations under way at a worker."""
        return self.load.live / self.workers

    @property
    def epoch(self) -> float:
        """Events in an epoch of a worker that keeps up: what comes from one flush's beginning to the next's."""
        return min(self.worker_rate * self.cycle, self.load.epoch_facts)

    @property
    def cycle(self) -> float:
        """Seconds from the beginning of a flush to that of the next, on average; infinite when the worker falls behind.

        It does when a full epoch, and its share of a look for what is due, takes longer to flush than the next to fill.
        """
        filling, following = self.load.epoch_facts / self.worker_rate, self.load.interval
        for _ in range(1_000):
            cycle = following
            flush, looks = self.flush_of(min(self.worker_rate * cycle, self.load.epoch_facts)), self._looks_of(cycle)
            following = min(
                (1 - looks) * self._cycle_behind(flush) + looks * self._cycle_behind(flush + self.close_seconds),
                max(filling, flush + looks * self.close_seconds),  # full epochs make up for what a look delayed
            )
            if abs(following - cycle) < 1e-6:
                break
        return following if following <= filling else inf

    def _cycle_behind(self, flush: float) -> float:
        """Give what lies between the beginnings of a flush and of the next: an interval, or the flush and its rest.

        An epoch that is full does not wait for that, but for the flush.
        """
        due = max(self.load.interval, flush + min(flush, REST))
        return max(flush, min(due, self.load.epoch_facts / self.worker_rate))

    @property
    def flush(self) -> float:
        """Seconds of a flush, a look for what is due not included."""
        return self.flush_of(self.epoch)

    def _rows_at(self, events: float) -> float:
        return distinct(events, self.worker_live, self.load.events_per_conversation) / events if events else 0.0

    @property
    def rows_per_event(self) -> float:
        """Rows that an event makes while the worker keeps up."""
        return self._rows_at(self.epoch)

    @property
    def worker_event(self) -> float:
        """CPU of a worker for an event, in microseconds, its share of the flush included."""
        return self.worker_event_in(self.epoch)

    def worker_event_in(self, epoch: float) -> float:
        """The same in an epoch of so many events."""
        return self.worker_event_at(self._rows_at(epoch)) + self.figures.worker_flush / max(1.0, epoch)

    def worker_event_at(self, rows: float) -> float:
        """The same without the flush's share, for so many rows an event."""
        of = self.figures
        return (
            of.worker_event
            + of.http_event
            + of.project_row * (rows - of.worker_rows)
            + of.ready_row * (rows - of.http_rows)
        )

    def flush_of(self, events: float) -> float:
        """Seconds of a flush of so many events, with ClickHouse doing nothing else meanwhile.

        Folding, then the facts, beside them the look-up, then the rows; records that come meanwhile are taken on the
        same core. An insert goes to all shards at once, and each inserts its part.
        """
        of, shards = self.figures, self.shards
        rows = self._rows_at(events)
        on_core = events * (self.worker_event_at(rows) - of.take_event) + of.worker_flush
        on_core /= 1 - min(0.95, self.worker_rate * of.take_event / 1e6)
        divided = of.distributed if shards > 1 else 0.0
        facts = of.insert_facts + events * of.fact * (1 / shards + divided)
        then = of.insert_rows + events * rows * of.row * (1 / shards + divided)
        look_up = of.look_up + events * self.look_up_event / shards
        return (max(on_core + facts, look_up) + then) / 1e6

    def _looks_of(self, cycle: float) -> float:
        """Give the share of the flushes in which a worker looks for what is due."""
        return self._lookers / self.workers * cycle / self._close_period(cycle)

    @property
    def _lookers(self) -> int:
        return self.shards if self.load.one_closes else self.workers

    def _close_period(self, cycle: float) -> float:
        """Seconds from one look to the next: it is due some time after the last, and made with the next flush.

        Flushes that all keep to the interval have no part in that by chance: the look comes with every so many of them.
        """
        due = self.load.closing + self.close_seconds
        if cycle < self.load.interval + 1e-6:
            return ceil(due / cycle) * cycle
        return max(cycle, due + cycle / 2)

    @property
    def close_seconds(self) -> float:
        """Seconds of one look for what is due, with all cores of the shards to itself."""
        return self.figures.close_open_row * self.load.open_rows / 1e6 / (self.shards * self.load.shard_cores)

    @property
    def cached_bytes(self) -> float:
        """Bytes of a live conversation in memory, unpacked, half grown on average."""
        return self.figures.cached_base + self.figures.cached_fact * self.load.events_per_conversation / 2

    @property
    def packed_bytes(self) -> float:
        """The same of one that is packed."""
        return self.figures.packed_base + self.figures.packed_fact * self.load.events_per_conversation / 2

    @property
    def kept(self) -> float:
        """How many conversations a cache of the load's size holds once it is full, most of them packed."""
        share = UNPACKED_SHARE / self.cached_bytes + (1 - UNPACKED_SHARE) / self.packed_bytes
        return (self.load.cache_bytes or inf) * share

    @property
    def hit_ratio(self) -> float:
        """How many events but the first of a conversation find it in memory."""
        if self.load.cache_bytes is None:
            return 1.0
        return hit_ratio(self.worker_live, self.kept, self.load.events_per_conversation)

    @property
    def reloads_per_second(self) -> float:
        """Conversations read from ClickHouse again, in a second, all workers together."""
        return (self.load.events_per_second - self.load.per_second) * (1 - self.hit_ratio)

    @property
    def look_up_event(self) -> float:
        """CPU of ClickHouse for the look-ups of an event, in microseconds, beside their requests."""
        of, load = self.figures, self.load
        known = self.reloads_per_second / load.events_per_second
        return of.look_up_new / load.events_per_conversation + of.look_up_known * known

    @property
    def cache_gib(self) -> float:
        """`AFTERWORD_CACHE_BYTES`: as set, else what the live conversations of a worker need."""
        needed = self.worker_live * self.cached_bytes * self.figures.cache_room
        return (self.load.cache_bytes or needed) / (1 << 30)

    @property
    def worker_memory_gib(self) -> float:
        """Memory of a worker, the cache and all else."""
        return self.cache_gib + self.figures.worker_base_mib / 1_024

    @property
    def worker_cores(self) -> float:
        """CPU seconds a second of all workers."""
        return self.load.events_per_second * self.worker_event / 1e6

    @property
    def inserts_per_second(self) -> float:
        """Inserts of facts and of rows of all workers."""
        return 2 * self.workers / self.cycle

    @property
    def parts_per_second(self) -> float:
        """New parts a second on a shard: every insert leaves a part on every shard that gets some of it."""
        return self.inserts_per_second

    def insert_cores(self) -> float:
        """CPU seconds a second of ClickHouse for inserts and look-ups."""
        of, rate, shards = self.figures, self.load.events_per_second, self.shards
        facts_and_rows = of.fact + of.row * self.rows_per_event
        divided = of.distributed * facts_and_rows if shards > 1 else 0.0
        each = facts_and_rows + divided + self.look_up_event
        fixed = of.insert_facts + of.insert_rows + of.look_up
        return (rate * each + self.workers / self.cycle * shards * fixed) / 1e6

    def merge_cores(self, horizon: float = MONTH) -> float:
        """CPU seconds a second of merges, on average over a partition of so many seconds.

        A part takes part in one merge at each level. What the same conversation wrote twice in the time that a part
        spans is one row afterwards.
        """
        of = self.figures
        parts = self.workers / self.cycle  # of a table, on each shard
        events = self.load.events_per_second / self.shards
        level, total = 0, 0.0
        while (taken := of.fan_in ** (level + 1)) <= parts * horizon:
            whole = parts * horizon // taken * taken / (parts * horizon)
            total += whole * (
                events * (of.merge_fact + of.merge_row * self.rows_per_event * self.rows_left(level))
                + 2 * parts / of.fan_in**level * of.merge_part
            )
            level += 1
        return self.shards * total / 1e6

    def rows_left(self, level: int) -> float:
        """Give what is left of the rows in parts of a level: of a conversation there is one in each part."""
        if not level:
            return 1.0
        touched = float(self.figures.fan_in**level) * self.cycle / self.workers / self.load.gap
        return max(1 / self.load.events_per_conversation, (1 - exp(-touched)) / touched)

    def closing_cores(self) -> float:
        """CPU seconds a second of looking for what is due."""
        looks = self._lookers / self._close_period(self.cycle)
        whole = self.figures.close_open_row * self.load.open_rows / 1e6
        return looks * (whole / self.shards if self.load.one_closes else whole)

    def server_cores(self, horizon: float = MONTH) -> float:
        """CPU seconds a second of ClickHouse, one replica of each shard."""
        return self.insert_cores() + self.merge_cores(horizon) + self.closing_cores()

    @property
    def broker_cores(self) -> float:
        """CPU seconds a second of Kafka, unreplicated."""
        return self.load.events_per_second * self.figures.broker_event / 1e6

    @property
    def latency(self) -> tuple[float, float]:
        """Seconds from an event to its row, p50 and p99: what is left of the cycle, then the flush.

        A flush with a look for what is due takes longer. So does the cycle that begins with it, and the flush behind
        that has more to write.
        """
        if self.cycle == inf:
            return inf, inf
        looks, look = self._looks_of(self.cycle), self.close_seconds
        flush, cycle, longer = self.flush, self._cycle_behind(self.flush), self._cycle_behind(self.flush + look)
        fuller = self.flush_of(min(self.worker_rate * longer, self.load.epoch_facts))
        both = max(0.0, 2 * looks - 1)  # looks are evenly spaced: one behind another only if they are that many
        kinds = (
            ((1 - 2 * looks + both) * cycle, cycle, flush),
            ((looks - both) * cycle, cycle, flush + look),
            ((looks - both) * longer, longer, fuller),
            (both * longer, longer, fuller + look),
        )
        return _quantile(kinds, 0.5), _quantile(kinds, 0.99)

    @property
    def kafka_bytes(self) -> float:
        """Bytes a second into Kafka, and once more out of it."""
        return self.load.events_per_second * self.figures.event_bytes

    @property
    def store_bytes(self) -> float:
        """Bytes a second from the workers to ClickHouse."""
        of = self.figures
        return self.load.events_per_second * (of.fact_wire + of.row_wire * self.rows_per_event)

    @property
    def disk_day(self) -> float:
        """Bytes that a day leaves on the disk of ClickHouse, one copy, once all is merged."""
        of, load = self.figures, self.load
        return _DAY * (load.events_per_second * of.fact_disk + load.per_second * of.row_disk)

    @property
    def kafka_disk_day(self) -> float:
        """Bytes that a day leaves on the disks of Kafka, one copy."""
        return _DAY * self.load.events_per_second * self.figures.kafka_disk_event

    def cpu_per_thousand(self) -> dict[str, float]:
        """CPU seconds of 1,000 conversations, by component."""
        share = 1_000 / self.load.per_second
        return {
            "worker": self.worker_cores * share,
            "inserts": self.insert_cores() * share,
            "merges": self.merge_cores() * share,
            "closing": self.closing_cores() * share,
            "kafka": self.broker_cores * share,
        }


def _quantile(kinds: Sequence[tuple[float, float, float]], wanted: float) -> float:
    """Give the time in which this share of the events has its row.

    Of each kind: how many there are, how long they wait for their flush at most (evenly up to that), the flush.
    """
    total = sum(share for share, *_ in kinds)
    low, high = 0.0, max(longest + flush for _, longest, flush in kinds)
    for _ in range(60):
        time = (low + high) / 2
        seen = sum(share * min(1.0, max(0.0, time - flush) / longest) for share, longest, flush in kinds)
        low, high = (time, high) if seen < wanted * total else (low, time)
    return high


def _partitions(workers: int) -> int:
    """Four a worker, so that all have the same number, now and with twice or four times as many workers."""
    return max(8, 4 * workers)
