"""The oracle against cases small enough to be computed by hand: what checks the fold is checked itself."""

import json
import tomllib
from datetime import date
from itertools import permutations
from typing import Any

import pytest
import xxhash

from tests.oracle import Row, as_json, device_class, rows, words

NOON = 1_793_534_400_000
"""2026-11-01T12:00:00Z: minute 0 of the cases."""
MINUTE = 60_000
COLUMNS = {
    "assistant", "conversation_id", "opened_on", "started_at", "last_activity_at", "closes_at", "closed", "ended_at",
    "close_reason", "duration_ms", "reopened", "messages", "user_messages", "agent_messages", "queries", "rating",
    "feedback", "has_feedback", "user_id", "user_name", "channel", "device", "location", "language", "topic",
    "subtopic", "attributes", "escalated", "claimed", "assigned_to", "team", "fallbacks", "fallback_causes", "label",
    "correction", "label_id", "labelled_by", "labelled_at", "label_reason", "label_stale", "version", "is_deleted",
}  # fmt: skip
RULES: dict[str, Any] = tomllib.loads("""
revision = 5

[default]
idle_gap_minutes = 60
fallback_threshold = 0.3
fallback_intents = ["nlu_fallback"]

[default.could_not_help]
en = ["I'm not sure I understood"]
de = ["leider nicht verstanden"]

[default.small_talk]
en = ["hi", "thanks", "thanks a lot", "thanks a"]
es = ["Hola", "¿qué tal?"]

[default.stop_words]
en = ["the", "my", "is", "a", "don't"]
de = ["ist", "der"]

[assistants.patient]
idle_gap_minutes = 240.5
fallback_intents = ["help"]

[assistants.patient.stop_words]
en = []
""")


def at(minute: float) -> int:
    return NOON + round(minute * MINUTE)


def event(event_id: str, kind: str, minute: float, **fields: Any) -> bytes:
    common = {"id": event_id, "type": kind, "assistant": "shop", "conversation_id": "c", "at": at(minute)}
    return json.dumps(common | fields).encode()


def started(minute: float = 0, event_id: str = "s", **fields: Any) -> bytes:
    return event(event_id, "conversation.started", minute, **fields)


def updated(event_id: str, minute: float, **fields: Any) -> bytes:
    return event(event_id, "conversation.updated", minute, **fields)


def message(event_id: str, minute: float, role: str = "user", **fields: Any) -> bytes:
    return event(event_id, "message.sent", minute, role=role, **fields)


def ended(minute: float, event_id: str = "e") -> bytes:
    return event(event_id, "conversation.ended", minute)


def erased(minute: float, event_id: str = "x") -> bytes:
    return event(event_id, "conversation.erased", minute)


def row_of(*payloads: bytes, clock: float | None = None, assistant: str = "shop") -> Row:
    found = rows(
        [payload.replace(b'"shop"', f'"{assistant}"'.encode()) for payload in payloads],
        RULES,
        None if clock is None else at(clock),
    )
    return found[assistant, "c"]


def version(facts: int, closed: int, erasures: int = 0) -> int:
    return erasures << 56 | facts << 24 | 1 << 17 | 5 << 1 | closed


# From the set to the sequence.


def test_any_order_and_any_number_of_copies_give_the_same_row() -> None:
    facts = [started(), message("m1", 1, text="one"), message("m2", 1, text="two"), ended(2)]
    expected = row_of(*facts)
    for order in permutations(facts):
        assert row_of(*order, *order[:2]) == expected


def test_facts_at_the_moment_of_the_cut_are_forgotten_and_later_ones_begin_anew() -> None:
    row = row_of(started(user={"id": "u"}), message("m1", 5), erased(5), message("m2", 5.001), erased(3, event_id="x2"))
    assert (row["started_at"], row["messages"], row["user_id"]) == (at(5.001), 1, "")
    assert row["version"] == version(facts=1, closed=0, erasures=2)


def test_the_same_erasure_twice_is_one_and_two_contents_of_it_are_two() -> None:
    twice = row_of(erased(1), erased(1))
    assert twice["version"] == version(facts=0, closed=0, erasures=1)
    other = event("x", "conversation.erased", 1, by="privacy desk")
    assert row_of(erased(1), other)["version"] == version(facts=0, closed=0, erasures=2)


