"""Records that can never succeed: each is in the dead letters once with its reason, and all others are right."""

import pytest

from processors.poison import WINDOW, Poison
from schemas.events import FUTURE_TOLERANCE, LATEST_AT, MAX_TEXT
from schemas.partitioning import home_partition
from schemas.topics import EVENTS, LABELS
from tests.builders import ABSENT, AT, DAY, MINUTE, SECOND, event, line
from tests.processors.log import RECORDED
from tests.processors.world import LATER, World

HOME = home_partition("c-1", 2)


def _message(**said: object) -> bytes:
    return line(event("message.sent", id="bad", at=AT + SECOND, text="Lost") | said)


BAD: dict[str, tuple[str, bytes | None, str]] = {
    "broken JSON": (EVENTS.name, _message()[:-2], "malformed"),
    "JSON with something behind it": (EVENTS.name, _message() + b"}", "malformed"),
    "not an object": (EVENTS.name, b"[" + _message() + b"]", "malformed"),
    "not UTF-8": (EVENTS.name, _message().replace(b"Lost", b"L\xff"), "malformed"),
    "not a number": (EVENTS.name, _message(confidence=0.5).replace(b"0.5", b"NaN"), "malformed"),
    "infinity": (EVENTS.name, _message(confidence=0.5).replace(b"0.5", b"1e999"), "invalid"),
    "a text that is a number": (EVENTS.name, _message(text=5), "invalid"),
    "a number that is a text": (EVENTS.name, _message(sources="many"), "invalid"),
    "a role that is none": (EVENTS.name, _message(role="robot"), "invalid"),
    "no id": (EVENTS.name, line(event("message.sent", id=ABSENT)), "invalid"),
    "no conversation": (EVENTS.name, line(event("message.sent", conversation_id="")), "invalid"),
    "no assistant": (EVENTS.name, line(event("message.sent", assistant=ABSENT)), "invalid"),
    "an assistant's name in capitals": (EVENTS.name, _message(assistant="Shop"), "invalid"),
    "a megabyte of text": (EVENTS.name, _message(text="x" * (1 << 20)), "invalid"),
    "one character too many": (EVENTS.name, _message(text="x" * (MAX_TEXT + 1)), "invalid"),
    "a time without a zone": (EVENTS.name, _message(at="2026-11-09T09:12:00"), "invalid"),
    "the year 1": (EVENTS.name, _message(at="0001-01-01T00:00:00Z"), "out_of_range"),
    "a time before 2000": (EVENTS.name, _message(at=946_684_799_999), "out_of_range"),
    "a time in the future": (EVENTS.name, _message(at=RECORDED + 5 * MINUTE + 1), "future_time"),
    "a time of 400 digits": (EVENTS.name, _message(at=10**400), "future_time"),
    "an unknown type": (EVENTS.name, _message(type="message.deleted"), "unknown_type"),
    "no type": (EVENTS.name, line(event("message.sent") | {"type": None}), "unknown_type"),
    "an empty value": (EVENTS.name, b"", "empty"),
    "no value": (EVENTS.name, None, "empty"),
    "a label on the wrong topic": (EVENTS.name, line(event("label.set")), "wrong_topic"),
    "an erasure on the wrong topic": (EVENTS.name, line(event("conversation.erased")), "wrong_topic"),
    "a message on the wrong topic": (LABELS.name, _message(), "wrong_topic"),
}


@pytest.mark.parametrize("at", [LATEST_AT + FUTURE_TOLERANCE + 1, 2**62, 2**63 + 5])
async def test_a_record_from_the_end_of_time_takes_no_event_with_it(world: World, at: int) -> None:
    """Such a time cannot be read back, and from 2**63 on not even be held."""
    late = line(event("message.sent", id="late", at=at))
    world.log.append(EVENTS.name, HOME, late, timestamp=2**63 - 1)
    world.produce(event("message.sent", id="good"))
    await world.start().assign().catch_up(LATER)
    assert world.letters() == [("future_time", late)]
    assert world.rows() == world.truth(LATER)


@pytest.mark.parametrize(("topic", "value", "reason"), BAD.values(), ids=BAD.keys())
async def test_a_bad_record_is_a_dead_letter_once_and_leaves_the_others_right(
    world: World, topic: str, value: bytes | None, reason: str
) -> None:
    process = world.start().assign()
    for number in range(2):
        world.produce(event("message.sent", id=f"m{number}", at=AT + number), event("label.set", id=f"l{number}"))
        world.log.append(topic, HOME, value, key=b"c-1")
    world.produce(event("message.sent", id="last", at=AT + MINUTE))
    await process.catch_up(LATER)
    assert world.rows() == world.truth(LATER)
    assert world.letters() == [(reason, value or b"")]
    again = world.start()
    world.log.committed[topic, HOME] = 0
    await again.assign().catch_up(LATER)
    assert world.rows() == world.truth(LATER)
    assert world.letters() == [(reason, value or b"")]
    assert world.log.acknowledged()


