"""The simulator: the same bytes from the same fields, in the order of time, with the promised shares of everything."""

import json
import tomllib
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from itertools import islice, pairwise
from typing import Any

import pytest

from runtime.simulator import Bulk, Simulation, is_label
from runtime.simulator.phrasebook import LANGUAGES, phrasebook
from schemas.events import EVENT, EVENT_MODELS, event_type
from schemas.topics import LABELS
from tests import oracle

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
MONTH = Simulation(now=NOW)
RULES = oracle.Rules.of(tomllib.loads((files("schemas") / "default_rules.toml").read_text("utf-8")), "shop")
FOUR_HOURS = timedelta(hours=4)

Told = dict[str, Any]


def told(simulation: Simulation) -> list[Told]:
    return [json.loads(payload) for _, payload in simulation.events()]


def at(event: Told) -> datetime:
    return datetime.fromisoformat(event["at"])


@cache
def month() -> list[Told]:
    return told(MONTH)


@cache
def month_by_conversation() -> dict[str, list[Told]]:
    conversations: dict[str, list[Told]] = {}
    for event in month():
        conversations.setdefault(event["conversation_id"], []).append(event)
    return conversations


@cache
def month_rows() -> list[oracle.Row]:
    clock = int(NOW.timestamp() * 1000)
    payloads: dict[str, set[bytes]] = {}
    for key, payload in MONTH.events():
        payloads.setdefault(key.decode(), set()).add(payload)
    rows = (oracle.conversation_row("shop", name, facts, RULES, clock, 1) for name, facts in payloads.items())
    return [row for row in rows if row]


def share(predicate: Any) -> float:
    rows = month_rows()
    return sum(1 for row in rows if predicate(row)) / len(rows)


def test_the_same_fields_give_the_same_bytes() -> None:
    small = replace(MONTH, conversations=200)
    assert list(small.events()) == list(Simulation(now=NOW, conversations=200).events())


def test_another_seed_gives_other_conversations() -> None:
    one, other = (replace(MONTH, conversations=50, seed=seed) for seed in (1, 2))
    texts = [[event.get("text") for event in told(simulation)] for simulation in (one, other)]
    assert texts[0] != texts[1]


@pytest.mark.parametrize(
    "change",
    [{"seed": 8}, {"now": NOW + timedelta(seconds=1)}, {"days": 31.0}, {"conversations": 101}, {"labels": 0.1}],
    ids=lambda change: next(iter(change)),
)
def test_no_id_ever_gets_another_content(change: dict[str, Any]) -> None:
    first = replace(MONTH, conversations=100)
    ids = {event["id"] for event in told(first)}
    assert ids.isdisjoint(event["id"] for event in told(replace(first, **change)))


def test_a_conversation_stands_alone() -> None:
    small = replace(MONTH, conversations=300)
    flowed: dict[bytes, list[bytes]] = {}
    for key, payload in small.events():
        flowed.setdefault(key, []).append(payload)
    finished = small.conversation(17)
    assert flowed[json.loads(finished[0])["conversation_id"].encode()] == finished


@pytest.mark.parametrize("number", [-1, 300])
def test_a_conversation_that_is_not_simulated_is_an_index_error(number: int) -> None:
    with pytest.raises(IndexError):
        replace(MONTH, conversations=300).conversation(number)


def test_every_payload_is_an_event_of_the_contract_and_its_key_is_its_conversation() -> None:
    for key, payload in replace(MONTH, conversations=500, labels=0.3).events():
        assert EVENT.validate_json(payload).conversation_id.encode() == key


def test_every_id_is_unique() -> None:
    assert max(Counter(event["id"] for event in month()).values()) == 1


def test_every_type_of_event_occurs_but_erasures() -> None:
    types = {event["type"] for event in told(replace(MONTH, conversations=1000, labels=0.3))}
    assert types == {event_type(model) for model in EVENT_MODELS} - {"conversation.erased"}


def test_nothing_is_labelled_unless_asked_for() -> None:
    assert not any(event["type"].startswith("label.") for event in month())


def test_the_share_of_labels_is_the_one_asked_for() -> None:
    labelled = {event["conversation_id"] for event in told(replace(MONTH, labels=0.3)) if event["type"] == "label.set"}
    assert len(labelled) / MONTH.conversations == pytest.approx(0.3, abs=0.03)


