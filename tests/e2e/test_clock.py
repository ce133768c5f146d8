"""The clock on real brokers: a process that stood still closes nothing early, and silence closes what is due."""

import asyncio
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

from schemas.partitioning import home_partition
from tests.builders import event, line
from tests.e2e.cluster import Cluster
from tests.waiting import until

GAP_S = 6.0


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    file = tmp_path / "rules.toml"
    file.write_text(f"revision = 2\n[default]\nidle_gap_minutes = {GAP_S / 60}\n")
    return file


class Talk:
    """`async with Talk(cluster)`: conversations in every partition, each with a message a second, sent at once."""

    def __init__(self, cluster: Cluster) -> None:
        self.names = [f"c-{number}" for number in range(12)]
        self.last = 0
        self.said = 0
        self._cluster = cluster
        self._enough = asyncio.Event()
        self._talking: asyncio.Task[None]
        assert {home_partition(name, cluster.partitions) for name in self.names} == set(range(cluster.partitions))

    async def __aenter__(self) -> Self:
        self._talking = asyncio.create_task(self._talk())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._enough.set()
        await self._talking

    async def _talk(self) -> None:
        while not self._enough.is_set():
            at, text = int(time.time() * 1000), f"message {self.said}"
            messages = [event("message.sent", conversation_id=name, at=at, text=text) for name in self.names]
            await self._cluster.produce(map(line, messages))
            self.last, self.said = at, self.said + 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._enough.wait(), GAP_S / 6)


@pytest.mark.parametrize(
    ("cluster", "session"),
    [
        pytest.param("kafka", "20", id="Apache Kafka, keeping its partitions", marks=pytest.mark.kafka),
        pytest.param("kafka", "6", id="Apache Kafka, losing its partitions", marks=pytest.mark.kafka),
        pytest.param("embedded", "6", id="the embedded broker, losing its partitions", marks=pytest.mark.embedded),
    ],
    indirect=["cluster"],
)
async def test_a_worker_that_was_stopped_closes_nothing_early(cluster: Cluster, rules: Path, session: str) -> None:
    worker = await cluster.worker(rules=str(rules), session_timeout_s=session)
    # Every version of a row that is ever written stays to be looked at.
    await cluster.clickhouse.command("SYSTEM STOP MERGES conversations")
    async with Talk(cluster) as talk:
        await cluster.until_facts(2 * len(talk.names))
        stopped = time.monotonic()
        worker.send(signal.SIGSTOP)
        await until(lambda: time.monotonic() - stopped > 1.5 * GAP_S, 3 * GAP_S, "more than the idle gap to pass")
        worker.send(signal.SIGCONT)
        woken = talk.said
        await until(lambda: talk.said > woken + 6, 4 * GAP_S, "the talk to go on")

        async def caught_up() -> bool:
            rows = (await cluster.rows()).values()
            return all(row["messages"] > woken + 6 for row in rows)

        await until(caught_up, 60, "the worker to catch up")

    async def all_closed() -> bool:
        return all(row["closed"] for row in (await cluster.rows()).values())

    await until(all_closed, 60, "the silent conversations to be closed")
    rows = (await cluster.rows()).values()
    assert {row["last_activity_at"] for row in rows} == {talk.last}
    assert {row["reopened"] for row in rows} == {0}
    assert {row["messages"] for row in rows} == {talk.said}
    early = "SELECT conversation_id, messages, updated_at FROM conversations WHERE closed AND messages < {said:UInt32}"
    assert await cluster.clickhouse.ask(early, said=talk.said) == []
    assert worker.status is None


async def test_the_last_conversation_of_a_silent_partition_closes(cluster: Cluster, rules: Path) -> None:
    await cluster.worker(rules=str(rules))
    at = int(time.time() * 1000)
    await cluster.produce([line(event("message.sent", conversation_id="c-1", at=at, text="hello?"))])

    async def closed() -> bool:
        return [row["close_reason"] for row in (await cluster.rows()).values()] == ["idle"]

    await until(closed, 60, "the conversation to be closed")
    (row,) = (await cluster.rows()).values()
    assert row["ended_at"] == at
    assert row["closes_at"] <= int(time.time() * 1000)
