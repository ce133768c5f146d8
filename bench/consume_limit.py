"""The limit: what it costs to fetch the input and decode each record, which no worker in Python can do without.

aiokafka's consumer with records left as they are, as the worker has them, and its decoder; nothing is kept, and nothing
counted but the records.
"""

import gc
import time

from aiokafka import AIOKafkaConsumer

from bench.contender import Task, Watch, run, say
from processors.agents import POLL_RECORDS
from processors.transport import TickingFetcher
from schemas.topics import TOPICS
from schemas.wire import decode_all

_FETCH_BYTES = 4 << 20
_WAIT_MS = 1_000
_SAY_S = 10.0


async def contend(task: Task, watch: Watch) -> dict[str, int]:
    """Take the whole input; the watch stops when the last record is decoded."""
    consumer = AIOKafkaConsumer(
        *(topic.name for topic in TOPICS),
        bootstrap_servers=task.address,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=_FETCH_BYTES,
    )
    await consumer.start()
    TickingFetcher.listen(consumer._fetcher, lambda _place, _tick: None)
    gc.freeze()
    gc.disable()  # as in the worker, which collects between its flushes
    watch.start()
    count, said = 0, time.monotonic()
    while count < task.known.events:
        for records in (await consumer.getmany(timeout_ms=_WAIT_MS, max_records=POLL_RECORDS)).values():
            read = decode_all([record.value for record in records])
            assert read is not None, "a record of the input needs a look of its own"
            count += len(read[0])
        if time.monotonic() - said > _SAY_S:
            said = time.monotonic()
            say(count, task.known.events)
    watch.stop()
    await consumer.stop()
    return {"events": count}


if __name__ == "__main__":
    run(contend)