async def test_all_bad_records_together_leave_all_others_right(world: World) -> None:
    process = world.start().assign()
    for number, (topic, value, _) in enumerate(BAD.values()):
        world.produce(event("message.sent", id=f"m{number}", at=AT + number, conversation_id=f"c-{number % 3}"))
        world.log.append(topic, number % 2, value)
    await process.catch_up(LATER)
    assert world.rows() == world.truth(LATER)
    assert len(world.letters()) == len({(topic, value or b"") for topic, value, _ in BAD.values()})
    assert world.log.acknowledged()


async def test_a_dead_letter_says_where_it_came_from_and_whose_it_was(world: World) -> None:
    world.log.append(EVENTS.name, HOME, _message(role="robot"), key=b"c-1", timestamp=AT + DAY)
    await world.start().assign().catch_up()
    (found,) = world.store.dead_letters()
    assert (found.topic, found.partition, found.offset, found.key) == (EVENTS.name, HOME, 0, b"c-1")
    assert (found.assistant, found.conversation_id) == ("shop", "c-1")
    assert (found.recorded_at, found.failed_at) == (AT + DAY, RECORDED)
    assert "role" in found.detail


async def test_a_time_up_to_five_minutes_ahead_of_the_record_is_accepted(world: World) -> None:
    world.produce(event("message.sent", at=AT + 5 * MINUTE), timestamp=AT)
    await world.start().assign().catch_up()
    assert world.rows() == world.truth()
    assert world.letters() == []


async def test_an_event_without_an_assistant_is_the_default_assistants_where_one_is_configured(world: World) -> None:
    world.produce(event("message.sent", assistant=ABSENT))
    await world.start(default_assistant="default").assign().catch_up()
    assert world.rows() == world.truth()
    assert world.rows()[0]["assistant"] == "default"


@pytest.mark.parametrize("swapped", [False, True], ids=["in order", "swapped"])
async def test_a_broken_record_whose_bytes_would_complete_its_neighbours_json(world: World, swapped: bool) -> None:
    """Joined by a comma, the two halves are one good event, and in an array everything behind would shift by one."""
    whole = _message(text="first half, second half")
    halves = list(whole.split(b", second", 1))
    assert len(halves) == 2
    halves[1] = b" second" + halves[1]
    world.produce(event("message.sent", id="m0"))
    for half in reversed(halves) if swapped else halves:
        world.log.append(EVENTS.name, HOME, half, key=b"c-1")
    world.produce(event("message.sent", id="m1", at=AT + MINUTE))
    await world.start().assign().catch_up()
    assert world.rows() == world.truth()
    assert world.letters() == sorted(("malformed", half) for half in halves)


async def test_two_events_in_one_record_are_one_dead_letter(world: World) -> None:
    both = _message(id="x") + b"," + _message(id="y")
    world.log.append(EVENTS.name, HOME, both)
    world.produce(event("message.sent"))
    await world.start().assign().catch_up()
    assert world.rows() == world.truth()
    assert world.letters() == [("malformed", both)]


async def test_more_than_half_of_the_last_thousand_raises_the_alarm_until_they_are_good_again(world: World) -> None:
    process = world.start().assign()
    place = (EVENTS.name, HOME)
    world.produce(event("message.sent"))
    for _ in range(WINDOW // 2):
        world.log.append(*place, b"bad")
    await process.catch_up()
    assert process.worker.poison.partitions == set()
    world.log.append(*place, b"bad")
    await process.catch_up()
    assert process.worker.poison.partitions == {place}
    world.produce(*(event("message.sent", at=AT + number) for number in range(WINDOW)))
    await process.catch_up()
    assert process.worker.poison.partitions == set()
    assert world.rows() == world.truth()


async def test_the_alarm_of_an_earlier_assignment_is_forgotten(world: World) -> None:
    process = world.start().assign()
    for _ in range(WINDOW):
        world.log.append(EVENTS.name, 0, b"bad")
    await process.catch_up()
    assert process.worker.poison.partitions
    process.assign()
    assert process.worker.poison.partitions == set()


@pytest.mark.parametrize("batch", [1, 7, 500, 1_000, 4_000])
@pytest.mark.parametrize(("share", "alarmed"), [(0.4, False), (0.6, True)], ids=["fewer than half", "more than half"])
def test_the_size_of_the_batches_does_not_matter_to_the_alarm(batch: int, share: float, alarmed: bool) -> None:
    poison = Poison()
    bad = 0.0
    for _ in range(max(20, 8_000 // batch)):
        bad += batch * share
        poison.seen("events", 0, batch - int(bad), int(bad))
        bad -= int(bad)
    assert (("events", 0) in poison.partitions) is alarmed


async def test_a_poisoned_partition_does_not_hold_its_clock_back(world: World) -> None:
    process = world.start().assign()
    world.produce(event("message.sent"))
    world.log.append(EVENTS.name, HOME, b"bad")
    await process.catch_up(LATER)
    assert world.rows() == world.truth(LATER)
