"""Who listens hears what changed."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from api.queries import changes as module
from api.queries.changes import Changes, Kind, Notice, changes_of
from schemas.facts import Key
from schemas.failures import Unavailable
from sinks.clickhouse_queries import ClickHouseQueries
from sinks.clickhouse_writer import ClickHouseWriter
from sinks.connection import Database
from tests.api.told import now_ms
from tests.builders import AT, DAY, SECOND
from tests.sinks.building import HOSTILE, row, rows
from tests.waiting import until

SOON = 20.0


class Asked:
    """Questions to ClickHouse, counted, and answered only while it is `up`."""

    def __init__(self, queries: ClickHouseQueries) -> None:
        self._queries = queries
        self.up = True
        self.count = 0

    async def rows(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        """See Queries."""
        self.count += 1
        if not self.up:
            raise Unavailable("ClickHouse does not answer")
        return await self._queries.rows(sql, parameters)


class Listener:
    """Somebody who listens, and what they heard."""

    def __init__(self, changes: Changes, **of: Any) -> None:
        self.heard: list[Notice] = []
        self._listening = asyncio.create_task(self._listen(changes.follow(**{"only": None, **of})))

    async def _listen(self, notices: AsyncIterator[Notice]) -> None:
        async for notice in notices:
            self.heard.append(notice)

    @property
    def changed(self) -> list[dict[str, Any]]:
        """The conversations that changed, each time that it was told."""
        return [one for notice in self.heard if notice.text for one in json.loads(notice.text)["conversations"]]

    @property
    def ids(self) -> list[str]:
        """Their ids."""
        return [one["conversation_id"] for one in self.changed]

    @property
    def kinds(self) -> list[Kind]:
        """What was told, signs of life left out."""
        return [notice.kind for notice in self.heard if notice.kind is not Kind.ALIVE]

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self._listening.done()

    async def hears(self, *ids: str) -> None:
        """Wait until all these were told."""
        await until(lambda: set(ids) <= set(self.ids), SOON, f"{ids} to be told")

    async def leave(self) -> None:
        """Listen no more."""
        self._listening.cancel()
        await asyncio.wait([self._listening])


class World:
    """Rows that are written, and listeners, who all leave at the end."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.stamp: int | None = None
        self.asked = Asked(ClickHouseQueries(database))
        self.changes = Changes(self.asked)  # type: ignore[arg-type]
        self._writer = ClickHouseWriter(database, lambda: now_ms() if self.stamp is None else self.stamp)
        self._listeners: list[Listener] = []

    def write(self, *ids: str, **said: Any) -> None:
        """Store rows, now."""
        self._writer.insert_rows(rows(*(row(conversation_id=one, **said) for one in ids)))

    async def listener(self, **of: Any) -> Listener:
        """Somebody who listens from here on."""
        listener = Listener(self.changes, **of)
        self._listeners.append(listener)
        await until(lambda: listener.heard, SOON, "the first sign")
        await self.settled()
        return listener

    async def settled(self, looks: int = 3) -> None:
        """Wait until so many looks were taken."""
        taken = self.asked.count
        await until(lambda: self.asked.count >= taken + looks, SOON, "some looks")

    async def close(self) -> None:
        for listener in self._listeners:
            await listener.leave()
        self._writer.close()
        self.asked._queries.close()


