"""Record batches for Faust: its aiokafka driver, made to deliver lists of records and to commit an own frontier.

Stock Faust makes about four tasks and three turns of the loop per message, and its bookkeeping of acknowledged offsets
takes a batch for a hole (faust-streaming #606). Here a message carries all records of one fetch of one partition, and
what may be committed is the front of the batches in flight. Everything else of Faust stays: agents, groups, rebalances.
"""

import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final, Protocol, cast

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from faust import App
from faust.serializers.codecs import Codec, register
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from faust.types.tuples import Message, ack_lock

from processors.clock import Tick
from processors.records import Record

log = logging.getLogger(__name__)

_SHORT_WAIT_MS: Final = 20
"""How long a fetch of some partitions waits for records where those of others are at hand already."""
_BLOCKED_PAUSE: Final = 2.0
"""Seconds between looks at the partition counts while nothing may be consumed."""


class Listener(Protocol):
    """Who is told what happens to the partitions. `blocked` is why nothing may be consumed, '' when it may."""

    blocked: str

    def answered(self, place: TP, tick: Tick, generation: int, passed: Callable[[], object] | None) -> None:
        """A fetch request was answered without an error.

        With `passed` nothing lies before what it asked for but a hole: call it once everything behind that is stored.
        """

    def committed(self, offsets: Mapping[TP, int]) -> None:
        """What follows is read from these offsets: everything below them was stored when they were committed."""

    async def revoked(self) -> None:
        """All partitions are about to be taken away: store and commit what was taken, soon."""

    async def assigned(self, places: set[TP], generation: int) -> None:
        """These partitions are owned now; nothing of an earlier assignment holds."""


class Records(Codec):
    """Hands a list of records through unchanged; Faust's `raw` codec refuses a list."""

    def _loads(self, s: bytes) -> Any:
        return s

    def _dumps(self, s: Any) -> bytes:
        return cast("bytes", s)


RECORDS_CODEC: Final = "records"
register(RECORDS_CODEC, Records())


def _unwrapped(_place: TopicPartition, record: Record) -> Record:
    """Stand in for aiokafka's wrapping of each record, which costs as much as all the rest of a fetch."""
    return record


