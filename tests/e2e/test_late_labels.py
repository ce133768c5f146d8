"""Labels for conversations that were closed long ago and are in no worker's memory."""

import time

from tests.builders import AT, DAY, MINUTE, event, line
from tests.e2e.cluster import Cluster
from tests.e2e.rows import differences, of_the_oracle
from tests.waiting import until

LABELLED = 200
OTHERS = 60_000
"""More than a worker keeps in 16 MiB, packed: whatever came before them is gone from its memory."""


def conversation(number: int) -> list[bytes]:
    name, at = f"c-{number:05}", AT - 20 * DAY + number * 1_000
    return [
        line(event("conversation.started", conversation_id=name, at=at, channel="web", user={"id": f"u-{number}"})),
        line(event("message.sent", conversation_id=name, at=at + 1, text=f"where is order number {number}?")),
    ]


async def test_a_label_reaches_the_row_of_a_closed_and_evicted_conversation(cluster: Cluster) -> None:
    worker = await cluster.worker(cache_bytes="16MiB")
    told = [conversation(number) for number in range(LABELLED + OTHERS)]
    for part in (told[:LABELLED], told[LABELLED:]):
        await cluster.produce([event for events in part for event in events])
        await cluster.stored()

    async def all_closed() -> bool:
        ((closed,),) = await cluster.clickhouse.ask("SELECT countIf(closed) FROM conversations FINAL")
        return bool(closed == len(told))

    await until(all_closed, 60, "all conversations to be closed")
    assert await worker.metric("afterword_cached") < OTHERS
    looked_up = await worker.metric("afterword_reloaded_total")

    labels = [
        line(event("label.set", conversation_id=f"c-{number:05}", at=AT - 10 * DAY + number * MINUTE, label="negative"))
        for number in range(LABELLED)
    ]
    await cluster.produce(labels)
    wanted = of_the_oracle([*[one for events in told[:LABELLED] for one in events], *labels], int(time.time() * 1000))

    async def all_labelled() -> bool:
        ((count,),) = await cluster.clickhouse.ask("SELECT countIf(label = 'negative') FROM conversations FINAL")
        return bool(count == LABELLED)

    await until(all_labelled, 60, "the labels to be in their rows")
    found = await cluster.rows()
    assert not differences({key: row for key, row in found.items() if key in wanted}, wanted)
    assert len(found) == len(told)
    assert await worker.metric("afterword_reloaded_total") == looked_up + LABELLED
