"""Labels as events: what they say, when, and what the fold makes of them."""

import itertools
import json
from typing import Any

import pytest
from pydantic import ValidationError

from api.access.principal import Principal, Scope
from api.problems import Problem
from api.writing.labels import LabelCommand, LabelResult, label_conversations
from api.writing.moments import Moments, iso
from api.writing.outcome import Status
from schemas.failures import TooMuch
from schemas.partitioning import home_partition
from schemas.topics import LABELS
from schemas.wire import decode
from tests.api.writing.world import DOWN, EVERYTHING, SHOP_ONLY, Known, RecordingLog, parts
from tests.builders import AT, MINUTE, SECOND, event
from tests.processors.world import World

KEY = ("shop", "c-1")


def command(label: str | None = "negative", *ids: str, **more: Any) -> LabelCommand:
    conversations = [{"assistant": "shop", "conversation_id": one} for one in ids or ("c-1",)]
    return LabelCommand.model_validate({"label": label, "conversations": conversations, **more})


class Office:
    """Managers at work: a log, a ClickHouse, and a clock that a test turns."""

    def __init__(self, now: int = AT) -> None:
        self.log, self.known, self.now = RecordingLog(), Known(), now
        self.moments = Moments(lambda: self.now)

    async def label(
        self, given: LabelCommand, key: str | None = None, principal: Principal = EVERYTHING
    ) -> LabelResult:
        return await label_conversations(parts(self.log, self.known), principal, given, key, self.moments)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(value) for value in self.log.values]


async def test_a_label_says_all_that_the_command_says_and_who_gave_it() -> None:
    office = Office()
    given = {"assistant": "shop", "conversation_id": "c é", "seen_messages": 8}
    more = {"reason": "wrong", "correction": "On Tuesday.", "message_id": "m-3"}
    result = await office.label(LabelCommand(label="negative", conversations=[given], **more))
    (one,) = result.labels
    assert office.events == [
        {
            "id": one.event_id,
            "type": "label.set",
            "assistant": "shop",
            "conversation_id": "c é",
            "at": iso(AT),
            "label": "negative",
            "by": "the office",
            "seen_messages": 8,
            **more,
        }
    ]
    (record,) = office.log.records
    assert (record.topic, record.conversation_id) == (LABELS, "c é")
    read, at = decode(record.value)
    assert (read.message_id, at) == ("m-3", AT)
    assert result.taken
    assert int(one.at.timestamp() * 1000) == AT


@pytest.mark.parametrize("verdict", [None, "clear"])
async def test_a_label_is_taken_back(verdict: str | None) -> None:
    office = Office()
    await office.label(command(verdict, reason="mistaken"))
    (said,) = office.events
    assert said["type"] == "label.cleared"
    assert said["reason"] == "mistaken"
    assert "label" not in said
    assert decode(office.log.values[0])


async def test_many_conversations_are_labelled_at_once_each_by_an_event_of_its_own() -> None:
    office = Office()
    result = await office.label(command("positive", *(f"c-{number}" for number in range(1_000))))
    assert [one.conversation_id for one in result.labels] == [f"c-{number}" for number in range(1_000)]
    assert [one["conversation_id"] for one in office.events] == [one.conversation_id for one in result.labels]
    assert len({one["id"] for one in office.events}) == 1_000


async def test_a_label_comes_a_millisecond_after_the_one_in_the_row_when_that_is_ahead() -> None:
    office = Office()
    office.known.labelled = {KEY: AT + 5 * SECOND, ("shop", "c-2"): AT - SECOND, ("shop", "c-3"): None}
    result = await office.label(command("positive", "c-1", "c-2", "c-3", "c-4"))
    assert [one["at"] for one in office.events] == [iso(AT + 5 * SECOND + 1), iso(AT), iso(AT), iso(AT)]
    assert [one.known for one in result.labels] == [True, True, True, False]


async def test_quick_successive_labels_have_times_one_after_the_other() -> None:
    office = Office()
    for verdict in ("positive", "negative", None, "positive"):
        await office.label(command(verdict))
    assert [one["at"] for one in office.events] == [iso(AT + number) for number in range(4)]