class TickingFetcher(Fetcher):  # type: ignore[misc]
    """aiokafka's fetcher; notes when each request was sent, leaves records as they are, and never waits for the quiet.

    aiokafka asks a broker for nothing more while a request is open, and Faust lets a request wait 1.5 s for records.
    One that leaves out the partitions whose records are at hand asks quiet ones only, and what arrives elsewhere would
    wait for it.

    A started consumer's fetcher is turned into one (`listen`), so that no other consumer of the process is touched.
    """

    _told: Callable[[TopicPartition, Tick], None]
    _first: dict[TopicPartition, int]
    _returned: dict[TopicPartition, int]
    _of: object

    @classmethod
    def listen(cls, fetcher: Fetcher, told: Callable[[TopicPartition, Tick], None]) -> None:
        """Turn a fetcher into one that tells of its answers; called in the consumer's thread."""
        fetcher.__class__ = cls
        fetcher._told = told  # noqa: SLF001
        fetcher._first = {}  # noqa: SLF001
        fetcher._returned = {}  # noqa: SLF001
        fetcher._of = None  # noqa: SLF001

    def _get_actions_per_node(self, assignment: Any) -> tuple[Any, ...]:
        requests, *rest = super()._get_actions_per_node(assignment)
        if self._records:
            for _, request in requests:
                request._max_wait_ms = _SHORT_WAIT_MS  # noqa: SLF001
        return requests, *rest

    async def _proc_fetch_request(self, assignment: Any, node_id: int, request: Any) -> bool:
        sent = time.time_ns() // 1_000_000
        asked = {
            TopicPartition(topic, partition): offset
            for topic, partitions in request.topics
            for partition, offset, _ in partitions
        }
        for place in asked:
            assignment.state_value(place).timestamp = None  # set anew by an answer that is accepted
        woke: bool = await super()._proc_fetch_request(assignment, node_id, request)
        if not assignment.active:
            return woke
        if self._of is not assignment:
            self._of, self._first, self._returned = assignment, {}, {}
        for place, offset in asked.items():
            state = assignment.state_value(place)
            result = self._records.get(place)
            records = getattr(result, "_partition_records", None)
            if records is not None:
                records._consumer_record = _unwrapped  # noqa: SLF001
            if state.timestamp is not None and state.highwater is not None:
                first = self._first.setdefault(place, offset)
                self._told(place, Tick(sent, first, state.highwater, offset, self._returned.get(place)))
        return woke

    async def fetched_records(self, *args: Any, **kwargs: Any) -> dict[TopicPartition, list[Record]]:
        """Hand records out, and note how far that was."""
        fetched: dict[TopicPartition, list[Record]] = await super().fetched_records(*args, **kwargs)
        for place, records in fetched.items():
            if records:
                self._returned[place] = records[-1].offset + 1
        return fetched


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread, with a ticking fetcher and commits whose failure is an answer, not a crash."""

    logger = logging.getLogger("faust.consumer")

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        """Read what is committed only: records of a transaction that was taken back never happened."""
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"  # noqa: SLF001  (Faust reads so in its own transactions only)
        return consumer

    async def on_start(self) -> None:
        """Start the consumer and listen to its fetcher."""
        await super().on_start()
        consumer = self._ensure_consumer()
        TickingFetcher.listen(consumer._fetcher, self._told)  # noqa: SLF001

    def _told(self, place: TopicPartition, tick: Tick) -> None:
        generation = self._ensure_consumer()._coordinator.generation  # noqa: SLF001
        owner = cast("Consumer", self.consumer)
        owner.loop.call_soon_threadsafe(owner.answered, TP(place.topic, place.partition), tick, generation)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        try:
            await self._ensure_consumer().commit({driver.ensure_aiokafka_TP(tp): at for tp, at in offsets.items()})
        except KafkaError as error:
            log.warning("commit failed: %r", error)
            return False
        return True

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek to what is committed; a member that owns nothing, or nothing any more, has nowhere to seek."""
        sought: Mapping[TP, int] = await self.call_thread(self._seek_to_committed)
        return sought

    async def _seek_to_committed(self) -> Mapping[TP, int]:
        consumer = self._ensure_consumer()
        if not consumer.assignment():
            return {}  # aiokafka asserts that there is something, and Faust takes that for the end of the process
        assignment = consumer._subscription.subscription.assignment  # noqa: SLF001
        try:
            return cast("Mapping[TP, int]", await consumer.seek_to_committed())
        except Exception:
            if consumer.assignment() and consumer._subscription.subscription.assignment is assignment:  # noqa: SLF001
                raise
            return {}  # taken away meanwhile: the next assignment seeks again

    async def refresh(self) -> None:
        """Ask for the partition counts again; a change makes the group rebalance."""
        await self.call_thread(self._refresh)

    async def _refresh(self) -> None:
        await self._ensure_consumer()._client.force_metadata_update()  # noqa: SLF001

    def partition_count(self, topic: str) -> int:
        """Give the number of partitions that a topic has, 0 when it does not exist."""
        return len(self._ensure_consumer().partitions_for_topic(topic) or ())