def test_more_than_255_erasures_do_not_overflow_the_version() -> None:
    assert row_of(*[erased(1, event_id=f"x{n}") for n in range(300)])["version"] == version(0, 0, erasures=255)


def test_an_erasure_with_nothing_behind_it_leaves_a_blank_row() -> None:
    row = row_of(
        started(topic="orders", attributes={"tier": "gold"}), message("m1", 1, text="Where is it?"), erased(90)
    )
    assert (row["is_deleted"], row["opened_on"]) == (1, date(2026, 11, 1))
    assert (row["topic"], row["attributes"], row["messages"], row["closed"]) == ("", {}, 0, False)


def test_a_label_behind_an_erasure_waits_behind_the_blank_row() -> None:
    row = row_of(message("m1", 1), erased(2), event("l", "label.set", 3, label="positive"))
    assert (row["is_deleted"], row["label"], row["label_id"]) == (1, "", "")
    assert row["version"] == version(facts=1, closed=0, erasures=1)


def test_of_two_contents_of_one_id_the_earlier_counts_and_both_are_facts() -> None:
    row = row_of(message("m", 2, text="early"), message("m", 9, text="late"))
    assert (row["messages"], row["last_activity_at"]) == (1, at(2))
    assert row["version"] == version(facts=2, closed=0)


def test_of_two_contents_at_one_time_the_smaller_digest_counts() -> None:
    contents = {f"channel {n}": started(channel=f"channel {n}") for n in range(30)}
    smallest = min(contents, key=lambda name: xxhash.xxh3_128_digest(contents[name]))
    assert row_of(*contents.values())["channel"] == smallest


def test_the_earlier_content_counts_only_when_it_is_behind_the_cut() -> None:
    row = row_of(message("m", 2), erased(3), message("m", 9))
    assert (row["last_activity_at"], row["version"]) == (at(9), version(facts=1, closed=0, erasures=1))


def test_events_of_one_time_are_ordered_by_seq_and_then_by_the_bytes_of_the_id() -> None:
    assert row_of(updated("a", 0, seq=2, channel="two"), updated("b", 0, seq=1, channel="one"))["channel"] == "two"
    assert row_of(updated("b", 0, channel="none"), updated("a", 0, seq=1, channel="one"))["channel"] == "one"
    # UTF-16 would put the first of these two ids, U+FF5E, after the second, U+1F600.
    assert (
        row_of(updated("\uff5e", 0, channel="bmp"), updated("\U0001f600", 0, channel="astral"))["channel"] == "astral"
    )


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("2026-11-01T12:00:00.0019Z", NOON + 1, id="finer than milliseconds is cut"),
        pytest.param("2026-11-01T13:00:00+01:00", NOON, id="east of Greenwich"),
        pytest.param("2026-11-01T07:00:00.250-05:00", NOON + 250, id="west of Greenwich"),
        pytest.param(NOON + 0.9, NOON, id="a float is cut"),
    ],
)
def test_a_time_is_whole_milliseconds_of_utc(written: str | float, expected: int) -> None:
    assert row_of(message("m", 0, at=written))["started_at"] == expected


# When there is a row, and whose.


def test_labels_alone_give_no_row() -> None:
    assert rows([event("l", "label.set", 0, label="positive")], RULES, NOON) == {}


def test_a_reported_fallback_alone_gives_a_row_without_activity() -> None:
    row = row_of(event("f", "message.fallback", 3))
    assert (row["started_at"], row["last_activity_at"], row["messages"]) == (at(3), at(3), 0)


def test_conversations_of_two_assistants_with_one_id_are_two() -> None:
    lines = [message("m", 0), message("m", 0).replace(b"shop", b"desk")]
    assert set(rows(lines, RULES, None)) == {("shop", "c"), ("desk", "c")}


def test_an_event_without_assistant_belongs_to_the_default_one() -> None:
    line = message("m", 0, assistant=None)
    assert set(rows([line], RULES, None, "fallback-desk")) == {("fallback-desk", "c")}
    with pytest.raises(ValueError, match="no assistant"):
        rows([line], RULES, None)