@pytest.fixture
async def world(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Empty tables; it is looked often, so that tests are short."""
    monkeypatch.setattr(module, "INTERVAL", 0.02)
    world = World(database)
    yield world
    await world.close()


async def test_a_change_is_told_to_those_who_listen_to_it_and_to_nobody_else(world: World) -> None:
    everybody = await world.listener()
    shop = await world.listener(assistant="shop")
    one = await world.listener(key=("shop", "c-1"))
    other = await world.listener(key=("shop", "c-2"))
    bank = await world.listener(assistant="bank")
    world.write("c-1", label="negative", label_id="l-1", messages=7, closed=True)
    world.write("b-1", assistant="bank")
    await everybody.hears("c-1", "b-1")
    await shop.hears("c-1")
    await one.hears("c-1")
    await bank.hears("b-1")
    await world.settled()
    assert (shop.ids, one.ids, other.ids, bank.ids) == (["c-1"], ["c-1"], [], ["b-1"])
    (change,) = one.changed
    assert change.pop("updated_at")
    assert change == {
        "assistant": "shop",
        "conversation_id": "c-1",
        "label_id": "l-1",
        "label": "negative",
        "messages": 7,
        "closed": True,
        "deleted": False,
    }


async def test_who_may_see_one_assistant_hears_of_no_other(world: World) -> None:
    everything = await world.listener(only="shop")
    asks = await world.listener(only="shop", assistant="bank")
    asks_for_one = await world.listener(only="shop", key=("bank", "b-1"))
    hears = await world.listener(only="bank", key=("bank", "b-1"))
    world.write("b-1", assistant="bank")
    world.write("c-1")
    await everything.hears("c-1")
    await hears.hears("b-1")
    await world.settled()
    assert (everything.ids, asks.ids, asks_for_one.ids, hears.ids) == (["c-1"], [], [], ["b-1"])


async def test_the_row_of_the_conversation_that_is_followed_comes_first(world: World) -> None:
    world.stamp = now_ms() - DAY
    world.write("c-1", label_id="l-1")
    world.write("c-1", label_id="l-2", version=2 << 24)
    follows = await world.listener(key=("shop", "c-1"))
    assert [one["label_id"] for one in follows.changed] == ["l-2"]
    assert (await world.listener()).ids == []
    assert (await world.listener(key=("shop", "absent"))).ids == []


async def test_each_change_is_told_once_however_often_it_is_looked_at(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WIDE_EVERY", 0.1)
    listener = await world.listener()
    world.write("c-1", version=1 << 24)
    await listener.hears("c-1")
    world.write("c-1", version=1 << 24)  # the same again, as after a crash
    world.write("c-1", version=0)  # a slow writer
    await world.settled(30)
    world.write("c-1", version=2 << 24, topic="billing")
    await until(lambda: len(listener.ids) > 1, SOON, "the next version")
    await world.settled(30)
    assert listener.ids == ["c-1", "c-1"]


async def test_a_row_whose_insert_took_long_is_told_all_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WIDE_EVERY", 0.2)
    world.stamp = now_ms() - 40 * SECOND
    world.write("before")
    listener = await world.listener()
    world.write("late")
    await listener.hears("late")
    assert listener.ids == ["late"]


async def test_what_came_just_before_somebody_listened_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MARGIN", 60.0)
    first = await world.listener()
    world.write("c-1")
    await first.hears("c-1")
    second = await world.listener()
    await second.hears("c-1")


async def test_an_erased_conversation_is_told_as_deleted_and_one_that_moved_to_another_day_is_not(
    world: World,
) -> None:
    listener = await world.listener()
    world.write("erased", version=(1 << 56) + 1, is_deleted=True)
    today = AT // DAY
    world._writer.insert_rows(
        rows(
            row(conversation_id="moved", version=4 << 24, is_deleted=True),
            row(conversation_id="moved", version=4 << 24, opened_on=today - 1),
        )
    )
    await listener.hears("erased", "moved")
    assert {one["conversation_id"]: one["deleted"] for one in listener.changed} == {"erased": True, "moved": False}


async def test_nobody_asks_while_nobody_listens(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MARGIN", 60.0)
    assert world.asked.count == 0
    listener = await world.listener()
    await listener.leave()
    assert world.changes.listeners == 0
    before = world.asked.count
    world.write("c-1")
    other = ClickHouseQueries(world.database)
    for _ in range(10):
        await other.rows("SELECT sleep(0.02)")
    other.close()
    assert world.asked.count == before
    again = await world.listener()
    await again.hears("c-1")


async def test_many_listeners_share_each_look(world: World) -> None:
    listeners = [await world.listener() for _ in range(20)]
    before = world.asked.count
    world.write("c-1")
    await asyncio.gather(*(one.hears("c-1") for one in listeners))
    looks = world.asked.count - before
    notices = {id(notice) for one in listeners for notice in one.heard if notice.text}
    assert len(notices) == 1
    assert looks < 20


async def test_a_slow_listener_is_dropped_and_told_to_load_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WAITING", 2)
    slow = world.changes.follow(None)
    begun = await anext(slow)
    quick = await world.listener()
    assert begun.kind is Kind.ALIVE
    assert begun.id
    resumed = asyncio.create_task(anext(slow))
    for number in range(5):
        world.write(f"c-{number}")
        await quick.hears(f"c-{number}")
        if number == 0:
            assert (await resumed).kind is Kind.CHANGED
    assert [notice.kind async for notice in slow] == [Kind.RELOAD]
    assert quick.ids == [f"c-{number}" for number in range(5)]
    assert not quick.ended


async def test_who_comes_back_hears_what_they_missed(world: World) -> None:
    listener = await world.listener()
    last = listener.heard[-1].id
    await listener.leave()
    world.write("missed")
    world.write("of-the-bank", assistant="bank")
    back = await world.listener(after=last, assistant="shop")
    await back.hears("missed")
    assert back.kinds == [Kind.CHANGED]
    assert back.ids == ["missed"]


@pytest.mark.parametrize("after", ["", "0", "nonsense", "9" * 30, "²", str(AT)])
async def test_who_was_away_too_long_or_brings_no_id_of_ours_loads_anew(world: World, after: str) -> None:
    assert (await world.listener(after=after)).kinds == [Kind.RELOAD]


async def test_when_clickhouse_does_not_answer_that_is_told_once_and_it_goes_on_later(world: World) -> None:
    listener = await world.listener()
    world.asked.up = False
    await until(lambda: listener.kinds, SOON, "a notice")
    world.write("meanwhile")
    late = Listener(world.changes)
    await until(lambda: late.kinds == [Kind.UNAVAILABLE, Kind.RELOAD], SOON, "a late listener to be told")
    world.asked.up = True
    await until(lambda: Kind.RELOAD in listener.kinds, SOON, "the end of the outage")
    world.write("afterwards")
    await listener.hears("afterwards")
    assert listener.kinds == [Kind.UNAVAILABLE, Kind.RELOAD, Kind.CHANGED]
    await late.leave()


@pytest.mark.parametrize("most", [20_000, 60], ids=["many at once", "more than a look finds"])
async def test_of_very_many_changes_only_followed_ones_are_told_one_by_one(
    world: World, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(module, "_MANY", 50)
    monkeypatch.setattr(module, "_MOST", most)
    everybody = await world.listener()
    one = await world.listener(key=("shop", "c-7"))
    world.write(*(f"c-{number}" for number in range(300)))
    await one.hears("c-7")
    await until(lambda: Kind.RELOAD in everybody.kinds, SOON, "to be told to load anew")
    assert set(everybody.ids) <= {"c-7"}


async def test_after_very_many_changes_each_is_told_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MANY", 50)
    everybody = await world.listener()
    world.write(*(f"c-{number}" for number in range(300)))
    await until(lambda: Kind.RELOAD in everybody.kinds, SOON, "to be told to load anew")
    world.write("next")
    await everybody.hears("next")
    assert (everybody.ids, everybody.kinds) == (["next"], [Kind.RELOAD, Kind.CHANGED])


async def test_any_text_may_be_an_id(world: World) -> None:
    listener = await world.listener()
    follows = [await world.listener(key=("shop", one)) for one in HOSTILE]
    world.write(*HOSTILE)
    await listener.hears(*HOSTILE)
    for one, name in zip(follows, HOSTILE, strict=True):
        await one.hears(name)


async def test_a_listener_is_let_go_after_a_while_and_when_the_process_stops(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIFETIME", 0.2)
    short = Listener(world.changes)
    await until(lambda: short.ended, SOON, "the end")
    monkeypatch.setattr(module, "LIFETIME", 900.0)
    longer = await world.listener()
    world.changes.close()
    await until(lambda: longer.ended, SOON, "the end")


async def test_silence_is_broken_by_signs_of_life(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ALIVE", 0.05)
    listener = await world.listener()
    await until(lambda: len(listener.heard) > 3, SOON, "signs of life")
    assert {notice.kind for notice in listener.heard} == {Kind.ALIVE}
    assert int(listener.heard[-1].id) > int(listener.heard[0].id)


async def test_a_fault_of_ours_ends_the_listening_loudly(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    listener = await world.listener()

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(world.changes, "_untold", broken)
    await until(lambda: listener.ended, SOON, "the end")
    assert "not told any more" in caplog.text


async def test_all_who_ask_for_the_changes_of_a_database_get_the_same(world: World) -> None:
    asked: Any = world.asked
    assert changes_of(asked) is changes_of(asked)
    assert changes_of(asked) is not world.changes


async def test_a_look_is_answered_by_the_index(world: World) -> None:
    world.write("c-1")
    keys: list[Key] = [("shop", "c-1")]
    bound = {"back_ms": 1_000, "most": 10, "all": True, "assistant": "", **module.bound(keys)}
    client = world.database.client()
    for sql in (module._LOOK, module._LOOK_AT):
        explained = client.query(f"EXPLAIN indexes = 1 {sql}", parameters=bound).result_rows
        assert any("by_update" in line for (line,) in explained)
    client.close()
