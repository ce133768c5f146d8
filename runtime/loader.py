"""Loading: files and other sources of events into the input topics, each line to the topic of its type."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from runtime.kafka import KafkaProducer
from schemas.partitioning import home_partitions
from schemas.topics import EVENTS, LABELS

CHUNK: Final = 10_000


class _Address(msgspec.Struct):
    type: str = ""
    conversation_id: str = ""


_address = msgspec.json.Decoder(_Address).decode


@dataclass(slots=True)
class Loaded:
    """What was produced: records in all, of them without a readable conversation id (they become dead letters)."""

    records: int = 0
    bad: int = 0
    files: list[Path] = field(default_factory=list)


def lines(path: Path) -> Iterator[bytes]:
    """Read a JSON Lines file: one event a line, blank lines skipped."""
    with path.open("rb") as file:
        for line in file:
            if stripped := line.strip():
                yield stripped


async def load(
    producer: KafkaProducer,
    payloads: Iterable[bytes],
    partitions: int,
    progress: Callable[[int], None] = lambda _count: None,
) -> Loaded:
    """Produce events, each to the topic of its type and to its home partition.

    What cannot be read goes to `assistant.events` without a key: the worker says what is wrong with it.
    """
    loaded, source = Loaded(), iter(payloads)
    while chunk := await asyncio.to_thread(lambda: list(islice(source, CHUNK))):
        for (topic, partition), records in _sorted(chunk, partitions, loaded).items():
            loaded.records += await producer.send_many(topic, partition, records)
        progress(len(chunk))
    return loaded


def _sorted(
    chunk: list[bytes], partitions: int, loaded: Loaded
) -> dict[tuple[str, int], list[tuple[bytes | None, bytes]]]:
    addresses = []
    for payload in chunk:
        try:
            addresses.append(_address(payload))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            loaded.bad += 1
            addresses.append(_Address())
    homes = home_partitions([one.conversation_id for one in addresses], partitions)
    records: dict[tuple[str, int], list[tuple[bytes | None, bytes]]] = {}
    for payload, address, home in zip(chunk, addresses, homes, strict=True):
        topic = LABELS.name if address.type in LABELS.types else EVENTS.name
        key = address.conversation_id.encode() or None
        records.setdefault((topic, home), []).append((key, payload))
    return records