def test_the_rules_of_an_assistant_replace_the_default_ones_key_by_key() -> None:
    question = message("m", 0, text="What is the price", intent={"name": "nlu_fallback"})
    default, patient = row_of(question), row_of(question, message("n", 1, text="what is price"), assistant="patient")
    assert (default["closes_at"], default["fallbacks"]) == (at(60), 1)
    assert (patient["closes_at"], patient["fallbacks"]) == (at(1 + 240.5), 0)
    assert patient["queries"] == 2, "without English stop words 'the' tells the two apart"


def test_a_table_of_languages_is_replaced_language_by_language() -> None:
    asked = message("m", 0, text="price"), message("n", 1, text="ist price")
    assert row_of(*asked, assistant="patient")["queries"] == 1, "the German stop words are still in force"


# Sessions, times.


def test_a_conversation_opens_on_the_utc_day_of_its_earliest_event() -> None:
    row = row_of(message("m", 0, at="2026-11-02T00:30:00+01:00"), message("n", 0, at="2026-11-02T00:10:00Z"))
    assert row["opened_on"] == date(2026, 11, 1)


def test_system_messages_and_agents_differ_in_what_keeps_a_conversation_alive() -> None:
    assert row_of(started(), message("m", 30, role="system"))["last_activity_at"] == at(0)
    assert row_of(started(), message("m", 30, role="agent"))["last_activity_at"] == at(30)


def test_a_silent_conversation_closes_when_the_clock_reaches_its_gap() -> None:
    facts = [started(), message("m", 10)]
    before, due = row_of(*facts, clock=69.999), row_of(*facts, clock=70)
    assert (before["closed"], before["close_reason"], before["ended_at"], before["duration_ms"]) == (
        False,
        "",
        None,
        None,
    )
    assert (due["closed"], due["close_reason"], due["ended_at"]) == (True, "idle", at(10))
    assert (due["duration_ms"], due["version"]) == (10 * MINUTE, version(facts=2, closed=1))


def test_without_a_clock_only_an_announced_end_closes() -> None:
    assert row_of(message("m", 0))["closed"] is False
    assert row_of(message("m", 0), ended(1))["close_reason"] == "ended"


def test_the_earliest_end_after_the_last_user_message_counts() -> None:
    row = row_of(message("m", 10), ended(9, event_id="e0"), ended(12, event_id="e2"), ended(11, event_id="e1"))
    assert (row["ended_at"], row["close_reason"]) == (at(11), "ended")


def test_an_end_of_the_same_millisecond_as_the_last_user_message_counts() -> None:
    row = row_of(message("m", 10, seq=2), event("e", "conversation.ended", 10, seq=1))
    assert (row["ended_at"], row["reopened"]) == (at(10), 0)


def test_a_goodbye_of_the_assistant_after_the_end_changes_only_the_last_activity() -> None:
    row = row_of(message("m", 10), ended(11), message("n", 12, role="assistant"))
    assert (row["ended_at"], row["last_activity_at"], row["reopened"]) == (at(11), at(12), 0)


def test_an_assistants_message_a_gap_after_the_end_begins_a_session_that_closes_idle() -> None:
    row = row_of(message("m", 10), ended(11), message("n", 70, role="assistant"), clock=200)
    assert (row["close_reason"], row["ended_at"], row["reopened"]) == ("idle", at(70), 1)


def test_an_end_that_comes_when_the_gap_is_over_is_too_late() -> None:
    assert row_of(message("m", 0), ended(59.999), clock=60)["close_reason"] == "ended"
    assert row_of(message("m", 0), ended(60), clock=60)["close_reason"] == "idle"


def test_an_end_without_any_activity_counts_from_the_start() -> None:
    row = row_of(started(), ended(5))
    assert (row["ended_at"], row["duration_ms"], row["reopened"]) == (at(5), 5 * MINUTE, 0)
    assert row_of(started(), ended(60), clock=60)["close_reason"] == "idle"


def test_a_user_who_writes_after_the_end_reopens_the_conversation() -> None:
    row = row_of(message("m", 10), ended(11), message("n", 12))
    assert (row["closed"], row["reopened"]) == (False, 1)
    assert row_of(message("m", 10), ended(11), message("n", 12), ended(13, event_id="e2"))["ended_at"] == at(13)


