"""The stream agents: the Faust app that brings batches, assignments and fetch times to the worker."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from faust import Stream
from faust.types import TP, StreamT
from yarl import URL

from processors.clock import Tick
from processors.transport import RECORDS_CODEC, Consumer, RecordBatchApp
from processors.worker import Worker
from schemas.topics import EVENTS, LABELS, TOPICS

log = logging.getLogger(__name__)

POLL_RECORDS: Final = 4_000


@dataclass(frozen=True, slots=True)
class Group:
    """How a worker joins its consumer group. Times in seconds; `brokers`: kafka://host:port, several by ';'."""

    brokers: str
    id: str = "afterword"
    session: float = 10.0
    heartbeat: float = 3.0
    rebalance: float = 60.0
    drain: float = 5.0
    credentials: Any = None
    poll_records: int = POLL_RECORDS
    extra: Mapping[str, Any] = field(default_factory=dict)


class Assignments:
    """Tells the worker which partitions are its own, and says why nothing may be consumed when that is so.

    Set `stopping` before the app is stopped: an assignment that is under way ends then.
    """

    def __init__(self, worker: Worker, drain: float) -> None:
        """`drain`: seconds that storing may take when partitions are taken away."""
        self.blocked = ""
        self.stopping = asyncio.Event()
        self.app: RecordBatchApp | None = None
        self._worker = worker
        self._drain = drain

    @property
    def consumer(self) -> Consumer:
        """The app's consumer."""
        assert self.app is not None
        return cast("Consumer", self.app.consumer)

    def answered(self, place: TP, tick: Tick, generation: int, passed: Callable[[], object] | None) -> None:
        """Pass on that a fetch was answered."""
        self._worker.answered(place.topic, place.partition, tick, generation, passed)

    def committed(self, offsets: Mapping[TP, int]) -> None:
        """Tell the worker what is stored already."""
        self._worker.committed({(place.topic, place.partition): offset for place, offset in offsets.items()})

    async def revoked(self) -> None:
        """Store and commit what was taken."""
        await self._worker.drain(self._drain)

    async def assigned(self, places: set[TP], generation: int) -> None:
        """Begin with the partitions that are owned in both topics.

        The counts are asked for anew: only the leader of the group is sure to know that topics were widened.
        """
        asking = asyncio.ensure_future(self.consumer._thread.refresh())  # noqa: SLF001
        stopping = asyncio.ensure_future(self.stopping.wait())
        await asyncio.wait([asking, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not asking.done():  # the consumer's thread, which is being stopped, waits for us and answers nothing
            asking.cancel()
            self._worker.assigned(frozenset(), 1, generation, self.consumer.commit_frontier)
            return
        asking.result()
        owned = {topic.name: frozenset(tp.partition for tp in places if tp.topic == topic.name) for topic in TOPICS}
        counts = {topic.name: self.consumer._thread.partition_count(topic.name) for topic in TOPICS}  # noqa: SLF001
        self.blocked = _why_blocked(owned, counts)
        if self.blocked:
            log.error("consuming nothing: %s", self.blocked)
            self._worker.assigned(frozenset(), 1, generation, self.consumer.commit_frontier)
            return
        log.info("assigned: partitions %s of %d", sorted(owned[EVENTS.name]), counts[EVENTS.name])
        self._worker.assigned(owned[EVENTS.name], counts[EVENTS.name], generation, self.consumer.commit_frontier)


def _why_blocked(owned: Mapping[str, frozenset[int]], counts: Mapping[str, int]) -> str:
    events, labels = counts[EVENTS.name], counts[LABELS.name]
    if not events or not labels:
        absent = " and ".join(name for name, count in counts.items() if not count)
        return f"{absent} does not exist: run `afterword topics create`"
    if events != labels:
        return (
            f"{EVENTS.name} has {events} partitions and {LABELS.name} has {labels}: a conversation has one home in "
            "both, so give them the same number"
        )
    if owned[EVENTS.name] != owned[LABELS.name]:
        return "the partitions of the two topics are not assigned together: do all workers run the same version?"
    return ""


def build(worker: Worker, group: Group) -> tuple[RecordBatchApp, Assignments]:
    """Make the Faust app of a worker. Start it with `await app.start()`, stop it with `await app.stop()`."""
    assignments = Assignments(worker, group.drain)
    app = RecordBatchApp(
        group.id,
        broker=[URL(one) for one in group.brokers.split(";")],
        broker_credentials=group.credentials,
        store="memory://",
        web_enabled=False,
        web_tables_enabled=False,
        autodiscover=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=1,  # with 0 and no tables Faust would not assign the two topics together
        consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=30_000,
        consumer_max_fetch_size=4 << 20,
        broker_max_poll_records=group.poll_records,
        broker_max_poll_interval=86_400.0,  # waiting for ClickHouse keeps the group; the watchdog finds what is stuck
        broker_session_timeout=group.session,
        broker_heartbeat_interval=group.heartbeat,
        broker_rebalance_timeout=group.rebalance,
        broker_request_timeout=max(30.0, group.session + 5),
        broker_commit_interval=3_600.0,  # the worker commits behind every flush
        broker_commit_livelock_soft_timeout=86_400.0,
        stream_buffer_maxsize=4,
        stream_wait_empty=False,
        stream_processing_timeout=86_400.0,
        producer_request_timeout=30.0,
        **group.extra,
    )
    app.listener = assignments
    assignments.app = app
    for topic in (EVENTS, LABELS):
        source = app.topic(topic.name, value_serializer=RECORDS_CODEC, key_serializer="raw")
        app.agent(source, name=f"afterword.{topic.name}")(_agent(worker))
    return app, assignments


def _agent(worker: Worker) -> Callable[[StreamT[Any]], Awaitable[None]]:
    async def take(stream: StreamT[Any]) -> None:
        async for event in cast("Stream[Any]", stream).noack().events():
            message = event.message
            await worker.take(message.topic, message.partition, message.value, event.ack)

    return take