@pytest.mark.parametrize("error", [DOWN, TooMuch("too much"), TimeoutError()], ids=["down", "too slow", "hanging"])
async def test_without_clickhouse_labels_are_given_now_and_nobody_says_whether_they_are_known(error: Exception) -> None:
    office = Office()
    office.known.error = error
    result = await office.label(command())
    assert [(one.status, one.known) for one in result.labels] == [(Status.ACCEPTED, None)]
    assert [one["at"] for one in office.events] == [iso(AT)]


async def test_what_was_not_taken_is_told_conversation_by_conversation() -> None:
    office = Office()
    office.log.takes = lambda one: one.conversation_id != "c-2"
    result = await office.label(command("positive", "c-1", "c-2", "c-3"))
    assert [one.status for one in result.labels] == ["accepted", "unavailable", "accepted"]
    assert not result.taken


async def test_a_key_for_one_assistant_labels_none_when_one_is_of_another() -> None:
    office = Office()
    mixed = [{"assistant": one, "conversation_id": "c-1"} for one in ("shop", "bank", "shoes")]
    with pytest.raises(Problem) as caught:
        await office.label(LabelCommand(label="positive", conversations=mixed), principal=SHOP_ONLY)
    assert caught.value.status == 403
    assert [one.where for one in caught.value.details.faults] == [
        "conversations.1.assistant",
        "conversations.2.assistant",
    ]
    assert office.events == []


