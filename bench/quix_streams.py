"""The plain fold with Quix Streams as it comes: JSON values, state in RocksDB with its changelog, at least once.

Runs in the environment of `bench.guests`.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench import plain_fold
from bench.contender import Task, Watch, run, say
from bench.plain_fold import Event, Fallbacks, fold, nothing
from schemas.rules import Rules
from schemas.topics import EVENTS

with warnings.catch_warnings(record=True):  # of a deprecated client deep in its imports, each time it is run
    from quixstreams import Application, State
    from quixstreams.state.rocksdb import RocksDBStorePartition

_KEY = "conversation"
_SAY_EVENTS = 200_000


async def contend(task: Task, watch: Watch) -> dict[str, int]:
    """Take all but the labels; the watch runs from the first event until the last checkpoint is stored.

    It stops after the consumer has left its group, which takes a moment longer. What is counted is read from the
    stores, once they are closed.
    """
    fallbacks, taken = Fallbacks(Rules.load(None).default), 0
    app = Application(
        broker_address=task.address,
        consumer_group=task.group,
        auto_offset_reset="earliest",
        state_dir=Path(task.folder),
        loglevel="WARNING",
    )

    def folded(event: Event, state: State) -> None:
        nonlocal taken
        if not taken:
            watch.start()
        state.set(_KEY, fold(state.get(_KEY) or nothing(), event, fallbacks))
        taken += 1
        if not taken % _SAY_EVENTS:
            say(taken, task.known.events)

    app.dataframe(app.topic(EVENTS.name)).update(folded, stateful=True)
    app.run(count=task.known.events, collect=False)
    watch.stop()
    return plain_fold.totals(_states(Path(task.folder)))


def _states(folder: Path) -> Iterator[plain_fold.State]:
    for found in folder.rglob("CURRENT"):  # one in the folder of each RocksDB
        store = RocksDBStorePartition(str(found.parent))
        for _, state in store.iter_items(b""):
            yield msgspec.json.decode(state)
        store.close()


if __name__ == "__main__":
    run(contend)
