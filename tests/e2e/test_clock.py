"""The clock on real brokers: a process that stood still closes nothing early, and silence closes what is due."""

import signal
import time
from pathlib import Path

import pytest

from tests.builders import event, line
from tests.e2e.cluster import Cluster
from tests.e2e.talk import Talk
from tests.waiting import until

GAP_S = 6.0


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    file = tmp_path / "rules.toml"
    file.write_text(f"revision = 2\n[default]\nidle_gap_minutes = {GAP_S / 60}\n")
    return file


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
    async with Talk(cluster, GAP_S / 6) as talk:
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