def test_labels_are_told_from_other_events_by_their_first_bytes() -> None:
    payloads = [payload for _, payload in replace(MONTH, conversations=300, labels=0.5).events()]
    assert any(map(is_label, payloads))
    assert all(is_label(payload) == (json.loads(payload)["type"] in LABELS.types) for payload in payloads)


def test_events_flow_in_the_order_of_time_and_none_lies_after_now_or_before_the_days() -> None:
    times = [at(event) for event in month()]
    assert times == sorted(times)
    assert times[0] >= NOW - timedelta(days=30)
    assert times[-1] <= NOW


def test_within_a_conversation_time_and_number_grow_together() -> None:
    for events in month_by_conversation().values():
        assert [event["seq"] for event in events] == list(range(len(events)))
        assert all(at(before) < at(after) for before, after in pairwise(events))


def test_a_conversation_has_about_eleven_events() -> None:
    assert 10 <= len(month()) / MONTH.conversations <= 12


def test_every_conversation_says_that_it_is_simulated() -> None:
    started = [event for event in month() if event["type"] == "conversation.started"]
    assert len(started) == MONTH.conversations
    assert all(event["attributes"]["simulated"] == "true" for event in started)
    assert all(event["conversation_id"].startswith("sim-") for event in month())
    assert {event["assistant"] for event in month()} == {"shop"}


def test_twelve_percent_have_a_fallback() -> None:
    assert share(lambda row: row["fallbacks"]) == pytest.approx(0.12, abs=0.02)


def test_fallbacks_of_every_rule_occur_alone() -> None:
    alone = {causes[0][1] for row in month_rows() if len(causes := row["fallback_causes"]) == 1}
    assert alone == {"reported", "flagged", "intent", "low_confidence", "no_sources", "pattern"}


def test_eight_percent_are_handed_over_and_then_claimed() -> None:
    assert share(lambda row: row["escalated"]) == pytest.approx(0.08, abs=0.02)
    assert share(lambda row: row["claimed"]) == pytest.approx(0.08, abs=0.02)


def test_a_quarter_is_rated_some_with_words_and_some_after_the_close() -> None:
    assert share(lambda row: row["rating"] is not None) == pytest.approx(0.25, abs=0.03)
    assert {row["rating"] for row in month_rows()} == {None, 1, 2, 3, 4, 5}
    assert 0.05 < share(lambda row: row["has_feedback"]) < 0.15
    late = 0
    for events in month_by_conversation().values():
        closes = max(at(event) for event in events if event["type"] != "conversation.rated")
        late += any(
            event["type"] == "conversation.rated" and at(event) > closes + timedelta(minutes=5) for event in events
        )
    assert late > 100


def test_a_few_come_back_after_an_end_or_after_four_hours() -> None:
    assert 0.02 < share(lambda row: row["reopened"]) < 0.07
    after_end = after_silence = 0
    for events in month_by_conversation().values():
        for before, after in pairwise(event for event in events if event["type"] != "conversation.rated"):
            if after.get("role") == "user":
                after_end += before["type"] == "conversation.ended" and at(after) - at(before) < FOUR_HOURS
                after_silence += at(after) - at(before) > FOUR_HOURS
    assert after_end > 10
    assert after_silence > 10


def test_some_ends_are_announced_and_others_are_left_to_the_silence() -> None:
    assert 0.4 < share(lambda row: row["close_reason"] == "ended") < 0.7
    assert 0.3 < share(lambda row: row["close_reason"] == "idle") < 0.6


def test_the_last_minutes_have_conversations_that_go_on_after_now() -> None:
    last = [MONTH.conversation(number) for number in range(MONTH.conversations - 5, MONTH.conversations)]
    begun = [at(json.loads(payloads[0])) for payloads in last]
    assert all(NOW - timedelta(minutes=15) <= start <= NOW for start in begun)
    assert any(at(json.loads(payloads[-1])) > NOW for payloads in last)


