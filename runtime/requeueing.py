"""`afterword dead-letters requeue`: every open dead letter once more into the topic that it came from.

A letter counts as requeued from the moment before it was sent: one that fails again fails later than that, and so its
new entry replaces this one whichever of the two is written last. Sending twice is harmless, the fold drops copies.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import typer
from aiokafka.errors import MessageSizeTooLargeError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from runtime.dead_letters import counts
from runtime.kafka import Cluster, KafkaProducer, partition_counts
from runtime.rebuilding import opened
from runtime.words import counted, one_line
from schemas.dead_letters import DeadLetter
from schemas.failures import Reason, Unavailable
from schemas.partitioning import home_partition
from schemas.store import Reader, Writer
from sinks.connection import Database

_PORTION_LETTERS: Final = 500
_PORTION_BYTES: Final = 8 << 20
LONGEST_ID: Final = 256
"""Characters of a conversation id that an event may have."""


@dataclass(slots=True)
class Requeued:
    """What came of it: how many letters were sent and marked, which ones Kafka refuses and why, what broke it off."""

    sent: int = 0
    refused: list[tuple[DeadLetter, str]] = field(default_factory=list)
    broken_off: str = ""


async def requeue_all(
    database: Database,
    cluster: Cluster,
    reason: Reason | None,
    *,
    ask: Callable[[str], bool] | None,
    console: Console,
) -> int:
    """Requeue the letters of a database with a progress bar and say what came of it; gives the exit status.

    `ask` is asked first whether to; None: nobody is. Raises as `requeue` does.
    """
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it has to say is raised too
    with opened(database) as (client, reader, writer):
        found = counts(client)
        waiting = found.open.get(reason, 0) if reason else sum(found.open.values())
        if not waiting:
            typer.echo(found.line(0, reason, requeued=False))
            return 0
        what = counted(waiting, "dead letter")
        if reason is None:
            what += f" ({found.by_reason()})"
        if ask is not None and not ask(f"Send {what} again, to Kafka at {cluster.address}?"):
            return 1
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            bar = progress.add_task("sent again", total=waiting)
            done = await requeue(
                reader,
                writer,
                cluster,
                reason,
                now=lambda: time.time_ns() // 1_000_000,
                progress=lambda count: progress.advance(bar, count),
            )
    typer.echo(f"{counted(done.sent, 'dead letter')} sent again; those that fail again are listed again")
    for letter, why in done.refused:
        console.print(f"{letter.topic}/{letter.partition}/{letter.offset} stays: {one_line(why)}", markup=False)
    if done.broken_off:
        console.print(f"broke off, the rest stays: {one_line(done.broken_off)}", markup=False)
    return 1 if done.refused or done.broken_off else 0


async def requeue(
    reader: Reader,
    writer: Writer,
    cluster: Cluster,
    reason: Reason | None,
    *,
    now: Callable[[], int],
    progress: Callable[[int], None] = lambda _count: None,
) -> Requeued:
    """Send the open letters again, oldest first, and mark each once Kafka has acknowledged it. `now`: epoch ms.

    Raises Unavailable when Kafka or the store cannot be reached at all, or a topic is missing.
    """
    partitions = await partition_counts(cluster)
    if missing := [topic for topic, count in partitions.items() if not count]:
        raise Unavailable(f"{' and '.join(missing)} not in Kafka at {cluster.address}: run `afterword topics create`")
    # An idempotent producer's later batches fail behind one that is refused; and the embedded broker cannot have one.
    producer, done = KafkaProducer(replace(cluster, idempotent=False)), Requeued()
    await producer.start()
    try:
        portions = _portions(reader.dead_letters(reason))
        while portion := await asyncio.to_thread(next, portions, None):
            before = now()
            sent = await _sent(producer, portion, partitions, done)
            # Another machine's clock may have been ahead: an entry must be newer to replace the one before.
            marked = [replace(one, requeued_at=max(before, one.failed_at + 1)) for one in sent]
            await asyncio.to_thread(writer.insert_dead_letters, marked)
            done.sent += len(marked)
            progress(len(portion))
            if done.broken_off:
                break
    except Unavailable as error:
        if not done.sent:
            raise
        done.broken_off = str(error)
    finally:
        await producer.stop()
    return done


def destination(letter: DeadLetter, partitions: int) -> tuple[bytes | None, int]:
    """Give key and partition for a letter: its conversation's own, else those it had, as far as they exist."""
    if 0 < len(letter.conversation_id) <= LONGEST_ID:
        return letter.conversation_id.encode(), home_partition(letter.conversation_id, partitions)
    return letter.key, letter.partition % partitions


def _portions(letters: Iterator[DeadLetter]) -> Iterator[list[DeadLetter]]:
    """Take letters in portions that fit into memory beside each other."""
    portion: list[DeadLetter] = []
    size = 0
    for letter in letters:
        portion.append(letter)
        size += len(letter.value)
        if len(portion) >= _PORTION_LETTERS or size >= _PORTION_BYTES:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


async def _sent(
    producer: KafkaProducer, letters: list[DeadLetter], partitions: Mapping[str, int], done: Requeued
) -> list[DeadLetter]:
    """Send letters in batches; gives those that were acknowledged."""
    batches: dict[tuple[str, int], list[tuple[DeadLetter, bytes | None]]] = {}
    for letter in letters:
        key, partition = destination(letter, partitions[letter.topic])
        batches.setdefault((letter.topic, partition), []).append((letter, key))
    sent: list[DeadLetter] = []
    waiting = list(batches.items())
    while waiting:
        (topic, partition), batch = waiting.pop()
        try:
            await producer.send_many(topic, partition, [(key, letter.value) for letter, key in batch])
        except Unavailable as error:
            if not isinstance(error.__cause__, MessageSizeTooLargeError):
                done.broken_off = str(error)
                break
            if len(batch) == 1:
                done.refused.append((batch[0][0], str(error)))
            else:
                waiting += [((topic, partition), [one]) for one in batch]
        else:
            sent += [letter for letter, _ in batch]
    return sent
