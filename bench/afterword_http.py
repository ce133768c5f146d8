"""Afterword's worker to ClickHouse over HTTP: chDB behind ClickHouse's HTTP interface, in another process.

So the figures show what the worker itself costs when a database does its own work, and what that costs the server.
"""

from pathlib import Path

from bench.afterword_worker import clickhouse, contend_with
from bench.contender import Task, Watch, run
from tests.e2e.cluster import ClickHouse


async def contend(task: Task, watch: Watch) -> dict[str, int]:
    """Take the whole input; the watch stops when every fact and row is stored and the last offset committed."""
    folder = Path(task.folder)
    server = ClickHouse(folder / "clickhouse", folder / "clickhouse.log")
    await server.start()
    try:
        assert server._child is not None
        watch.accompany(server._child.pid)
        with clickhouse(server.database) as sink:
            return await contend_with(sink, task, watch)
    finally:
        await server.stop()


if __name__ == "__main__":
    run(contend)