class Consumer(driver.Consumer):
    """Yields one message per (partition, fetched records); commits the front of the batches in flight, nothing else."""

    logger = logging.getLogger("faust.consumer")

    app: "RecordBatchApp"
    _thread: ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_flight: dict[TP, deque[Message]] = {}
        self._frontier: dict[TP, int] = {}
        self._expected: dict[TP, int] = {}
        self._holes: dict[TP, tuple[int, int]] = {}
        self.last_answer = time.monotonic()

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def answered(self, place: TP, tick: Tick, generation: int) -> None:
        """Pass on that a fetch was answered; in the loop of the app."""
        self.last_answer = time.monotonic()
        handed = self._expected.get(place, tick.first)
        passed = None
        if generation == self.app.consumer_generation_id and tick.passes(handed) and not self._in_flight.get(place):
            if tick.start > max(handed, self._frontier.get(place, 0)):
                passed = partial(self._pass, place, tick.start, generation)
            self._expected[place] = max(handed, tick.start)
        self.app.listener.answered(place, tick, generation, passed)

    def _pass(self, place: TP, offset: int, generation: int) -> None:
        """Move the frontier behind a hole: what lies there holds no records, or none any more."""
        if generation == self.app.consumer_generation_id:
            self._frontier[place] = max(offset, self._frontier.get(place, 0))

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek to what is committed, and tell how far that is."""
        sought = await super().seek_to_committed()
        self.app.listener.committed({TP(*place): offset for place, offset in sought.items() if offset})
        return sought

    def lag(self) -> dict[TP, int]:
        """Give by partition how many records lie between what was delivered and the high watermark last seen."""
        return {
            place: max(0, (self.highwater(place) or 0) - expected)
            for place, expected in self._expected.items()
            if place in self.assignment()
        }

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109
        """Fetch, and yield one message per partition that had records."""
        if self.app.listener.blocked:
            await self._thread.refresh()
            await self.sleep(_BLOCKED_PAUSE)
            return
        fetched, active = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if fetched is None or self.should_stop:
            return
        if not self.flow_active:
            await self.perform_seek()
            return
        for key, records in fetched.items():
            if not self.flow_active or self.app.consumer_generation_id != generation:
                break
            place = TP(*key)
            if not records or not (active is None or place in active or place in self._buffered_partitions):
                continue
            if not await self._whole(place, records):
                continue
            last = records[-1]
            message = ConsumerMessage(
                place.topic,
                place.partition,
                last.offset,
                last.timestamp / 1000.0,
                last.timestamp_type,
                [],
                None,
                cast("bytes", records),  # the codec hands the list through
                None,
                0,
                0,
                place,
                generation_id=generation,
            )
            self._in_flight.setdefault(place, deque()).append(message)
            self._expected[place] = last.offset + 1
            yield place, message

    async def _whole(self, place: TP, records: list[Record]) -> bool:
        """Whether nothing is missing before these records; else they are fetched once more.

        Compaction and transaction markers leave holes that stay; what was lost between the fetch and here does not.
        Holes among the records of one fetch are always of the first kind.
        """
        first = records[0].offset
        expected = self._expected.setdefault(place, first)
        if first <= expected or self._holes.pop(place, None) == (expected, first):
            return True
        self._holes[place] = (expected, first)
        log.debug("offsets %d to %d of %s are missing: fetching again", expected, first, place)
        await self.seek_wait({place: expected})
        self._read_offset[place] = None
        return False

    def ack(self, message: Message) -> bool:
        """Note that a batch is stored; the frontier moves past it when everything before it is stored too."""
        with ack_lock:
            if message.acked:
                return False
            message.acked = True
            self._unacked_messages.discard(message)
            if message.generation_id != self.app.consumer_generation_id:
                return False  # of an earlier assignment: whoever owns the partition now reads it again
            batches = self._in_flight.get(message.tp, deque())
            while batches and batches[0].acked:
                self._frontier[message.tp] = batches.popleft().offset + 1
            self._n_acked += 1
            return True

    def _filter_tps_with_pending_acks(self, topics: Iterable[Any] | None = None) -> Iterator[TP]:
        return (place for place in self._frontier if topics is None or place in topics or place.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        return self._frontier.get(tp)

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:  # noqa: ARG002
        owned = self.assignment()
        ours = {place: offset for place, offset in offsets.items() if place in owned}
        if not ours or not await self._commit(ours):
            return False
        self._committed_offset.update(ours)  # Faust notes it even when the commit failed
        return True

    async def commit_frontier(self) -> bool:
        """Commit what is stored; False when Kafka did not take it."""
        await self.maybe_wait_for_commit_to_finish()
        pending = {tp: at for tp, at in self._frontier.items() if self._should_commit(tp, at)}
        return await self._commit_offsets(pending) if pending else True

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Batches skip offsets by design: never a gap."""

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Store and commit first, while the partitions are still ours."""
        self.stop_flow()
        await self.app.listener.revoked()
        await super().on_partitions_revoked(revoked)
        self._forget()

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Begin anew before anything is delivered."""
        self._forget()
        await self.app.listener.assigned(set(assigned), generation_id)
        await super().on_partitions_assigned(assigned, generation_id)

    def _forget(self) -> None:
        self._in_flight.clear()
        self._frontier.clear()
        self._expected.clear()
        self._holes.clear()


class Transport(driver.Transport):
    """Faust's aiokafka transport with this consumer."""

    Consumer = Consumer


class RecordBatchApp(App):
    """A Faust app whose streams carry lists of records."""

    logger = logging.getLogger("faust.app")

    listener: Listener

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)  # no loop=: it would pin one that never runs

    def _create_directories(self) -> None:
        """Nothing is kept on disk."""
