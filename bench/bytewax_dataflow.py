"""The plain fold with Bytewax as it comes: Kafka input, a stateful map by conversation, snapshots for recovery.

Runs in the environment of `bench.guests`.
"""

import pickle
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
from bytewax import operators as op
from bytewax.connectors.kafka import KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from bench import plain_fold
from bench.contender import Task, Watch, run, say
from bench.plain_fold import Event, Fallbacks, State, fold, nothing
from schemas.rules import Rules
from schemas.topics import TOPICS

_SAY_EVENTS = 200_000
_FOLD = "folded"
_LAST_SNAPSHOTS = "SELECT ser_change, max(snap_epoch) FROM snaps WHERE step_id LIKE ? GROUP BY state_key"


class Nowhere(DynamicSink[Any]):
    """A dataflow must end somewhere: the states are what counts, and Bytewax keeps those."""

    def build(self, _step_id: str, _worker_index: int, _worker_count: int) -> StatelessSinkPartition[Any]:
        """Give what drops all that a worker brings."""
        return _Dropped()


class _Dropped(StatelessSinkPartition[Any]):
    def write_batch(self, items: list[Any]) -> None:
        pass


async def contend(task: Task, watch: Watch) -> dict[str, int]:
    """Take the whole input; the watch runs from the first event until the last snapshot is stored.

    What is counted is read from the snapshots, once they are closed.
    """
    fallbacks, taken = Fallbacks(Rules.load(None).default), 0
    decode = msgspec.json.decode

    def keyed(message: KafkaSourceMessage[bytes, bytes]) -> tuple[str, Event]:
        nonlocal taken
        if not taken:
            watch.start()
        taken += 1
        if not taken % _SAY_EVENTS:
            say(taken, task.known.events)
        event = decode(message.value)
        return event["conversation_id"], event

    def folded(state: State | None, event: Event) -> tuple[State, None]:
        return fold(state or nothing(), event, fallbacks), None

    flow = Dataflow("bench")
    source = KafkaSource([task.address], [topic.name for topic in TOPICS], tail=False)
    events = op.map("keyed", op.input("kafka", flow, source), keyed)
    op.output("nowhere", op.stateful_map(_FOLD, events, folded), Nowhere())
    snapshots = Path(task.folder) / "snapshots"
    snapshots.mkdir()
    init_db_dir(snapshots, 1)
    cli_main(flow, recovery_config=RecoveryConfig(snapshots))
    watch.stop()
    return plain_fold.totals(_states(snapshots))


def _states(folder: Path) -> Iterator[State]:
    (found,) = folder.glob("*.sqlite3")
    with closing(sqlite3.connect(found)) as database:
        for change, _ in database.execute(_LAST_SNAPSHOTS, [f"%.{_FOLD}.%"]):
            yield pickle.loads(change)


if __name__ == "__main__":
    run(contend)
