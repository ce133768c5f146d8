"""Poison on a real broker: what can never succeed stands in the dead letters once, and everything else counts."""

import json
import time

from schemas.failures import Reason
from schemas.partitioning import home_partition
from schemas.topics import EVENTS, LABELS
from tests.builders import ABSENT, AT, HOUR, MINUTE, event, iso, line
from tests.e2e.cluster import Cluster
from tests.e2e.rows import of_the_oracle

MIB = 1_048_576


def message(**fields: object) -> bytes:
    return line(event("message.sent", conversation_id="poisoned", **{"text": "well", **fields}))


def poison(now: int) -> dict[str, tuple[str, bytes, Reason]]:
    """Every kind of it: topic, value, and the reason that it is to be given."""
    whole = message(text="a broken record whose bytes would complete its neighbour's")
    middle = len(whole) // 2
    return {
        "broken JSON": (EVENTS.name, b'{"id": "p-1", "type": "message.sent"', Reason.MALFORMED),
        "the first half of an event": (EVENTS.name, whole[:middle], Reason.MALFORMED),
        "its second half": (EVENTS.name, whole[middle:], Reason.MALFORMED),
        "no object": (EVENTS.name, b"[]", Reason.MALFORMED),
        "no UTF-8": (EVENTS.name, message().replace(b"well", b"\xff\xfe"), Reason.MALFORMED),
        "NaN": (EVENTS.name, message(confidence=0.5).replace(b"0.5", b"NaN"), Reason.MALFORMED),
        "a number for a text": (EVENTS.name, message(text=5), Reason.INVALID),
        "a text for a number": (EVENTS.name, message(confidence="high"), Reason.INVALID),
        "no conversation": (EVENTS.name, line(event("message.sent", conversation_id=ABSENT)), Reason.INVALID),
        "no assistant": (EVENTS.name, message(assistant=ABSENT), Reason.INVALID),
        "a time without zone": (EVENTS.name, message(at="2026-11-09T09:12:00"), Reason.INVALID),
        "1 MiB of text": (EVENTS.name, message(text="a" * MIB), Reason.INVALID),
        "the year 1": (EVENTS.name, message(at="0001-01-01T00:00:00Z"), Reason.OUT_OF_RANGE),
        "the last year of the last century": (EVENTS.name, message(at=iso(946_684_799_999)), Reason.OUT_OF_RANGE),
        "a time in the future": (EVENTS.name, message(at=now + HOUR), Reason.FUTURE_TIME),
        "an unknown type": (EVENTS.name, line(event("message.sung", conversation_id="poisoned")), Reason.UNKNOWN_TYPE),
        "no type": (EVENTS.name, b"{}", Reason.UNKNOWN_TYPE),
        "an empty value": (EVENTS.name, b"", Reason.EMPTY),
        "a label among the events": (
            EVENTS.name,
            line(event("label.set", conversation_id="poisoned")),
            Reason.WRONG_TOPIC,
        ),
        "a message among the labels": (LABELS.name, message(), Reason.WRONG_TOPIC),
        "broken JSON among the labels": (LABELS.name, b'{"label": ', Reason.MALFORMED),
    }


def conversations() -> list[list[bytes]]:
    """Two batches of good events: the second goes on with the conversations of the first."""
    names = [f"c-{number}" for number in range(40)]
    first = [line(event("conversation.started", conversation_id=name, channel="web")) for name in names]
    first += [line(event("message.sent", conversation_id=name, text="where is my order")) for name in names]
    second = [line(event("message.sent", conversation_id=name, at=AT + MINUTE, text="hello?")) for name in names]
    second += [line(event("label.set", conversation_id=name, at=AT + HOUR)) for name in names[::3]]
    return [first, second]


async def test_poison_is_put_aside_and_everything_else_counts(cluster: Cluster) -> None:
    worker = await cluster.worker()
    now = int(time.time() * 1000)
    bad = poison(now)
    before, after = conversations()

    await cluster.produce(before)
    async with cluster.plain_producer() as producer:
        for number, (topic, value, _) in enumerate([*bad.values(), *bad.values()]):
            await producer.send_and_wait(topic, value, partition=number % cluster.partitions, timestamp_ms=now)
        await producer.send_and_wait(EVENTS.name, None, b"poisoned", partition=0, timestamp_ms=now)
    await cluster.produce(after)
    await cluster.stored()

    letters = await cluster.clickhouse.ask("SELECT topic, hex(value), reason FROM dead_letters FINAL")
    assert sorted(letters) == sorted((topic, value.hex().upper(), str(reason)) for topic, value, reason in bad.values())
    good = [*before, *after]
    await cluster.settled(of_the_oracle(good, now))
    shown = (await cluster.command("dead-letters", "list", "--json")).splitlines()
    assert sorted(json.loads(one)["reason"] for one in shown) == sorted(str(reason) for _, _, reason in bad.values())
    assert await worker.metric("afterword_dead_letters_total") == 2 * len(bad) + 1
    assert await worker.metric("afterword_facts_total") == len(good)


async def test_records_without_a_key_or_in_a_wrong_partition_are_brought_home(cluster: Cluster) -> None:
    worker = await cluster.worker()
    good = [value for batch in conversations() for value in batch]
    names = set()
    async with cluster.plain_producer() as producer:
        for value in good:
            told = json.loads(value)
            topic = LABELS.name if told["type"] == "label.set" else EVENTS.name
            conversation = told["conversation_id"]
            wrong = (home_partition(conversation, cluster.partitions) + 1) % cluster.partitions
            key = None if int(conversation[2:]) % 2 else conversation.encode()
            await producer.send_and_wait(topic, value, key, partition=wrong)
            names.add(conversation)
    await cluster.stored()
    await cluster.settled(of_the_oracle(good, int(time.time() * 1000)))
    assert not await cluster.clickhouse.ask("SELECT reason, detail FROM dead_letters")
    # What is in the worker's memory was at home before, and is folded wherever it lies.
    assert len(names) <= await worker.metric("afterword_sent_home_total") <= len(good)