async def test_a_name_of_any_length_is_an_author() -> None:
    office = Office()
    await office.label(command(), principal=Principal("p", "🙂" * 3_000, frozenset(Scope)))
    assert decode(office.log.values[0])[0].by == "🙂" * 1_024


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "Field required"),
        ({"label": "good"}, "positive"),
        ({"label": "positive", "conversations": []}, "at least 1"),
        (
            {"conversations": [{"assistant": "shop", "conversation_id": str(one)} for one in range(1_001)]},
            "at most 1000",
        ),
        ({"conversations": [{"assistant": "shop", "conversation_id": "c"}] * 2}, "once only"),
        ({"conversations": [{"assistant": "Shop", "conversation_id": "c"}]}, "pattern"),
        ({"conversations": [{"assistant": "shop", "conversation_id": ""}]}, "at least 1"),
        ({"conversations": [{"assistant": "shop", "conversation_id": "x" * 257}]}, "at most 256"),
        ({"conversations": [{"assistant": "shop", "conversation_id": "c", "seen_messages": -1}]}, "greater than"),
        ({"conversations": [{"assistant": "shop", "conversation_id": "c", "seen_messages": True}]}, "valid integer"),
        ({"label": None, "correction": "x"}, "goes with a label"),
        ({"label": "clear", "correction": "x"}, "goes with a label"),
        ({"message_id": "m"}, "goes with a correction"),
        ({"correction": "", "message_id": "m"}, "goes with a correction"),
        (
            {
                "correction": "x",
                "message_id": "m",
                "conversations": [{"assistant": "shop", "conversation_id": one} for one in "ab"],
            },
            "of one conversation",
        ),
        ({"reason": "x" * 262_145}, "at most 262144"),
        ({"reason": "🙂" * 200_000, "correction": "🙂" * 200_000}, "too long"),
        (
            {
                "reason": "x" * 10_000,
                "conversations": [{"assistant": "shop", "conversation_id": str(one)} for one in range(500)],
            },
            "too long",
        ),
        ({"by": "somebody else"}, "Extra inputs"),
        ({"at": AT}, "Extra inputs"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused_with_words(given: dict[str, Any], words: str) -> None:
    whole = {"label": "negative", "conversations": [{"assistant": "shop", "conversation_id": "c-1"}], **given}
    if not given:
        del whole["label"]
    with pytest.raises(ValidationError, match=words):
        LabelCommand.model_validate(whole)


def test_empty_texts_count_as_absent() -> None:
    found = command("positive", reason="", correction="", message_id="")
    assert (found.reason, found.correction, found.message_id) == (None, None, None)


async def test_the_longest_label_fits_into_a_record() -> None:
    office = Office()
    texts = {"reason": '"' * 262_144, "correction": '"' * 240_000, "message_id": "🙂" * 128}
    principal = Principal("p", "\x01" * 3_000, frozenset(Scope))
    given = {"assistant": "a" * 64, "conversation_id": "\x01" * 256, "seen_messages": 2**53}
    await office.label(LabelCommand(label="negative", conversations=[given], **texts), principal=principal)
    assert len(office.log.values[0]) <= 1 << 20
    assert decode(office.log.values[0])


# Sent again, and through the fold.


def deliver(world: World, office: Office) -> None:
    """Bring what the office wrote to the worker's log, once."""
    for one in office.log.records:
        home = home_partition(one.conversation_id, world.partitions)
        world.log.append(one.topic.name, home, one.value, key=one.conversation_id.encode())
        world.lines.append(one.value)
    office.log.records.clear()


@pytest.fixture
def world() -> Any:
    with World() as world:
        yield world


@pytest.mark.parametrize("arrives", [True, False], ids=["the first arrived", "the first was lost"])
async def test_sent_again_after_an_answer_that_was_none_a_label_is_there_once(world: World, arrives: bool) -> None:
    office, process = Office(), world.start().assign()
    world.produce(event("message.sent", at=AT - MINUTE))
    office.log.takes, office.log.arrives = (lambda _: False), arrives
    first = await office.label(command("negative"), "key")
    office.log.takes = lambda _: True
    office.now += MINUTE
    again = await office.label(command("negative"), "key")
    assert first.labels[0].event_id == again.labels[0].event_id
    deliver(world, office)
    await process.catch_up()
    assert world.rows() == world.truth()
    assert (world.row()["label"], world.row()["label_id"]) == ("negative", first.labels[0].event_id)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_a_label_that_was_undone_is_not_brought_back_by_sending_it_again(
    world: World, order: tuple[int, ...]
) -> None:
    """In whatever order the three events arrive, and although the third is the latest."""
    office, process = Office(), world.start().assign()
    world.produce(event("message.sent", at=AT - MINUTE))
    await office.label(command("negative", correction="Say it."), "key of the first")
    office.now += MINUTE
    undone = await office.label(command(None), "key of the undo")
    office.now += MINUTE
    office.known.labelled = {KEY: AT + MINUTE}
    await office.label(command("negative", correction="Say it."), "key of the first")
    records = office.log.records
    office.log.records = [records[place] for place in order]
    deliver(world, office)
    while await process.take(1):
        await process.flush()
    row = world.row()
    assert (row["label"], row["correction"], row["label_id"]) == ("", "", undone.labels[0].event_id)
    assert world.rows() == world.truth()


async def test_under_one_key_the_first_decision_counts_and_another_changes_nothing(world: World) -> None:
    office, process = Office(), world.start().assign()
    world.produce(event("message.sent", at=AT - MINUTE))
    await office.label(command("positive"), "key")
    office.now += MINUTE
    await office.label(command(None), "key")
    await office.label(command("negative"), "key", Principal("key:other", "other", frozenset(Scope)))
    deliver(world, office)
    await process.catch_up()
    assert world.row()["label"] == "negative"
    assert world.row()["labelled_by"] == "other"


async def test_one_key_labels_many_conversations(world: World) -> None:
    office, process = Office(), world.start().assign()
    world.produce(*(event("message.sent", conversation_id=f"c-{number}", at=AT - MINUTE) for number in range(3)))
    await office.label(command("positive", "c-0", "c-1", "c-2"), "key")
    deliver(world, office)
    await process.catch_up()
    assert [row["label"] for row in world.rows()] == ["positive"] * 3


async def test_of_labels_given_within_a_moment_the_last_one_counts(world: World) -> None:
    office, process = Office(), world.start().assign()
    world.produce(event("message.sent", at=AT - MINUTE))
    for number in range(9):
        await office.label(command(("positive", "negative", None)[number % 3], reason=str(number)))
    office.log.records.reverse()
    deliver(world, office)
    await process.catch_up()
    assert (world.row()["label"], world.row()["label_reason"]) == ("", "8")


async def test_a_label_before_its_conversation_waits_for_it(world: World) -> None:
    office, process = Office(), world.start().assign()
    result = await office.label(command("positive"))
    assert result.labels[0].known is False
    deliver(world, office)
    await process.catch_up()
    assert world.rows() == []
    world.produce(event("message.sent", at=AT - MINUTE))
    await process.catch_up()
    assert world.row()["label"] == "positive"


async def test_the_message_that_a_correction_is_about_changes_no_row(world: World) -> None:
    office, process = Office(), world.start().assign()
    world.produce(event("message.sent", at=AT - MINUTE))
    await office.label(command("negative", correction="Say it.", message_id="m-1"))
    deliver(world, office)
    await process.catch_up()
    assert world.row()["correction"] == "Say it."
    assert world.rows() == world.truth()