def test_what_the_assistant_says_after_the_end_does_not_keep_the_user_from_reopening() -> None:
    row = row_of(message("m", 10), ended(11), message("n", 12, role="assistant"), message("o", 13))
    assert (row["closed"], row["reopened"]) == (False, 1)


def test_an_end_of_the_millisecond_of_a_user_message_comes_after_it() -> None:
    assert row_of(message("m", 10), ended(10), message("n", 12))["reopened"] == 1
    row = row_of(message("m", 10), ended(12), message("n", 12))
    assert (row["ended_at"], row["reopened"]) == (at(12), 0)


def test_an_end_reopens_once_and_not_again_with_every_later_message() -> None:
    assert row_of(message("m", 10), ended(11), message("n", 12), message("o", 13))["reopened"] == 1


def test_a_user_whose_first_message_follows_an_end_reopens_what_the_assistant_began() -> None:
    greeted = message("g", 0, role="assistant")
    assert row_of(greeted, ended(1), message("m", 2))["reopened"] == 1
    assert row_of(started(), ended(1), message("m", 2))["reopened"] == 0, "the first activity of all only begins"


def test_a_message_at_least_a_gap_after_the_one_before_begins_a_session() -> None:
    assert row_of(message("m", 0), message("n", 59.999))["reopened"] == 0
    assert row_of(message("m", 0), message("n", 60), message("o", 120, role="agent"))["reopened"] == 2


def test_an_end_and_a_gap_between_two_messages_are_one_reopening() -> None:
    assert row_of(message("m", 0), ended(1), message("n", 90))["reopened"] == 1


def test_a_late_message_in_the_middle_takes_a_reopening_back() -> None:
    far = [message("m", 0), message("n", 90)]
    assert row_of(*far)["reopened"] == 1
    assert row_of(*far, message("o", 45))["reopened"] == 0


# Counts.


def test_messages_are_those_of_user_and_assistant_and_agents_are_counted_apart() -> None:
    roles = ["user", "user", "assistant", "agent", "agent", "agent", "system"]
    row = row_of(*[message(f"m{n}", n, role=role) for n, role in enumerate(roles)])
    assert (row["messages"], row["user_messages"], row["agent_messages"]) == (3, 2, 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("Where is my parcel?", 1, id="a question"),
        pytest.param("cancel order 17", 1, id="a request"),
        pytest.param("", 1, id="without text, such as a picture"),
        pytest.param(None, 1, id="null is without text"),
        pytest.param("   ", 0, id="blank text has no word"),
        pytest.param("?!\U0001f44d", 0, id="signs and an emoji are no words"),
        pytest.param("/greet", 0, id="a button"),
        pytest.param('/inform{"size": "M",\n"colour": "blue"}', 0, id="a button with values"),
        pytest.param(" /greet ", 0, id="a button with space around"),
        pytest.param("/greet me", 1, id="more than a button"),
        pytest.param("see /greet", 1, id="a button's name within a text"),
        pytest.param("Hi!", 0, id="a greeting"),
        pytest.param("hi... HOLA, Que\u0301 tal", 0, id="greetings of two languages, accent apart from its letter"),
        pytest.param("Thanks a lot", 0, id="the longest phrase is taken"),
        pytest.param("thanks a hi", 0, id="a shorter one where the longer does not fit"),
        pytest.param("hi where is it", 1, id="a greeting and a question"),
    ],
)
def test_what_is_a_question(text: str | None, expected: int) -> None:
    assert row_of(message("m", 0, text=text))["queries"] == expected


