"""Erasures as events, and what the fold makes of them."""

import json
from typing import Any

import pytest

from api.access.principal import Principal, Scope
from api.problems import Problem
from api.writing.erasures import MAX_REASON, ErasureResult, erase
from api.writing.labels import LabelCommand, label_conversations
from api.writing.moments import Moments, iso
from api.writing.outcome import Status
from schemas.partitioning import home_partition
from schemas.topics import LABELS
from schemas.wire import decode
from tests.api.writing.world import DOWN, EVERYTHING, SHOP_ONLY, Known, RecordingLog, parts
from tests.builders import AT, MINUTE, SECOND, event
from tests.processors.world import World

KEY = ("shop", "c-1")


class Office:
    """Who erases: a log, a ClickHouse, and a clock that a test turns."""

    def __init__(self, now: int = AT) -> None:
        self.log, self.known, self.now = RecordingLog(), Known(), now
        self.moments = Moments(lambda: self.now)

    async def erase(
        self, reason: str | None = None, key: str | None = None, principal: Principal = EVERYTHING
    ) -> ErasureResult:
        return await erase(parts(self.log, self.known), principal, *KEY, reason, key, self.moments)

    async def label(self) -> None:
        command = LabelCommand(label="positive", conversations=[{"assistant": "shop", "conversation_id": "c-1"}])
        await label_conversations(parts(self.log, self.known), EVERYTHING, command, None, self.moments)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(value) for value in self.log.values]

    def deliver(self, world: World) -> None:
        for one in self.log.records:
            home = home_partition(one.conversation_id, world.partitions)
            world.log.append(one.topic.name, home, one.value, key=one.conversation_id.encode())
            world.lines.append(one.value)
        self.log.records.clear()


@pytest.fixture
def world() -> Any:
    with World() as world:
        yield world


async def test_an_erasure_says_what_who_and_why() -> None:
    office = Office()
    result = await office.erase("request 7")
    assert office.events == [
        {
            "id": result.event_id,
            "type": "conversation.erased",
            "assistant": "shop",
            "conversation_id": "c-1",
            "at": iso(AT),
            "by": "the office",
            "reason": "request 7",
        }
    ]
    (record,) = office.log.records
    assert record.topic is LABELS
    assert decode(record.value)
    assert result.status is Status.ACCEPTED


async def test_the_cut_is_not_before_anything_that_is_stored() -> None:
    office = Office()
    office.known.facts = {KEY: AT + 7 * SECOND}
    result = await office.erase()
    assert office.events[0]["at"] == iso(AT + 7 * SECOND)
    assert int(result.at.timestamp() * 1000) == AT + 7 * SECOND


async def test_without_clickhouse_the_cut_is_now() -> None:
    office = Office()
    office.known.error = DOWN
    await office.erase()
    assert office.events[0]["at"] == iso(AT)


async def test_what_kafka_did_not_take_is_told() -> None:
    office = Office()
    office.log.takes = lambda _: False
    assert (await office.erase()).status is Status.UNAVAILABLE


async def test_a_key_for_one_assistant_erases_no_other() -> None:
    office = Office()
    bank = Principal("key:bank", "bank", frozenset(Scope), "bank")
    with pytest.raises(Problem) as caught:
        await office.erase(principal=bank)
    assert caught.value.status == 403
    assert office.events == []
    assert (await office.erase(principal=SHOP_ONLY)).status is Status.ACCEPTED


async def test_a_reason_without_end_is_refused() -> None:
    office = Office()
    with pytest.raises(Problem) as caught:
        await office.erase("x" * (MAX_REASON + 1))
    assert caught.value.status == 422
    assert office.events == []


async def test_an_erasure_takes_what_clocks_that_ran_ahead_have_said(world: World) -> None:
    office, process = Office(), world.start().assign()
    world.produce(
        event("message.sent", at=AT + SECOND), event("conversation.rated", at=AT + 5 * SECOND, comment="Ann!")
    )
    await process.catch_up()
    office.known.facts = {KEY: AT + 5 * SECOND}
    await office.erase()
    office.deliver(world)
    await process.catch_up()
    assert world.rows() == []
    assert not [one for one in world.stored() if b"Ann" in one]


async def test_a_label_given_before_is_erased_and_one_given_afterwards_is_not(world: World) -> None:
    """All of it within one millisecond."""
    office, process = Office(), world.start().assign()
    world.produce(event("message.sent", at=AT - MINUTE))
    await office.label()
    await office.erase()
    office.deliver(world)
    await process.catch_up()
    assert world.rows() == []
    await office.label()
    office.deliver(world)
    world.produce(event("message.sent", at=AT + MINUTE))
    await process.catch_up()
    assert world.row()["label"] == "positive"
    assert world.row()["messages"] == 1


async def test_sent_again_under_its_key_an_erasure_erases_nothing_that_came_in_between(world: World) -> None:
    office, process = Office(), world.start().assign()
    world.produce(event("message.sent", at=AT - MINUTE))
    first = await office.erase(key="key")
    office.deliver(world)
    world.produce(event("message.sent", at=AT + MINUTE))
    await process.catch_up()
    office.now = AT + 2 * MINUTE
    office.known.facts, office.known.erased = {KEY: AT + MINUTE}, {first.event_id: AT}
    again = await office.erase(key="key")
    assert again == first
    office.deliver(world)
    await process.catch_up()
    assert world.row()["messages"] == 1
    assert world.rows() == world.truth()


async def test_under_another_key_or_none_it_is_another_erasure() -> None:
    office = Office()
    names = [(await office.erase(key=key)).event_id for key in ("a", "b", None, None)]
    assert len(set(names)) == 4
