"""How long it takes from an event to its row, as every page shows it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from api.queries import freshness as module
from api.queries.freshness import Freshness, freshness
from schemas.failures import Unavailable
from sinks.clickhouse_queries import ClickHouseQueries
from sinks.clickhouse_writer import ClickHouseWriter
from sinks.connection import Database
from tests.api.told import now_ms
from tests.builders import DAY, HOUR, MINUTE, SECOND
from tests.sinks.building import facts, row, rows


class Worker:
    """Stores events and, some time later, the row that they make."""

    def __init__(self, database: Database) -> None:
        self.now = now_ms()
        self._writer = ClickHouseWriter(database, lambda: self.now)

    def store(self, name: str, recorded_at: int, took: int, *, at: int | None = None, **said: object) -> None:
        """One event, recorded at that time and happened at `at`, and its row `took` milliseconds later."""
        happened = recorded_at if at is None else at
        one = {"conversation_id": name, "id": f"{name}-{recorded_at}", "at": happened, "recorded_at": recorded_at}
        assistant = said.get("assistant", "shop")
        self._writer.insert_facts(facts(one | {"assistant": assistant}))
        self.now = recorded_at + took
        self._writer.insert_rows(rows(row(conversation_id=name, started_at=happened, **said)))

    def rewrite(self, name: str, at: int, **said: object) -> None:
        """The row once more, without a new event."""
        self.now = at
        self._writer.insert_rows(rows(row(conversation_id=name, version=2 << 24, **said)))

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
async def worker(database: Database) -> AsyncIterator[Worker]:
    """What fills the empty tables."""
    worker = Worker(database)
    yield worker
    worker.close()


@pytest.fixture
async def asked(database: Database) -> AsyncIterator[ClickHouseQueries]:
    """Questions that nobody asked before."""
    asked = ClickHouseQueries(database)
    yield asked
    asked.close()


async def test_half_and_nearly_all_are_told(worker: Worker, asked: ClickHouseQueries) -> None:
    now = now_ms()
    for number in range(20):
        worker.store(f"c-{number}", now - 30 * SECOND - number * SECOND, 500 if number < 15 else 4_000)
    assert await freshness(asked) == Freshness(0.5, 4.0, 20)


async def test_when_nothing_came_there_is_none(worker: Worker, asked: ClickHouseQueries) -> None:
    worker.store("old", now_ms() - HOUR, 500)
    assert await freshness(asked) == Freshness(None, None, 1)


async def test_the_newest_event_of_a_row_counts_and_none_that_came_after_it(
    worker: Worker, asked: ClickHouseQueries
) -> None:
    now = now_ms()
    worker.store("c-1", now - 100 * SECOND, 200)
    worker.store("c-1", now - 50 * SECOND, 700, version=2 << 24)
    worker.store("c-2", now - 50 * SECOND, 700)
    worker.store("c-2", now - 20 * SECOND, -30 * SECOND + 700, version=2 << 24)  # its row is still that of before
    assert (await freshness(asked)).p95_s == 0.7


async def test_idle_closes_are_no_delays(worker: Worker, asked: ClickHouseQueries, database: Database) -> None:
    now = now_ms()
    worker.store("live", now - 20 * SECOND, 300)
    for number in range(30):
        came = now - 200 * SECOND
        worker.store(f"idle-{number}", came, 300, version=1 << 24)
        worker.rewrite(
            f"idle-{number}",
            now - 10 * SECOND,
            started_at=came,
            closed=True,
            close_reason="idle",
            closes_at=now - 15 * SECOND,
        )
    assert await freshness(asked) == Freshness(0.3, 0.3, 1)
    client = database.client()
    client.command("OPTIMIZE TABLE conversations FINAL")  # so that only the closed rows are left
    client.close()
    again = ClickHouseQueries(database)
    assert await freshness(again) == Freshness(0.3, 0.3, 1)
    again.close()


async def test_a_label_for_a_conversation_that_closed_idle_counts(worker: Worker, asked: ClickHouseQueries) -> None:
    now = now_ms()
    closed = {"closed": True, "close_reason": "idle", "closes_at": now - HOUR}
    worker.store("c-1", now - 20 * SECOND, 400, **closed)
    assert await freshness(asked) == Freshness(0.4, 0.4, 0)


async def test_an_import_of_old_events_does_not_count(worker: Worker, asked: ClickHouseQueries) -> None:
    now = now_ms()
    worker.store("live", now - 20 * SECOND, 300)
    worker.store("imported", now - 60 * SECOND, 45 * SECOND, at=now - 30 * DAY)
    worker.store("late", now - 60 * SECOND, 45 * SECOND, at=now - 60 * SECOND - 2 * MINUTE)
    assert (await freshness(asked)).p95_s == 0.3


async def test_it_is_told_for_one_assistant_alone(worker: Worker, asked: ClickHouseQueries) -> None:
    now = now_ms()
    worker.store("c-1", now - 20 * SECOND, 300)
    worker.store("c-2", now - 20 * SECOND, 5_000, assistant="bank")
    assert await freshness(asked, "bank") == Freshness(5.0, 5.0, 1)
    assert await freshness(asked, "shop") == Freshness(0.3, 0.3, 1)
    assert await freshness(asked, "nobody") == Freshness(None, None, 0)


async def test_one_answer_serves_all_who_ask_within_five_seconds(
    worker: Worker, asked: ClickHouseQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = await asyncio.gather(*(freshness(asked) for _ in range(20)))
    worker.store("c-1", now_ms() - 20 * SECOND, 300)
    answers.append(await freshness(asked))
    assert set(answers) == {Freshness(None, None, 0)}
    monkeypatch.setattr(module, "FRESH_SECONDS", 0.0)
    assert (await freshness(asked)).open == 0  # while it is asked anew
    monkeypatch.setattr(module, "STALE_SECONDS", 0.0)
    assert (await freshness(asked)).open == 1


async def test_without_clickhouse_it_says_so_and_asks_again_later() -> None:
    nowhere = ClickHouseQueries(Database.parse("clickhouse://127.0.0.1:1"))
    for _ in range(2):
        with pytest.raises(Unavailable):
            await freshness(nowhere)
    nowhere.close()


async def test_the_events_are_found_by_their_key(worker: Worker, database: Database) -> None:
    now = now_ms()
    for number in range(5):
        worker.store(f"c-{number}", now - 20 * SECOND, 300)
    client = database.client()
    explained = client.query(
        f"EXPLAIN indexes = 1 {module._DELAYS}", parameters={"all": True, "assistant": ""}
    ).result_rows
    client.close()
    plan = "\n".join(line for (line,) in explained)
    assert "(assistant, conversation_id) in 5-element set" in plan
    assert "by_update" in plan
