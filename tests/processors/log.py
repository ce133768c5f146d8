"""A log in memory in place of Kafka: both topics, their partitions, their committed offsets."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from schemas.partitioning import home_partition
from schemas.topics import TOPICS, topic_of
from tests.builders import AT, DAY, Event, line

RECORDED: Final = AT + 100 * DAY
"""The Kafka timestamp of a record that does not say: later than any event of these tests."""

Place = tuple[str, int]
"""(topic, partition)."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record, as aiokafka gives it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Log:
    """Partitions of both topics. It remembers what was committed, and whose each partition is."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self.records: dict[Place, list[LogRecord]] = {
            (topic.name, partition): [] for topic in TOPICS for partition in range(partitions)
        }
        self.committed: dict[Place, int] = dict.fromkeys(self.records, 0)
        self.owners: dict[int, object] = {}
        self.generations = itertools.count(1)

    def acknowledged(self) -> bool:
        """Whether everything in it is committed."""
        return all(self.committed[place] == len(records) for place, records in self.records.items())

    def append(
        self,
        topic: str,
        partition: int,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp: int = RECORDED,
    ) -> None:
        """Append a record wherever the test wants it."""
        records = self.records[topic, partition]
        records.append(LogRecord(len(records), timestamp, key, value, headers))

    def produce(self, event: Event, *, timestamp: int = RECORDED) -> None:
        """Append an event where a good producer puts it: in its type's topic, at home, under its key."""
        conversation = event["conversation_id"]
        home = home_partition(conversation, self.partitions)
        self.append(topic_of(event["type"]).name, home, line(event), key=conversation.encode(), timestamp=timestamp)
