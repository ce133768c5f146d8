"""One worker, running: the Faust app, the flusher and the watchdog around `processors.worker.Worker`."""

import asyncio
import logging
import os
import time
from dataclasses import dataclass
from typing import Final

from faust.types import TP

from processors import measures
from processors.agents import Assignments, Group, build
from processors.classifier import COMPILED
from processors.crash_point import Passing, unharmed
from processors.language import load as load_language_detector
from processors.measures import Metrics
from processors.transport import RecordBatchApp
from processors.watchdog import ANSWERS_RECENT, Watchdog, dump_stacks
from processors.worker import Pace, Worker
from runtime import collector
from runtime.kafka import Cluster, KafkaProducer
from schemas.rules import Rules
from schemas.store import Reader, Writer

log = logging.getLogger(__name__)

STUCK_EXIT: Final = 70
"""Exit status of a process that its watchdog ended (EX_SOFTWARE)."""
_LAG_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Tuning:
    """What operators may change of a worker."""

    cache_bytes: int
    default_assistant: str | None
    group: str
    session: float
    drain: float
    watchdog: float
    pace: Pace


class Engine:
    """A worker from start to stop; tells whether it is alive and ready."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        writer: Writer,
        reader: Reader,
        metrics: Metrics,
        rules: Rules,
        tuning: Tuning,
        passing: Passing = unharmed,
    ) -> None:
        self._metrics = metrics
        self._tuning = tuning
        self._producer = KafkaProducer(cluster)
        self.worker = Worker(
            writer=writer,
            reader=reader,
            producer=self._producer,
            metrics=metrics,
            rules=rules,
            cache_bytes=tuning.cache_bytes,
            default_assistant=tuning.default_assistant,
            pace=tuning.pace,
            after_flush=collector.tidy,
            passing=passing,
        )
        group = Group(
            brokers=cluster.brokers,
            id=tuning.group,
            session=tuning.session,
            heartbeat=tuning.session / 4,
            drain=tuning.drain,
            credentials=cluster.credentials(),
        )
        self._app: RecordBatchApp
        self._assignments: Assignments
        self._app, self._assignments = build(self.worker, group)
        self._watchdog = Watchdog(
            beats=lambda: self.worker.progress.beats,
            behind=self.behind,
            waits=self._waits,
            limit=tuning.watchdog,
            bite=_bite,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Join the group and begin. Raises Unavailable when Kafka does not answer."""
        await self._producer.start()
        if not COMPILED:
            log.info("the hot path is interpreted and costs a third more: `make setup` compiles it where it can")
        load_language_detector()
        await self._app.start()
        collector.tame()
        for run in (self.worker.run(), self._watchdog.run(), self._watch_lag(), self._watch_app()):
            task = asyncio.create_task(run)
            task.add_done_callback(self._ended)
            self._tasks.append(task)

    async def stop(self) -> bool:
        """Take nothing more, store and commit what was taken, leave the group; False when that took too long."""
        self._assignments.stopping.set()
        self._app.consumer.stop_flow()
        stored = await self.worker.drain(self._tuning.drain)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)  # what made one fail is in `failed`
        await self._app.stop()
        await self._producer.stop()
        self.worker.close()
        return stored

    def behind(self) -> int:
        """Give how many records are not taken or not stored, as far as is known."""
        if self._app.consumer is None or not self._app.consumer.assignment():
            return 0
        return sum(self._assignments.consumer.lag().values()) + (not self.worker.idle)

    def _waits(self) -> bool:
        answered = time.monotonic() - self._assignments.consumer.last_answer < ANSWERS_RECENT
        return bool(self.worker.persistence.waiting_on or self._assignments.blocked) or not answered

    def live(self) -> str:
        """Say why the process should be started anew, '' when it is fine."""
        if self.failed.done():
            return "the worker failed; see the log"
        return self._watchdog.stuck

    def ready(self) -> list[str]:
        """Say what the worker lacks to do its work; empty when it is ready."""
        lacks = []
        if self._assignments.blocked:
            lacks.append(self._assignments.blocked)
        elif not self.worker.owned:
            lacks.append("no partition is assigned: the group still gathers, or there are more workers than partitions")
        if self.worker.persistence.waiting_on:
            lacks.append(f"waiting: {self.worker.persistence.waiting_on}")
        return lacks

    def notes(self) -> list[str]:
        """Say what an operator should know although the worker works."""
        notes = [
            f"most of the last records of {topic} partition {partition} were bad: see `afterword dead-letters list`"
            for topic, partition in sorted(self.worker.poison.partitions)
        ]
        if warning := self.worker.rules_warning():
            notes.append(warning)
        return notes

    async def caught_up(self, records: int) -> None:
        """Wait until at least so many records were taken and everything taken is stored."""
        while not (self.worker.progress.records >= records and self.worker.idle and not self.behind()):
            if self.worker.idle:
                await asyncio.sleep(0.05)
            else:
                await self.worker.flush()

    async def close_due(self) -> None:
        """Close the conversations that are due by now: wait until the clocks have passed this moment, then close."""
        now = time.time_ns() // 1_000_000
        while not (
            len(clocks := self.worker.clocks()) == len(self.worker.owned) and all(at >= now for at in clocks.values())
        ):
            await self.worker.flush()
            await asyncio.sleep(0.05)
        await self.worker.flush(close=True)

    async def _watch_lag(self) -> None:
        shown: set[TP] = set()
        while True:
            await asyncio.sleep(_LAG_SECONDS)
            lag = self._assignments.consumer.lag()
            for place in shown | lag.keys():  # one that is not ours any more is nobody's backlog here
                self._metrics.gauge(measures.LAG, lag.get(place, 0), place.topic, str(place.partition))
            shown |= lag.keys()

    async def _watch_app(self) -> None:
        """Faust notes a crash and goes on as if nothing had been; here it ends the process."""
        while not self._app.crashed:  # noqa: ASYNC110  (Faust has no event for it)
            await asyncio.sleep(0.5)
        raise RuntimeError(f"Faust failed: {self._app.crash_reason!r}")

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or self.failed.done():
            return
        error = task.exception() or RuntimeError("a task of the worker ended by itself")
        log.critical("the worker failed", exc_info=error)
        self.failed.set_exception(error)
        self.failed.exception()  # read: whoever awaits it sees it again


def _bite() -> None:
    dump_stacks()
    os._exit(STUCK_EXIT)
