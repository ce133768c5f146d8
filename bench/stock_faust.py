"""The plain fold with Faust as it comes: an agent, JSON values, a Table with its changelog, the store in memory."""

from pathlib import Path

import faust

from bench.contender import Task, Watch, run, until_taken
from bench.plain_fold import Event, Fallbacks, fold, nothing, totals
from bench.producer import PART
from schemas.rules import Rules


async def contend(task: Task, watch: Watch) -> dict[str, int]:
    """Take the part of the input; the watch stops when the last event is in the Table."""
    app = faust.App(
        task.group,
        broker=f"kafka://{task.address}",
        store="memory://",
        datadir=Path(task.folder),
        topic_partitions=task.partitions,
        topic_replication_factor=1,
        consumer_auto_offset_reset="earliest",
        web_enabled=False,
    )
    events = app.topic(PART, key_type=str, key_serializer="raw", value_serializer="json")
    conversations = app.Table("conversations", default=nothing, partitions=task.partitions, key_type=str)
    fallbacks = Fallbacks(Rules.load(None).default)
    taken = 0

    @app.agent(events)
    async def folded(stream: faust.StreamT[Event]) -> None:
        nonlocal taken
        async for conversation_id, event in stream.items():
            conversations[conversation_id] = fold(conversations[conversation_id], event, fallbacks)
            taken += 1

    await app.start()
    await until_taken(lambda: taken, 1)
    watch.start()
    await until_taken(lambda: taken, task.known.events)
    watch.stop()
    states = list(conversations.values())
    await app.stop()
    return totals(states)


if __name__ == "__main__":
    run(contend)