def test_the_runtime_knows_better_what_is_a_question() -> None:
    assert row_of(message("m", 0, text="hi", is_question=True))["queries"] == 1
    assert row_of(message("m", 0, text="Where is it?", is_question=False))["queries"] == 0
    assert row_of(message("m", 0, is_question=False))["queries"] == 0


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        pytest.param(["Where is my order?", "where is the ORDER"], 1, id="stop words, case and signs do not matter"),
        pytest.param(["order where", "where: order"], 1, id="nor does the order of words"),
        pytest.param(["where's it", "wheres it", "where\u2019s it", "where\u02bcs it"], 1, id="nor apostrophes"),
        pytest.param(["don't refund", "refund"], 1, id="a stop word is folded like any other"),
        pytest.param(["\uff33\uff49\uff5a\uff45 10", "size 10"], 1, id="nor wide letters"),
        pytest.param(["STRASSE 1", "straße 1"], 1, id="nor the sharp s"),
        pytest.param(["ist der Preis", "Preis"], 1, id="stop words of every language go"),
        pytest.param(["the", "The.", "is the"], 2, id="stop words stay where nothing else is left"),
        pytest.param(["refund refund", "refund"], 2, id="a word said twice is said twice"),
        pytest.param(["size-10", "size 10", "size10"], 2, id="what is no letter separates"),
        pytest.param(["", None], 2, id="messages without text each stand for themselves"),
    ],
)
def test_questions_that_are_one(texts: list[str | None], expected: int) -> None:
    assert row_of(*[message(f"m{n}", n, text=text) for n, text in enumerate(texts)])["queries"] == expected


def test_a_question_without_a_word_is_known_by_its_id() -> None:
    assert row_of(*[message(f"m{n}", n, text="???", is_question=True) for n in range(3)])["queries"] == 3


def test_words_are_runs_of_letters_marks_and_digits() -> None:
    assert words("L'\u00e9t\u00e9\u2014n\u00b05, \u0915\u094d\u0937_x \u2460") == [
        "l\u00e9t\u00e9",
        "n",
        "5",
        "\u0915\u094d\u0937",
        "x",
        "1",
    ]


# Who, where, what.


def test_the_latest_that_is_said_counts_and_null_and_empty_say_nothing() -> None:
    row = row_of(
        started(channel="web", language="en", user={"id": "u"}),
        updated("p", 1, channel=None, language="", user={"id": ""}),
        updated("q", -1, channel="voice"),
    )
    assert (row["channel"], row["language"], row["user_id"]) == ("web", "en", "u")


def test_the_location_of_an_event_goes_before_its_country() -> None:
    assert row_of(started(location="Lyon", country="FR"))["location"] == "Lyon"
    assert row_of(started(location="Lyon"), updated("p", 1, country="FR"))["location"] == "FR"


def test_language_and_topic_may_be_said_by_a_message_of_any_role_and_by_nothing_else() -> None:
    row = row_of(started(language="en", topic="orders"), message("m", 1, role="system", language="fr", topic="returns"))
    assert (row["language"], row["topic"]) == ("fr", "returns")
    assert (
        row_of(started(), event("r", "conversation.rated", 1, rating=1, language="de", channel="web"))["channel"] == ""
    )


@pytest.mark.parametrize(
    ("users", "expected"),
    [
        pytest.param([{"id": "A", "name": "Ada"}], ("A", "Ada"), id="both at once"),
        pytest.param([{"name": "Ada"}, {"id": "A"}], ("A", "Ada"), id="a name before any id is the first one's"),
        pytest.param([{"name": "Ada"}, {"id": "A"}, {"id": "B"}], ("B", ""), id="and not the second one's"),
        pytest.param([{"id": "A"}, {"name": "Ada"}], ("A", "Ada"), id="a name alone is the one's in force"),
        pytest.param([{"id": "A", "name": "Ada"}, {"id": "B", "name": "Bo"}, {"id": "A"}], ("A", "Ada"), id="A B A"),
        pytest.param(
            [{"id": "A", "name": "Ada"}, {"id": "B"}, {"name": "Bo"}, {"id": "A"}], ("A", "Ada"), id="B named"
        ),
        pytest.param([{"id": "A", "name": "Ada"}, {"id": "A", "name": "Ada L."}], ("A", "Ada L."), id="renamed"),
        pytest.param([{"name": "Ada"}, {"name": "Bo"}], ("", "Bo"), id="no id at all"),
        pytest.param([{"id": "A", "name": "Ada"}, {}, {"name": None}], ("A", "Ada"), id="nothing said changes nothing"),
    ],
)
def test_a_name_belongs_to_the_user_it_was_said_of(users: list[dict[str, Any]], expected: tuple[str, str]) -> None:
    row = row_of(*[updated(f"p{n}", n, user=user) for n, user in enumerate(users)])
    assert (row["user_id"], row["user_name"]) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param([("orders", "delay")], "delay", id="both at once"),
        pytest.param([("orders", "delay"), ("returns", "")], "", id="the topic changed"),
        pytest.param([("orders", "delay"), ("orders", "")], "delay", id="the same topic again"),
        pytest.param([("orders", "delay"), ("returns", ""), ("orders", "")], "", id="there and back"),
        pytest.param([("", "delay"), ("orders", "")], "", id="the first topic is a change too"),
        pytest.param([("", "delay")], "delay", id="no topic"),
        pytest.param([("orders", ""), ("", "delay"), ("returns", "label")], "label", id="topic first, then subtopic"),
    ],
)
def test_a_subtopic_lasts_as_long_as_its_topic(said: list[tuple[str, str]], expected: str) -> None:
    parts = [updated(f"p{n}", n, topic=topic, subtopic=within) for n, (topic, within) in enumerate(said)]
    assert row_of(*parts)["subtopic"] == expected