def test_six_topics_four_languages_and_many_places_and_devices_occur() -> None:
    rows = month_rows()
    assert {row["topic"] for row in rows} - {""} == {"orders", "returns", "shipping", "payment", "products", "account"}
    assert len({(row["topic"], row["subtopic"]) for row in rows if row["subtopic"]}) == 18
    assert set(LANGUAGES) <= {row["language"] for row in rows}
    assert {row["channel"] for row in rows} == {"web", "app", "whatsapp", "messenger", "email"}
    assert {"desktop", "mobile", "tablet", ""} == {row["device"] for row in rows}
    assert len({row["location"] for row in rows}) > 40
    assert {event["role"] for event in month() if "role" in event} == {"user", "assistant", "agent", "system"}


def test_a_user_is_one_person_in_all_conversations() -> None:
    names: dict[str, set[str]] = {}
    for event in month():
        if "user" in event:
            names.setdefault(event["user"]["id"], set()).add(event["user"]["name"])
    assert all(len(them) == 1 for them in names.values())
    assert len(names) < MONTH.conversations * 0.8


def test_questions_are_asked_twice_in_other_writing() -> None:
    twice = 0
    for events in month_by_conversation().values():
        texts = {event["text"] for event in events if event.get("role") == "user"}
        twice += len({tuple(sorted(oracle.words(text))) for text in texts}) < len(texts)
    assert twice / MONTH.conversations > 0.2


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_question_written_otherwise_has_the_same_words(code: str) -> None:
    for subject in phrasebook(code).subjects:
        for exchange in (*subject.ask, *subject.more):
            wanted = sorted(oracle.words(text_of(exchange.question)))
            assert exchange.again
            for again in exchange.again:
                assert again != exchange.question
                assert sorted(oracle.words(text_of(again))) == wanted


@pytest.mark.parametrize("code", LANGUAGES)
def test_only_the_lines_of_a_failing_assistant_hold_a_could_not_help_phrase(code: str) -> None:
    book = phrasebook(code)
    spoken = {name: lines for name, lines in book.lines.items() if name != "unable"}
    answers = [
        line for subject in book.subjects for exchange in (*subject.ask, *subject.more) for line in exchange.answers
    ]
    assert not [line for line in (*answers, *sum(spoken.values(), ())) if could_not_help(text_of(line))]
    assert all(could_not_help(text_of(line)) for line in book.lines["unable"])


def text_of(line: bytes) -> str:
    slots = dict.fromkeys((b"order", b"product", b"date", b"amount", b"tracking", b"days", b"city", b"customer"), b"7")
    return str(json.loads(b'"' + line % (slots | {b"agent": b"7", b"ask": b"7"}) + b'"'))


def could_not_help(text: str) -> bool:
    return any(oracle.contains(oracle.words(text), phrase) for phrase in RULES.could_not_help)


def test_the_fallback_intents_are_those_of_the_rules() -> None:
    named = {event["intent"]["name"] for event in month() if "intent" in event}
    assert {name for name in named if "." not in name or name.startswith("AMAZON")} <= set(RULES.fallback_intents)


def test_people_write_by_day_and_on_working_days() -> None:
    starts = [at(event) for event in month() if event["type"] == "conversation.started"]
    german = {
        event["conversation_id"] for event in month() if event.get("location") in {"Berlin", "Hamburg", "Leipzig"}
    }
    hours = Counter((at(events[0]).hour + 1) % 24 for name, events in month_by_conversation().items() if name in german)
    assert sum(hours[hour] for hour in range(9, 21)) > 10 * sum(hours[hour] for hour in range(6))
    weekdays = Counter(start.weekday() for start in starts)
    assert (weekdays[5] + weekdays[6]) / 2 < 0.7 * sum(weekdays[day] for day in range(5)) / 5


def test_nothing_is_simulated_of_no_conversations() -> None:
    assert list(replace(MONTH, conversations=0).events()) == []


def test_a_few_minutes_can_be_simulated_too() -> None:
    minutes = told(replace(MONTH, conversations=100, days=0.003))
    assert all(NOW - timedelta(days=0.003) <= at(event) <= NOW for event in minutes)
    assert len({event["conversation_id"] for event in minutes}) == 100


def test_live_goes_on_after_now_in_the_order_of_time_and_repeats_nothing() -> None:
    live = list(islice(MONTH.live(rate=50), 20_000))
    dues = [due for due, _, _ in live]
    assert dues == sorted(dues)
    assert dues[0] > NOW
    events = [EVENT.validate_json(payload) for _, _, payload in live]
    ids = {event.id for event in events}
    assert len(ids) == len(events)
    assert ids.isdisjoint(event["id"] for event in month())
    assert all(key.decode() == event.conversation_id for (_, key, _), event in zip(live, events, strict=True))


