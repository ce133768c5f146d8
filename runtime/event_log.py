"""The log that HTTP writes go to: `api.writing.log.EventLog` on Kafka, which may be away for as long as it likes."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final

from aiokafka.structs import RecordMetadata

from api.writing.log import PATIENCE, Outgoing
from runtime.kafka import Cluster, KafkaProducer
from schemas.failures import Unavailable
from schemas.partitioning import home_partitions

log = logging.getLogger(__name__)

Stored = Callable[[str, int, int], Awaitable[None]]
"""Waits until the record at (topic, partition, offset) is stored: `processors.worker.Worker.stored`."""

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
_SILENCE: Final = 30.0
"""After so many seconds without an acknowledgement that was waited for the connection is made anew.

aiokafka finds brokers again that come back at their addresses, but not a cluster of which every address has changed,
and it does not survive some errors at all.
"""
_LOOK: Final = 5.0
"""Seconds between looks whether Kafka is there, so that it can be told before somebody writes."""
_MOST_WAITING: Final = 64 << 20
"""Bytes that may wait to be taken. More is refused at once: a Kafka that is away must not fill the memory."""


class KafkaEventLog:
    """Appends events to their home partitions, on a producer of its own that it connects in the background.

    The producer has no producer id: a record may arrive twice, which counts once, and in return one that nobody waits
    for any more is dropped, not kept until Kafka is back.
    """

    def __init__(self, cluster: Cluster, *, stored: Stored | None = None, patience: float = PATIENCE) -> None:
        """`stored`: what a write waits for beside Kafka's acknowledgement; None: for nothing. `patience`: seconds."""
        self.lacks = "Kafka has not answered yet"
        self._cluster = replace(cluster, idempotent=False)
        self._stored = stored
        self._patience = patience
        self._producer: KafkaProducer
        self._connected = asyncio.Event()
        self._lost = asyncio.Event()
        self._silent_since: float | None = None
        self._waiting = 0
        self._connecting: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to connect; returns at once. `lacks` says what is missing, '' when events can be appended."""
        self._connecting = asyncio.create_task(self._connect())

    async def stop(self) -> None:
        """Disconnect. What nobody waits for any more may be sent still, for as long as a write is patient."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self._connected.is_set():
            self._connected.clear()
            await self._producer.stop()
        await asyncio.gather(*self._ending)

    async def append(self, events: Sequence[Outgoing]) -> list[bool]:
        """See EventLog."""
        if self._connecting is not None and self._connecting.done():
            self._connecting.result()  # it never ends by itself: a bug is raised
        taken = [False] * len(events)
        size = sum(len(event.value) for event in events)
        if self._waiting and self._waiting + size > _MOST_WAITING:
            log.warning("%d events were refused: %d bytes wait for Kafka already", len(events), self._waiting)
            return taken
        self._waiting += size
        try:
            async with asyncio.timeout(self._patience):
                await self._connected.wait()
                await self._append_all(self._producer, events, taken)
        except TimeoutError:
            log.warning("%d of %d events were not taken within %g s", taken.count(False), len(taken), self._patience)
        finally:
            self._waiting -= size
        return taken

    async def _append_all(self, producer: KafkaProducer, events: Sequence[Outgoing], taken: list[bool]) -> None:
        """Append events, each topic by itself."""
        topics: dict[str, list[int]] = {}
        for number, event in enumerate(events):
            topics.setdefault(event.topic.name, []).append(number)
        await asyncio.gather(
            *(self._append_to(producer, topic, numbers, events, taken) for topic, numbers in topics.items())
        )

    async def _append_to(
        self, producer: KafkaProducer, topic: str, numbers: list[int], events: Sequence[Outgoing], taken: list[bool]
    ) -> None:
        """Append the events of one topic, partition by partition, side by side."""
        try:
            partitions = await producer.partitions(topic)
        except Unavailable as error:
            log.warning("%s", error)
            self._note(acknowledged=False)
            return
        homes: dict[int, list[int]] = {}
        for number, home in zip(
            numbers, home_partitions([events[number].conversation_id for number in numbers], partitions), strict=True
        ):
            homes.setdefault(home, []).append(number)
        await asyncio.gather(
            *(self._append_home(producer, topic, home, those, events, taken) for home, those in homes.items())
        )

    async def _append_home(
        self,
        producer: KafkaProducer,
        topic: str,
        partition: int,
        numbers: list[int],
        events: Sequence[Outgoing],
        taken: list[bool],
    ) -> None:
        """Append the events of one partition; notes in `taken` which of them are there for certain."""
        sent: dict[int, asyncio.Future[RecordMetadata]] = {}
        refusals: set[str] = set()
        try:
            for number in numbers:
                event = events[number]
                key = event.conversation_id.encode()
                try:
                    sent[number] = await producer.submit(topic, partition, key, event.value)
                except Unavailable as error:
                    refusals.add(str(error))
            for refusal in refusals:
                log.warning("%s", refusal)
            if sent:
                await asyncio.wait(sent.values())
        finally:
            offsets = {number: offset for number, one in sent.items() if (offset := _offset(one)) is not None}
            self._note(acknowledged=bool(offsets))
            if self._stored is None:
                for number in offsets:
                    taken[number] = True
        if self._stored is not None and offsets:
            await self._stored(topic, partition, max(offsets.values()))
            for number in offsets:
                taken[number] = True

    def _note(self, *, acknowledged: bool) -> None:
        """Note whether Kafka answered; connect anew when it has been silent for long."""
        if acknowledged:
            self._silent_since = None
            return
        now = asyncio.get_running_loop().time()
        if self._silent_since is None:
            self._silent_since = now
        elif now - self._silent_since > _SILENCE:
            self._lost.set()

    async def _connect(self) -> None:
        """Keep a producer connected."""
        pause = _FIRST_PAUSE
        while True:
            producer = KafkaProducer(self._cluster, timeout=self._patience)
            try:
                await producer.start()
            except Unavailable as error:
                log.warning("HTTP writes wait: %s", error)
                self.lacks = str(error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            self._producer, self.lacks, pause = producer, "", _FIRST_PAUSE
            self._connected.set()
            await self._watch(producer)
            log.warning("Kafka has been silent for %g s: connecting anew", _SILENCE)
            self._connected.clear()
            self._lost.clear()
            self._silent_since = None
            ending = asyncio.create_task(producer.stop())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def _watch(self, producer: KafkaProducer) -> None:
        """Look whether Kafka is there, until the producer is of no use any more."""
        while not self._lost.is_set():
            if await producer.answers():
                self.lacks = ""
            else:
                self.lacks = f"Kafka at {self._cluster.address} does not answer"
                self._note(acknowledged=False)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), _LOOK)


def _offset(sent: "asyncio.Future[RecordMetadata]") -> int | None:
    """Give the offset of a record that was acknowledged; of one that was not, nobody will ask again."""
    if not sent.done():
        sent.cancel()
        return None
    if sent.cancelled() or sent.exception() is not None:
        return None
    return int(sent.result().offset)