def test_a_device_that_is_said_goes_before_any_user_agent() -> None:
    phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Version/17.0 Mobile/15E148"
    assert row_of(started(device="kiosk"), updated("p", 1, user_agent=phone))["device"] == "kiosk"
    assert row_of(started(user_agent="curl/8.4.0"), updated("p", 1, user_agent=phone))["device"] == "mobile"
    assert row_of(started(user_agent=phone), updated("p", 1, user_agent="curl/8.4.0"))["device"] == ""


KIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "expected"),
    [
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {KIT} Chrome/124.0 Safari/537.36", "desktop"),
        (f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {KIT} Chrome/124.0 Safari/537.36", "desktop"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0", "desktop"),
        (f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {KIT} Chrome/124.0 Mobile Safari/537.36", "mobile"),
        (f"Mozilla/5.0 (Linux; Android 13; SM-X710) {KIT} Chrome/124.0 Safari/537.36", "tablet"),
        (f"Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) {KIT} Version/16.6 Mobile/15E148 Safari/604.1", "tablet"),
        (f"Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) {KIT} Version/6.0 TV Safari/538.1", "tv"),
        (f"Mozilla/5.0 (Web0S; Linux/SmartTV) {KIT} Chrome/79.0 Safari/537.36", "tv"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "bot"),
        ("a browser of one's own", ""),
    ],
)
def test_the_class_of_a_user_agent(user_agent: str, expected: str) -> None:
    assert device_class(user_agent) == expected


def test_attributes_are_merged_key_by_key_and_written_as_text() -> None:
    row = row_of(
        started(attributes={"tier": "gold", "trial": True, "basket": 3, "total": 19.5, "note": "old"}),
        updated("p", 1, attributes={"tier": None, "note": "", "trial": False, "coupon": "a=b"}),
        updated("q", 2, attributes=None),
    )
    expected = {"tier": "gold", "trial": "false", "basket": "3", "total": "19.5", "note": "old", "coupon": "a=b"}
    assert row["attributes"] == expected


def test_rating_and_comment_are_each_the_latest_said() -> None:
    first = event("r1", "conversation.rated", 1, rating=5, comment="quick")
    second = event("r2", "conversation.rated", 2, rating=2)
    row = row_of(message("m", 0), second, first)
    assert (row["rating"], row["feedback"], row["has_feedback"]) == (2, "quick", True)
    unrated = row_of(message("m", 0), event("r", "conversation.rated", 1, rating=4, comment=""))
    assert (unrated["rating"], unrated["feedback"], unrated["has_feedback"]) == (4, "", False)


def test_nobody_said_a_language_and_the_first_user_messages_tell_it() -> None:
    spanish = message("m", 0, text="Hola, necesito cambiar la dirección de entrega de mi pedido")
    assert row_of(spanish, message("n", 1, role="assistant", text="Where should it go?"))["language"] == "es"
    assert row_of(spanish, updated("p", 1, language="ca"))["language"] == "ca"


def test_fewer_than_twelve_letters_tell_no_language() -> None:
    assert row_of(message("m", 0, text="Wo ist mein X? 12345"))["language"] == "", "ten letters"
    assert row_of(message("m", 0, text="Wo ist mein"), message("n", 1, text="Hut?"))["language"] != "", "twelve"


