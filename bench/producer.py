"""The input: made from its seed, produced once, and read by every contender.

Whole conversations of it, the first so many by their numbers, stand in a topic of their own too, without their labels:
the part for contenders that would take an hour for the whole.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer

from bench.stories import Stories, number_of
from bench.totals import Totals
from runtime.kafka import Cluster, KafkaProducer, create_topics
from runtime.simulator import Bulk, is_label
from runtime.simulator.bulk import EVENTS_PER_CONVERSATION
from schemas.partitioning import home_partitions
from schemas.topics import EVENTS, LABELS, TOPICS
from tests.kafka.broker import KafkaBroker

PARTITIONS: Final = 4
LIVE_AT_ONCE: Final = 100_000
LIVE_SHARE: Final = 0.4
"""At most so many of the conversations are live at once, so that a small input comes and goes as a large one does."""
LABELLED: Final = 0.05
PART: Final = "bench.part"
PART_EVENTS: Final = 50_000
_CHUNK: Final = 40_000
_WARM_EVENTS: Final = 500_000

_Records = dict[tuple[str, int], list[tuple[bytes | None, bytes]]]


class Produced(msgspec.Struct, frozen=True, kw_only=True):
    """What was produced, and what must be counted in it."""

    whole: Totals
    unlabelled: Totals
    """Without the labels: all that stands in `assistant.events`."""
    part: Totals
    live_at_once: int
    bytes: int
    seconds: float
    """Of generating and producing."""


def fewest_events(live: int) -> int:
    """Give how many events an input must have for so many conversations to be live at once."""
    return int(live * EVENTS_PER_CONVERSATION) + 1


def bulk_of(events: int, live: int | None = None) -> Bulk:
    """Give an input of at least so many events that ends now; `live`: conversations live at once, None for the usual.

    With fewer than `fewest_events` all conversations are live from its beginning to its end.
    """
    now, wanted = datetime.now(UTC), int(events / EVENTS_PER_CONVERSATION) + 1
    while True:
        usual = max(1, min(LIVE_AT_ONCE, int(wanted * LIVE_SHARE)))
        bulk = Bulk(now=now, conversations=wanted, live_at_once=live or usual, labels=LABELLED)
        if len(bulk) >= events:
            return bulk
        wanted += max(1, int((events - len(bulk)) / EVENTS_PER_CONVERSATION))


async def produce(
    broker: KafkaBroker, events: int, progress: Callable[[int], None], live: int | None = None
) -> Produced:
    """Make the topics and fill them, each record in its home partition; `live` as of `bulk_of`.

    It holds the live conversations and one chunk, however many events there are.
    """
    bulk = await asyncio.to_thread(bulk_of, events, live)
    stories = await asyncio.to_thread(Stories, bulk)
    in_part = min(bulk.conversations, int(PART_EVENTS / EVENTS_PER_CONVERSATION))
    cluster = Cluster(broker.address)
    await create_topics(cluster, PARTITIONS, 1)
    await broker.create_topic(PART, PARTITIONS, **{key.replace(".", "_"): value for key, value in EVENTS.config})
    producer = KafkaProducer(cluster)
    await producer.start()
    began, produced, size, source = time.perf_counter(), 0, 0, iter(bulk)
    try:
        while chunk := await asyncio.to_thread(lambda: list(islice(source, _CHUNK))):
            sorted_ = _sorted(chunk, in_part)
            await asyncio.gather(*(producer.send_many(*place, records) for place, records in sorted_.items()))
            produced += len(chunk)
            size += sum(len(payload) for _, payload in chunk)
            progress(produced)
    finally:
        await producer.stop()
    seconds = time.perf_counter() - began
    whole = stories.totals(bulk.conversations)
    whole.check({"events": produced})
    await _warm(broker.address, min(produced, _WARM_EVENTS))
    return Produced(
        whole=whole,
        unlabelled=stories.totals(bulk.conversations, labels=False),
        part=stories.totals(in_part, labels=False),
        live_at_once=bulk.live_at_once,
        bytes=size,
        seconds=seconds,
    )


async def _warm(address: str, events: int) -> None:
    """Read once in a group, so that the first contender finds a broker that did it all before, as the others do."""
    consumer = AIOKafkaConsumer(
        *(topic.name for topic in TOPICS),
        bootstrap_servers=address,
        group_id="bench-warm",
        auto_offset_reset="earliest",
    )
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that there are no groups yet
    count = 0
    async with consumer:
        while count < events:
            count += sum(map(len, (await consumer.getmany(timeout_ms=1_000)).values()))


def _sorted(chunk: list[tuple[bytes, bytes]], in_part: int) -> _Records:
    homes = home_partitions([name.decode() for name, _ in chunk], PARTITIONS)
    records: _Records = {}
    for record, home in zip(chunk, homes, strict=True):
        name, payload = record
        label = is_label(payload)
        records.setdefault((LABELS.name if label else EVENTS.name, home), []).append(record)
        if not label and number_of(name) < in_part:
            records.setdefault((PART, home), []).append(record)
    return records
