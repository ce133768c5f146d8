"""The way in: a batch of records becomes facts, dead letters, or records on their way home.

No exception leaves a batch. What can never succeed becomes a dead letter with its reason; everything else is counted.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

import msgspec
from xxhash import xxh3_128_digest

from processors import measures
from processors.conversation import sort_in
from processors.effects import Effects
from processors.epoch import Epoch, Homeward, Origin
from processors.measures import Metrics
from processors.poison import Poison
from processors.records import Producer, Record
from processors.times import COMPILED, milliseconds
from schemas.dead_letters import DeadLetter
from schemas.events import FUTURE_TOLERANCE, LATEST_AT, ahead
from schemas.facts import FactColumns
from schemas.failures import Invalid, Reason
from schemas.partitioning import home_partitions
from schemas.topics import HOPS_HEADER, LABELS, MAX_HOPS, TOPICS, topic_of
from schemas.wire import WIRE, WireEvent, decode, decode_all

_decode_all: Final = partial(decode_all, milliseconds=milliseconds) if COMPILED else decode_all
_ALLOWED: Final = {topic.name: frozenset(WIRE[kind] for kind in topic.types) for topic in TOPICS}


class _Names(msgspec.Struct):
    """As much of a bad record as an erasure needs to find it."""

    assistant: str = ""
    conversation_id: str = ""


_names = msgspec.json.Decoder(_Names).decode


class _Batch:
    """Good records of one batch, in columns of one length."""

    __slots__ = ("assistants", "conversations", "events", "records", "times")

    def __init__(self, records: Sequence[Record], events: list[WireEvent], times: list[int], default: str) -> None:
        self.records = records
        self.events = events
        self.times = times
        self.assistants: list[str] = [event.assistant or default for event in events]
        self.conversations: list[str] = [event.conversation_id for event in events]

    def without(self, places: set[int]) -> "_Batch":
        """Copy all but the records at these places."""
        keep = [i for i in range(len(self.events)) if i not in places]
        rest = _Batch(
            [self.records[i] for i in keep], [self.events[i] for i in keep], [self.times[i] for i in keep], ""
        )
        rest.assistants = [self.assistants[i] for i in keep]
        return rest


class Intake:
    """Takes batches of one worker into the epoch. `partitions` is the number of partitions of both topics."""

    def __init__(
        self,
        *,
        producer: Producer,
        metrics: Metrics,
        poison: Poison,
        default_assistant: str | None,
        effects_of: Callable[[str], Effects],
        now: Callable[[], int],
    ) -> None:
        self.partitions = 1
        self._producer = producer
        self._metrics = metrics
        self._poison = poison
        self._default = default_assistant
        self._effects_of = effects_of
        self._now = now

    def take(self, epoch: Epoch, topic: str, partition: int, records: Sequence[Record]) -> None:
        """Take a batch into the epoch. Nothing is folded or acknowledged before the epoch is flushed."""
        bad_before = len(epoch.letters)
        batch = self._read_all(topic, records)
        if batch is None:
            batch = self._read_each(epoch, topic, partition, records)
        batch = self._keep_home(epoch, topic, partition, batch)
        if batch.events:
            self._keep(epoch, topic, partition, batch)
        bad = len(epoch.letters) - bad_before
        epoch.bytes += sum([len(record.value or b"") for record in records])
        epoch.frontier[topic, partition] = records[-1].offset + 1
        if topic == LABELS.name:
            epoch.urgent = True
        self._metrics.count(measures.RECORDS, len(records), topic)
        if self._poison.seen(topic, partition, len(records) - bad, bad):
            self._metrics.gauge(measures.POISONED, (topic, partition) in self._poison.partitions, topic, str(partition))

    def _read_all(self, topic: str, records: Sequence[Record]) -> _Batch | None:
        """Read a batch in which nothing is wrong; None when something needs a look."""
        decoded = _decode_all([record.value or b"" for record in records])
        if decoded is None:
            return None
        events, times = decoded
        if not {event.__class__ for event in events} <= _ALLOWED[topic]:
            return None
        if max(times) > min(LATEST_AT, *[record.timestamp for record in records]) + FUTURE_TOLERANCE:
            return None
        batch = _Batch(records, events, times, self._default or "")
        return batch if all(batch.assistants) else None

    def _read_each(self, epoch: Epoch, topic: str, partition: int, records: Sequence[Record]) -> _Batch:
        """Read record by record; the bad ones become dead letters."""
        kept: list[Record] = []
        events: list[WireEvent] = []
        times: list[int] = []
        for record in records:
            try:
                event, at = self._read(topic, record)
            except Invalid as invalid:
                self._bury(epoch, topic, partition, record, invalid)
                continue
            kept.append(record)
            events.append(event)
            times.append(at)
        return _Batch(kept, events, times, self._default or "")

    def _read(self, topic: str, record: Record) -> tuple[WireEvent, int]:
        event, at = decode(record.value or b"")
        if event.kind in WIRE and event.__class__ not in _ALLOWED[topic]:
            raise Invalid(Reason.WRONG_TOPIC, f"{event.kind} belongs to {topic_of(event.kind).name}")
        recorded = min(record.timestamp, LATEST_AT)  # whatever its producer says
        if at > recorded + FUTURE_TOLERANCE:
            raise Invalid(Reason.FUTURE_TIME, f"at is {ahead(at, recorded)} after the record itself")
        if not (event.assistant or self._default):
            raise Invalid(Reason.INVALID, "assistant: absent, and no default is configured")
        return event, at

    def _bury(self, epoch: Epoch, topic: str, partition: int, record: Record, invalid: Invalid) -> None:
        epoch.letters.append(dead_letter(topic, partition, record, invalid, self._default, self._now()))
        self._metrics.count(measures.DEAD_LETTERS, 1, invalid.reason)

    def _keep_home(self, epoch: Epoch, topic: str, partition: int, batch: _Batch) -> _Batch:
        """Send home what lies in another than its home partition."""
        homes = home_partitions(batch.conversations, self.partitions)
        if homes.count(partition) == len(homes):
            return batch
        away = {place for place, home in enumerate(homes) if home != partition}
        for place in sorted(away):
            self._send_home(epoch, topic, partition, homes[place], batch.conversations[place], batch.records[place])
        return batch.without(away)

    def _send_home(
        self, epoch: Epoch, topic: str, partition: int, home: int, conversation: str, record: Record
    ) -> None:
        # A header is whatever a producer put there: null, or more digits than an int may have.
        counts = (value[:9] for name, value in record.headers if name == HOPS_HEADER and value and value.isdigit())
        hops = int(next(counts, 0))
        if hops >= MAX_HOPS:
            detail = f"sent home {hops} times; partition {home} of {self.partitions} never kept it"
            self._bury(epoch, topic, partition, record, Invalid(Reason.NO_HOME, detail))
            return
        headers = [(name, value) for name, value in record.headers if name != HOPS_HEADER]
        headers.append((HOPS_HEADER, str(hops + 1).encode()))
        send: Callable[[], Awaitable[None]] = partial(
            self._producer.send, topic, home, conversation.encode(), record.value or b"", headers, record.timestamp
        )
        epoch.homeward.append(Homeward(send, send()))
        self._metrics.count(measures.SENT_HOME)

    def _keep(self, epoch: Epoch, topic: str, partition: int, batch: _Batch) -> None:
        """Note the facts under their conversations, and their columns."""
        events, times, records = batch.events, batch.times, batch.records
        values = [record.value or b"" for record in records]
        digests = list(map(xxh3_128_digest, values))
        ids = [event.id for event in events]
        start = len(epoch.columns)
        keys = list(zip(batch.assistants, batch.conversations, strict=True))
        effects = {assistant: self._effects_of(assistant) for assistant in set(batch.assistants)}
        sort_in(epoch.facts, keys, events, times, ids, digests, start, effects)
        epoch.origins.append(
            Origin(start, topic, partition, [one.offset for one in records], [one.key for one in records])
        )
        epoch.columns.extend(
            FactColumns(
                batch.assistants,
                batch.conversations,
                ids,
                digests,
                [event.kind for event in events],
                times,
                [event.seq or 0 for event in events],
                [event.role for event in events],
                [event.text or "" for event in events],
                values,
                [record.timestamp for record in records],
            )
        )


def dead_letter(
    topic: str, partition: int, record: Record, invalid: Invalid, default_assistant: str | None, now: int
) -> DeadLetter:
    """Make the dead letter of a record. `now`: epoch ms."""
    value = record.value or b""
    try:
        names = _names(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        names = _Names()
    return DeadLetter(
        topic=topic,
        partition=partition,
        offset=record.offset,
        key=record.key,
        value=value,
        digest=xxh3_128_digest(value),
        reason=invalid.reason,
        detail=invalid.detail,
        assistant=names.assistant or default_assistant or "",
        conversation_id=names.conversation_id,
        recorded_at=record.timestamp,
        failed_at=now,
    )