def test_the_detector_reads_no_further_than_eighty_letters_or_five_texts() -> None:
    german = "Guten Tag, ich möchte gerne wissen, wann meine Bestellung bei mir zu Hause ankommen wird, bitte sehr"
    english = "And now for something completely different: " * 20
    assert row_of(message("m", 0, text=german), message("n", 1, text=english))["language"] == "de"
    short = [message(f"m{n}", n, text="ja") for n in range(5)]
    assert row_of(*short, message("n", 9, text=english))["language"] == "", "ten letters in five texts"


def test_who_escalates_and_who_claims() -> None:
    def of(*facts: bytes) -> tuple[object, ...]:
        row = row_of(started(), *facts)
        return row["escalated"], row["claimed"], row["assigned_to"], row["team"]

    def assigned(event_id: str, minute: float, **fields: str) -> bytes:
        return event(event_id, "conversation.assigned", minute, **fields)

    assert of(event("h", "conversation.escalated", 1, to="returns")) == (True, False, "", "")
    assert of(message("m", 1, role="agent")) == (True, True, "", "")
    assert of(assigned("a", 1, team="returns")) == (False, False, "", "returns")
    assert of(assigned("a", 1, assigned_to="kim", team="returns"), assigned("b", 2)) == (False, True, "", "")
    assert of(assigned("a", 1, assigned_to="kim", team="x"), assigned("b", 2, assigned_to="lee")) == (
        False,
        True,
        "lee",
        "",
    )


# Fallbacks.


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        pytest.param(
            event("f", "message.fallback", 1, reason="error", confidence=0.1), ("reported", "error", 0.1), id="reported"
        ),
        pytest.param(event("f", "message.fallback", 1), ("reported", "other", None), id="reported without reason"),
        pytest.param(message("f", 1, fallback=True, confidence=0.9), ("flagged", "other", 0.9), id="flagged"),
        pytest.param(message("f", 1, role="system", fallback=True), ("flagged", "other", None), id="flagged, any role"),
        pytest.param(message("f", 1, fallback=False), None, id="flagged as none"),
        pytest.param(
            message("f", 1, intent={"name": "nlu_fallback", "confidence": 0.2}, confidence=0.8),
            ("intent", "not_understood", 0.2),
            id="intent",
        ),
        pytest.param(message("f", 1, intent={"name": "NLU_fallback"}), None, id="another intent"),
        pytest.param(
            message("f", 1, role="assistant", confidence=0.29), ("low_confidence", "low_confidence", 0.29), id="unsure"
        ),
        pytest.param(message("f", 1, role="assistant", confidence=0.3), None, id="sure enough"),
        pytest.param(message("f", 1, role="user", confidence=0.1), None, id="the user may be unsure"),
        pytest.param(message("f", 1, role="assistant", sources=0), ("no_sources", "no_knowledge", None), id="zero"),
        pytest.param(message("f", 1, role="assistant", sources=1), None, id="founded"),
        pytest.param(message("f", 1, role="agent", sources=0), None, id="an agent needs no source"),
        pytest.param(
            message("f", 1, role="assistant", text="Hm. I\u2019m NOT sure I understood - sorry!", confidence=0.5),
            ("pattern", "not_understood", 0.5),
            id="pattern",
        ),
        pytest.param(
            message("f", 1, role="assistant", language="en", text="Das habe ich leider nicht verstanden."),
            ("pattern", "not_understood", None),
            id="pattern of any language",
        ),
        pytest.param(
            message("f", 1, role="assistant", text="I'm not sure I understoodest"), None, id="whole words only"
        ),
        pytest.param(
            message("f", 1, role="assistant", text="I'm not so sure I understood"), None, id="words in a row only"
        ),
        pytest.param(message("f", 1, role="user", text="I'm not sure I understood"), None, id="the user may say it"),
    ],
)  # fmt: skip
def test_what_is_tagged_as_a_fallback(fact: bytes, expected: tuple[str, str, float | None] | None) -> None:
    row = row_of(started(), fact)
    assert row["fallback_causes"] == ([("f", *expected)] if expected else [])
    assert row["fallbacks"] == (1 if expected else 0)