def test_live_continues_what_is_open_at_now() -> None:
    open_ones = {json.loads(MONTH.conversation(number)[-1])["id"] for number in range(2900, 3000)}
    open_ones -= {event["id"] for event in month()}
    said = {json.loads(payload)["id"] for due, _, payload in islice(MONTH.live(rate=0.02), 4_000)}
    assert open_ones
    assert open_ones <= said


def test_live_reaches_its_rate_after_some_minutes() -> None:
    dues = [due for due, _, _ in islice(MONTH.live(rate=20), 60_000)]
    later = [due for due in dues if NOW + timedelta(minutes=20) <= due < NOW + timedelta(minutes=40)]
    assert len(later) / 1200 == pytest.approx(20, rel=0.2)


def test_live_is_the_same_again() -> None:
    assert list(islice(MONTH.live(rate=5), 300)) == list(islice(MONTH.live(rate=5), 300))


BULK = Bulk(now=NOW, conversations=2_500, live_at_once=250, labels=0.1)


@cache
def bulk_events() -> list[Told]:
    return [json.loads(payload) for _, payload in BULK]


def test_bulk_knows_its_length_and_is_the_same_again() -> None:
    payloads = [payload for _, payload in BULK]
    assert len(payloads) == len(BULK)
    assert payloads == [payload for _, payload in replace(BULK)]


def test_bulk_holds_events_of_the_contract_keyed_by_conversation() -> None:
    for key, payload in islice(BULK, 10_000):
        assert EVENT.validate_json(payload).conversation_id.encode() == key


def test_bulk_flows_in_the_order_of_time_up_to_now() -> None:
    times = [at(event) for event in bulk_events()]
    assert times == sorted(times)
    assert NOW - timedelta(seconds=1) <= times[-1] <= NOW


def test_bulk_keeps_as_many_conversations_live_as_asked_and_none_for_four_hours() -> None:
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for index, event in enumerate(bulk_events()):
        first.setdefault(event["conversation_id"], index)
        last[event["conversation_id"]] = index
    middle = len(BULK) // 2
    assert sum(first[name] <= middle <= last[name] for name in first) == 250
    times = [at(event) for event in bulk_events()]
    assert max(times[last[name]] - times[first[name]] for name in first) < FOUR_HOURS
    assert len(first) == BULK.conversations


def test_bulk_tells_each_conversation_in_its_order_with_ids_of_its_own() -> None:
    assert max(Counter(event["id"] for event in bulk_events()).values()) == 1
    numbers: dict[str, list[int]] = {}
    for event in bulk_events():
        if "seq" in event:
            numbers.setdefault(event["conversation_id"], []).append(event["seq"])
        if "message_id" in event:
            assert event["message_id"].startswith(event["conversation_id"])
    assert all(them == list(range(len(them))) for them in numbers.values())


def test_bulk_has_the_shares_asked_for_and_about_twelve_events_of_the_usual_size() -> None:
    fallbacks, labelled = set(), set()
    for key, payload in BULK:
        fact = oracle.Fact.of(payload)
        if oracle.tags_of(fact, RULES):
            fallbacks.add(key)
        if fact.type == "label.set":
            labelled.add(key)
    assert len(fallbacks) / BULK.conversations == pytest.approx(0.02, abs=0.01)
    assert len(labelled) / BULK.conversations == pytest.approx(0.1, abs=0.02)
    assert len(BULK) / BULK.conversations == pytest.approx(11.5, abs=0.7)
    assert sum(len(payload) for _, payload in BULK) / len(BULK) == pytest.approx(320, abs=25)


def test_most_texts_of_users_in_bulk_are_new() -> None:
    texts = [event["text"] for event in bulk_events() if event.get("role") == "user"]
    assert len(set(texts)) > 0.5 * len(texts)


def test_a_simulation_gives_bulk_with_its_own_fields() -> None:
    bulk = replace(MONTH, labels=0.2, seed=3).bulk(conversations=10, live_at_once=4)
    assert bulk == Bulk(now=NOW, seed=3, conversations=10, live_at_once=4, labels=0.2)
    assert len({key for key, _ in bulk}) == 10
