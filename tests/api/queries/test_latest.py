"""What a decision has to come after, as ClickHouse knows it."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from api.queries.latest import Latest, labelled_at, latest
from schemas.failures import Unavailable
from sinks.clickhouse_queries import ClickHouseQueries
from sinks.connection import Database
from tests.api.told import Told
from tests.builders import AT, MINUTE, SECOND, event
from tests.sinks.building import HOSTILE


class Silent:
    """A ClickHouse that says nothing, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    async def rows(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        if self.error:
            raise self.error
        await asyncio.Event().wait()
        return []


async def test_labels_given_taken_back_and_never_given_are_told_apart(
    database: Database, queries: ClickHouseQueries
) -> None:
    with Told(database) as told:
        told.tell(
            *(event("message.sent", conversation_id=name) for name in ("given", "back", "never", "erased")),
            event("label.set", conversation_id="given", at=AT + SECOND),
            event("label.set", conversation_id="back", at=AT + SECOND),
            event("label.cleared", conversation_id="back", at=AT + MINUTE + 1),
            event("label.set", conversation_id="waits", at=AT + SECOND),
            event("label.set", conversation_id="given", assistant="bank", at=AT + MINUTE),
            event("message.sent", conversation_id="given", assistant="bank"),
        )
        told.tell(event("conversation.erased", conversation_id="erased", at=AT + MINUTE))
    names = ("given", "back", "never", "erased", "waits", "unknown")
    found = await labelled_at(queries, [*(("shop", name) for name in names), ("bank", "given"), ("bank", "back")])
    assert found == {
        ("shop", "given"): AT + SECOND,
        ("shop", "back"): AT + MINUTE + 1,
        ("shop", "never"): None,
        ("bank", "given"): AT + MINUTE,
    }


@pytest.mark.parametrize("name", HOSTILE)
async def test_an_id_may_be_any_text(database: Database, queries: ClickHouseQueries, name: str) -> None:
    with Told(database) as told:
        told.tell(event("message.sent", conversation_id=name), event("label.set", conversation_id=name, at=AT + 1))
    assert await labelled_at(queries, [("shop", name), ("shop", name + "x")]) == {("shop", name): AT + 1}
    assert await latest(queries, ("shop", name), name) == Latest(AT + 1, None)


async def test_a_thousand_conversations_with_the_longest_ids_are_looked_up(
    database: Database, queries: ClickHouseQueries
) -> None:
    ids = [f"{number:04}".ljust(256, "🙂") for number in range(1_000)]
    with Told(database) as told:
        told.tell(*(event("message.sent", conversation_id=one) for one in ids[::2]))
    found = await labelled_at(queries, [("shop", one) for one in ids])
    assert found == {("shop", one): None for one in ids[::2]}


async def test_the_latest_fact_of_any_kind_counts_and_an_erasure_is_known_by_its_id(
    database: Database, queries: ClickHouseQueries
) -> None:
    key = ("shop", "c-1")
    assert await latest(queries, key, "e") == Latest(0, None)
    with Told(database) as told:
        told.tell(
            event("message.sent", at=AT + SECOND),
            event("conversation.rated", at=AT + 2 * SECOND + 7),
            event("label.set", id="e", at=AT),
        )
        assert await latest(queries, key, "e") == Latest(AT + 2 * SECOND + 7, None)
        told.tell(
            event("conversation.erased", id="e", at=AT + 5), event("message.sent", assistant="bank", at=AT + MINUTE)
        )
        assert (await latest(queries, key, "e")) == Latest(AT + 2 * SECOND + 7, AT + 5)
        assert (await latest(queries, key, "other")) == Latest(AT + 2 * SECOND + 7, None)


@pytest.mark.parametrize("silent", [Silent(), Silent(Unavailable("down"))], ids=["hanging", "down"])
async def test_a_write_does_not_wait_for_a_clickhouse_that_does_not_answer(
    silent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.queries.latest._PATIENCE", 0.01)
    assert await labelled_at(silent, [("shop", "c-1")]) is None
    assert await latest(silent, ("shop", "c-1"), "e") is None