def test_a_message_is_one_fallback_whatever_tags_it_and_the_causes_stand_in_order() -> None:
    everything = message(
        "m", 5, role="assistant", text="I'm not sure I understood", fallback=True, confidence=0.1, sources=0,
        intent={"name": "nlu_fallback"},
    )  # fmt: skip
    row = row_of(event("f", "message.fallback", 4, message_id="m"), event("g", "message.fallback", 6), everything)
    causes = row["fallback_causes"]
    assert isinstance(causes, list)
    assert row["fallbacks"] == 2
    assert [cause[:2] for cause in causes] == [
        ("f", "reported"),
        ("m", "flagged"),
        ("m", "intent"),
        ("m", "low_confidence"),
        ("m", "no_sources"),
        ("m", "pattern"),
        ("g", "reported"),
    ]


def test_the_first_fifty_causes_stand_in_the_row_and_every_fallback_is_counted() -> None:
    twice = [message(f"m{n:02}", 59 - n, role="assistant", fallback=True, sources=0) for n in range(60)]
    row = row_of(*twice)
    causes = row["fallback_causes"]
    assert isinstance(causes, list)
    assert (row["fallbacks"], len(causes)) == (60, 50)
    assert (causes[0][0], causes[-1][:2]) == ("m59", ("m35", "no_sources"))


# Labels.


def label(event_id: str, minute: float, value: str = "negative", **fields: Any) -> bytes:
    return event(event_id, "label.set", minute, label=value, **fields)


def test_the_latest_label_counts_with_all_it_says_and_nothing_of_the_one_before() -> None:
    first = label("l1", 1, reason="wrong price", by="kim", correction="It is 20.")
    row = row_of(message("m", 0), label("l2", 2, "positive", by="lee"), first)
    said = [row[name] for name in ("label", "correction", "label_id", "labelled_by", "labelled_at", "label_reason")]
    assert said == ["positive", "", "l2", "lee", at(2), ""]


def test_a_cleared_label_says_who_and_why_and_is_never_stale() -> None:
    cleared = event("l2", "label.cleared", 2, by="lee", reason="wrong conversation", seen_messages=0)
    row = row_of(message("m", 0), label("l1", 1, correction="It is 20."), cleared, message("n", 3))
    said = [row[name] for name in ("label", "correction", "label_id", "labelled_by", "labelled_at", "label_reason")]
    assert said == ["", "", "l2", "lee", at(2), "wrong conversation"]
    assert row["label_stale"] is False


def test_without_a_label_its_time_is_null() -> None:
    row = row_of(message("m", 0))
    assert (row["label"], row["label_id"], row["labelled_at"], row["label_stale"]) == ("", "", None, False)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param([label("l", 5)], False, id="given after the last message"),
        pytest.param([label("l", 5), message("n", 6, role="assistant")], True, id="a message came later"),
        pytest.param([label("l", 5), message("n", 5)], False, id="at the same time is not later"),
        pytest.param([label("l", 5), message("n", 6, role="agent")], False, id="an agent's message does not count"),
        pytest.param([label("l", 5, seen_messages=1)], False, id="all were seen"),
        pytest.param([label("l", 5, seen_messages=1), message("n", 3)], True, id="an earlier one arrived unseen"),
        pytest.param([label("l", 5, seen_messages=2), message("n", 6)], False, id="seen, though the clocks disagree"),
        pytest.param([label("l", 5, seen_messages=0)], True, id="none was seen"),
        pytest.param([label("l", 5, seen_messages=None), message("n", 6)], True, id="null is no number"),
        pytest.param([label("l", -5)], True, id="given before the conversation"),
    ],
)
def test_when_a_label_is_stale(facts: list[bytes], expected: bool) -> None:
    assert row_of(message("m", 0), *facts)["label_stale"] is expected


# The row.


def test_a_row_has_the_columns_of_the_contract_and_a_json_form() -> None:
    row = row_of(message("m", 0, at="2026-11-01T12:00:00.250Z", fallback=True), ended(1))
    written = json.loads(json.dumps(as_json(row)))
    assert set(written) == COLUMNS
    assert (written["opened_on"], written["started_at"]) == ("2026-11-01", "2026-11-01T12:00:00.250Z")
    assert (written["ended_at"], written["labelled_at"]) == ("2026-11-01T12:01:00.000Z", None)
    assert written["fallback_causes"] == [["m", "flagged", "other", None]]


def test_a_blank_row_has_the_same_columns() -> None:
    assert set(row_of(erased(0))) == set(row_of(message("m", 0)))
