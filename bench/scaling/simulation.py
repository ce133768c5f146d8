"""The plan's load, lived through: workers that flush one epoch after another into shards that have other things to do.

What the closed form leaves out is here: arrivals by chance, partitions of unequal weight, workers and merges that wait
for each other's cores. The costs are the plan's. Nothing is measured; time is virtual, chance comes from a seed.
"""

import heapq
from collections import Counter, defaultdict, deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from itertools import count
from math import ceil
from typing import Any

import numpy as np

from bench.scaling.plan import REST, Plan
from processors.cache import PACKED_BYTES, Cache

Life = Generator[float, float, None]
"""Gives the time until which it waits, and is told what time it is."""

_ASSISTANTS = 50
_SLICE = 0.05
"""Seconds after which what takes long lets others have the core."""
_POINTS = (np.arange(32) + 0.5) / 32
_FACTS, _ROWS = "events", "conversations"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was seen behind the first quarter of the time. CPU in cores: seconds a second."""

    cycle: float
    latency_p50: float
    latency_p99: float
    rows_per_event: float
    worker_cores: float
    insert_cores: float
    merge_cores: float
    closing_cores: float
    parts_per_second: float
    """Of both tables, on a shard."""
    heaviest: float
    """The rate of the busiest worker, by the average."""
    lag: int
    """Records that no worker had taken at the end."""


@dataclass(slots=True)
class _Shard:
    """Cores that serve whoever comes first; merges may have half of them."""

    free: list[float]
    cpu: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    parts: Counter[tuple[str, int]] = field(default_factory=Counter)
    inserts: int = 0
    merging: int = 0
    waiting: deque[Life] = field(default_factory=deque)

    def serve(self, now: float, seconds: float, what: str) -> float:
        """Take a core as soon as there is one; gives when it is done."""
        begins = max(now, self.free[0])
        heapq.heapreplace(self.free, begins + seconds)
        self.cpu[what] += seconds
        return begins + seconds


class Simulation:
    """One life of a plan: `seconds` of it, by a `seed`."""

    def __init__(self, plan: Plan, *, seconds: float = 120.0, seed: int = 7) -> None:
        self.plan = plan
        self._seconds = seconds
        self._warm = seconds / 4
        self._random = np.random.default_rng(seed)
        self._shards = [_Shard([0.0] * plan.load.shard_cores) for _ in range(plan.shards)]
        self._queue: list[tuple[float, int, Life]] = []
        self._number = count()
        self._rates = self._worker_rates()
        self._seen = dict.fromkeys(("events", "rows", "flushes", "worker"), 0.0)
        self._lag = [0] * plan.workers
        self._waits: list[np.ndarray] = []
        self._weights: list[float] = []

    def run(self) -> Outcome:
        """Live through it."""
        for worker, rate in enumerate(self._rates):
            self._start(self._random.random() * self.plan.load.interval, self._worker(worker, rate))
        before: list[tuple[dict[str, float], int]] = []
        while self._queue and self._queue[0][0] < self._seconds:
            now, _, life = heapq.heappop(self._queue)
            if now >= self._warm and not before:
                before = [(shard.cpu.copy(), shard.inserts) for shard in self._shards]
            self._go_on(life, now)
        lasted = self._seconds - self._warm
        cpu = {
            what: sum(shard.cpu[what] - then[what] for shard, (then, _) in zip(self._shards, before, strict=True))
            for what in ("insert", "merge", "close")
        }
        inserts = sum(shard.inserts - then for shard, (_, then) in zip(self._shards, before, strict=True))
        p50, p99 = self._quantiles(0.5, 0.99)
        seen = self._seen
        return Outcome(
            cycle=lasted * len(self._rates) / seen["flushes"],
            latency_p50=p50,
            latency_p99=p99,
            rows_per_event=seen["rows"] / seen["events"],
            worker_cores=seen["worker"] / lasted,
            insert_cores=cpu["insert"] / lasted,
            merge_cores=cpu["merge"] / lasted,
            closing_cores=cpu["close"] / lasted,
            parts_per_second=inserts / lasted / len(self._shards),
            heaviest=float(self._rates.max() / self._rates.mean()),
            lag=sum(self._lag),
        )

    def _worker_rates(self) -> np.ndarray:
        """Share the load out as a hash of conversation ids does.

        A few assistants have most of the conversations (Zipf), and some talk more than others. Each conversation has a
        partition by chance, so an assistant's weight is spread over all of them.
        """
        plan, random = self.plan, self._random
        shares = 1 / np.arange(1, _ASSISTANTS + 1)
        live = plan.load.live * shares / shares.sum()
        talk = random.lognormal(0.0, 0.5, _ASSISTANTS)
        weights = (random.poisson(live / plan.partitions, (plan.partitions, _ASSISTANTS)) * talk).sum(axis=1)
        rates = plan.load.events_per_second * weights / weights.sum()
        return np.array([part.sum() for part in np.array_split(rates, plan.workers)])

    def _start(self, at: float, life: Life) -> None:
        next(life)
        heapq.heappush(self._queue, (at, next(self._number), life))

    def _go_on(self, life: Life, now: float) -> None:
        try:
            until = life.send(now)
        except StopIteration:
            return
        heapq.heappush(self._queue, (until, next(self._number), life))

    def _worker(self, worker: int, rate: float) -> Life:
        """Flush, one after another: fold, facts beside the look-up, rows, now and then what is due."""
        plan, of, load = self.plan, self.plan.figures, self.plan.load
        own = self._shards[worker % len(self._shards)]
        looks = not load.one_closes or worker < len(self._shards)
        taking = 1 - min(0.95, rate * of.take_event / 1e6)
        waiting: deque[tuple[float, float, int]] = deque()
        close_at, looking = self._random.random() * load.closing, plan.look_up_event
        now = yield 0.0
        until = begun = now
        while True:
            due = max(begun + load.interval, now + min(now - begun, REST))
            full = until + max(0, load.epoch_facts - sum(many for *_, many in waiting)) / rate
            begun = now = yield max(now, min(due, full))
            waiting.append((until, now, int(self._random.poisson(rate * (now - until)))))
            until = now
            taken = list(_take(waiting, load.epoch_facts))
            events = sum(many for *_, many in taken)
            rows = self._distinct(events, load.live * rate / load.events_per_second)
            looked_up = self._everywhere(own, now, of.look_up, events * looking)
            ready = rows * of.ready_row
            core = events * (plan.worker_event_at(rows / max(1, events)) - of.take_event) + of.worker_flush - ready
            now = yield now + core / 1e6 / taking
            now = yield max(looked_up, self._insert(own, now, of.insert_facts, events * of.fact, _FACTS))
            now = yield now + ready / 1e6 / taking
            now = yield self._insert(own, now, of.insert_rows, rows * of.row, _ROWS)
            if looks and now >= close_at:
                whole = of.close_open_row * load.open_rows / 1e6 / (len(self._shards) if load.one_closes else 1)
                asked = [own] if load.one_closes else self._shards
                each = whole / sum(len(shard.free) for shard in asked)
                for _ in range(ceil(each / _SLICE)):
                    part = each / ceil(each / _SLICE)
                    now = yield max(shard.serve(now, part, "close") for shard in asked for _ in shard.free)
                close_at = now + load.closing
            if now < self._warm:
                continue
            self._seen["events"] += events
            self._seen["rows"] += rows
            self._seen["flushes"] += 1
            self._seen["worker"] += (core + ready + events * of.take_event) / 1e6
            for began, ended, many in taken:
                self._waits.append(now - began - (ended - began) * _POINTS)
                self._weights.append(many / len(_POINTS))
            self._lag[worker] = max(0, sum(many for *_, many in waiting) - load.epoch_facts)

    def _distinct(self, events: int, live: float) -> int:
        """Draw the conversations of an epoch, and count them."""
        begun = int(self._random.binomial(events, 1 / self.plan.load.events_per_conversation))
        drawn = self._random.integers(max(1, int(live)), size=events - begun)
        return len(np.unique(drawn)) + begun

    def _everywhere(self, own: _Shard, now: float, fixed: float, divisible: float) -> float:
        """Ask all shards at once, through the own one; gives when the last has answered. In microseconds."""
        each = (fixed + divisible / len(self._shards)) / 1e6
        return max([own.serve(now, 0.0, "insert"), *(shard.serve(now, each, "insert") for shard in self._shards)])

    def _insert(self, own: _Shard, now: float, fixed: float, divisible: float, table: str) -> float:
        if len(self._shards) > 1:
            now = own.serve(now, self.plan.figures.distributed * divisible / 1e6, "insert")
        done = self._everywhere(own, now, fixed, divisible)
        for shard in self._shards:
            shard.inserts += 1
            self._part(shard, done, table, 0)
        return done

    def _part(self, shard: _Shard, now: float, table: str, level: int) -> None:
        """Note a new part; as many as a merge takes begin one."""
        shard.parts[table, level] += 1
        if shard.parts[table, level] < self.plan.figures.fan_in:
            return
        shard.parts[table, level] = 0
        shard.waiting.append(self._merge(shard, table, level))
        self._merge_next(shard, now)

    def _merge_next(self, shard: _Shard, now: float) -> None:
        if shard.waiting and shard.merging < max(1, len(shard.free) // 2):
            shard.merging += 1
            self._start(now, shard.waiting.popleft())

    def _merge(self, shard: _Shard, table: str, level: int) -> Life:
        """Merge so many parts of one level, a slice at a time."""
        of, plan = self.plan.figures, self.plan
        events = of.fan_in ** (level + 1) * plan.epoch / len(self._shards)
        rows = events * plan.rows_per_event * plan.rows_left(level)
        each = events * of.merge_fact if table == _FACTS else rows * of.merge_row
        whole = (each + of.fan_in * of.merge_part) / 1e6
        slices = ceil(whole / _SLICE)
        now = yield 0.0
        for _ in range(slices):
            now = yield shard.serve(now, whole / slices, "merge")
        shard.merging -= 1
        self._part(shard, now, table, level + 1)
        self._merge_next(shard, now)

    def _quantiles(self, *wanted: float) -> list[float]:
        waits = np.concatenate(self._waits)
        weights = np.repeat(self._weights, len(_POINTS))
        order = np.argsort(waits)
        upto = np.cumsum(weights[order]) / weights.sum()
        return [float(waits[order][np.searchsorted(upto, one)]) for one in wanted]


def _take(waiting: deque[tuple[float, float, int]], most: int) -> Iterable[tuple[float, float, int]]:
    """Take up to so many events, the oldest first; what came evenly in a time is divided where it has to be."""
    while waiting and most:
        began, ended, many = waiting.popleft()
        if many > most:
            middle = began + (ended - began) * most / many
            waiting.appendleft((middle, ended, many - most))
            ended, many = middle, most
        most -= many
        yield began, ended, many


class _Cached:
    """As much of a conversation as `processors.cache.Cache` looks at. Sizes in bytes, unpacked and packed."""

    __slots__ = ("counted", "epoch", "key", "looked_at", "packed", "size")

    def __init__(self, key: int, epoch: int, size: int, packed: int) -> None:
        self.key, self.epoch, self.size, self.packed, self.counted, self.looked_at = key, epoch, size, packed, 0, 0

    def pack(self) -> bytes:
        return bytes(self.packed - PACKED_BYTES)


def seen_hit_ratio(plan: Plan, *, live: int = 20_000, seed: int = 7) -> float:
    """Let the worker's own cache live through a small part of the plan: so many conversations, memory in proportion.

    Gives how many of the events but the first of their conversation found it in memory.
    """
    if plan.load.cache_bytes is None:
        return 1.0
    random, length = np.random.default_rng(seed), plan.load.events_per_conversation
    sizes = round(plan.cached_bytes), round(plan.packed_bytes)

    def unpack(key: Any, _packed: bytes) -> Any:
        return _Cached(key, 0, *sizes)

    cache = Cache(round(plan.load.cache_bytes / plan.worker_live * live), unpack)
    numbers = np.arange(live)
    following = live
    each = max(1, int(live * plan.load.interval / plan.load.gap))
    hits = asked = 0
    rounds = int(4 * length * live / each)
    for epoch in range(1, rounds):
        places = random.integers(live, size=each)
        ends = random.random(each) < 1 / (length - 1)
        touched: dict[int, bool] = {}
        for place, last in zip(places.tolist(), ends.tolist(), strict=True):
            touched.setdefault(int(numbers[place]), True)
            if last:
                numbers[place] = following
                touched[following] = False
                following += 1
        known: list[Any] = [cache[key] for key in touched if key in cache]  # type: ignore[index, operator]
        for one in known:
            one.epoch = epoch
        for key in touched.keys() - {one.key for one in known}:
            cache.put(_Cached(key, epoch, *sizes))  # type: ignore[arg-type]
        cache.evict()
        if epoch > rounds // 2:
            asked += sum(touched.values())
            hits += len(known)
    return hits / max(1, asked)
