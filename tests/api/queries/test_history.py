"""A conversation whole: read from its facts as the fold reads them."""

import random
from collections.abc import Sequence
from typing import Any

import pytest
from xxhash import xxh3_128_hexdigest

from api.queries.history import FlowItem, FlowKind, History, conversation, history_of
from processors.conversation import Conversation
from processors.projection import project
from schemas.conversation import ConversationRow, RowColumns
from schemas.facts import FactColumns
from sinks.clickhouse_queries import ClickHouseQueries
from sinks.clickhouse_writer import ClickHouseWriter
from sinks.connection import Database
from tests.builders import AT, DAY, HOUR, MINUTE, SECOND, Event, event, line
from tests.processors.folding import RULES, fact, whole

GAP = 4 * HOUR


def _folded(events: Sequence[Event], clock: int | None = None) -> tuple[Conversation, RowColumns]:
    conversation = whole([fact(line(one)) for one in events], (events[0]["assistant"], events[0]["conversation_id"]))
    return conversation, project([conversation], {} if clock is None else {0: clock}, RULES.revision, 0).rows


def _history(*events: Event, clock: int | None = None) -> History:
    """Fold these events into their row, and read their history, in any order and with copies."""
    _, rows = _folded(events, clock)
    live = rows.columns["is_deleted"].index(False)
    columns = {name: column[live] for name, column in rows.columns.items()}
    columns["attributes"] = dict(columns["attributes"] or [])
    names = ("event_id", "rule", "reason", "confidence")
    columns["fallback_causes"] = [dict(zip(names, one, strict=True)) for one in columns["fallback_causes"] or []]
    row = ConversationRow.model_validate({**columns, "opened_on": columns["opened_on"] * 86_400})
    stored = [(payload.decode(), xxh3_128_hexdigest(payload)) for payload in map(line, events)]
    shuffled = [*stored, *stored[:3]]
    random.Random(3).shuffle(shuffled)
    assert history_of(row, shuffled) == history_of(row, stored)
    return history_of(row, stored)


def said(at: int, role: str = "user", **fields: Any) -> Event:
    return event("message.sent", at=AT + at, role=role, **fields)


def _kinds(history: History) -> list[str]:
    return [str(one.kind) for one in history.flow]


def _only(history: History, kind: FlowKind) -> FlowItem:
    (item,) = [one for one in history.flow if one.kind is kind]
    return item


def _ms(item: FlowItem) -> int:
    return round(item.at.timestamp() * 1_000) - AT


def test_messages_come_in_order_with_all_that_was_said_of_them() -> None:
    history = _history(
        said(SECOND, "assistant", id="b", text="Hm.", confidence=0.5, sources=2, topic="returns", subtopic="refund"),
        said(0, id="a", text="Hi", language="en", intent={"name": "greet", "confidence": 0.9}, is_question=False),
        said(SECOND, "assistant", id="z", text="late", seq=1),
        said(SECOND, "system", id="c"),
    )
    assert [one.id for one in history.messages] == ["a", "b", "c", "z"]
    first, second, third, _ = history.messages
    assert (first.text, first.language, first.intent, first.intent_confidence) == ("Hi", "en", "greet", 0.9)
    assert first.is_question is False
    assert (second.role, second.confidence, second.sources) == ("assistant", 0.5, 2)
    assert (second.topic, second.subtopic) == ("returns", "refund")
    assert (third.role, third.text, third.intent, third.confidence, third.sources) == ("system", "", "", None, None)
    assert [one.message for one in history.flow] == history.messages


def test_facts_before_an_erasure_do_not_count() -> None:
    history = _history(
        said(0, id="gone"),
        event("label.set", at=AT + 1, id="gone too"),
        event("conversation.erased", at=AT + 1),
        said(2, id="stays"),
    )
    assert [one.id for one in history.messages] == ["stays"]
    assert history.labels == []
    assert _kinds(history) == ["message"]


def test_of_two_contents_of_one_id_the_smaller_counts() -> None:
    first, second = said(0, id="a", text="first"), said(0, id="a", text="second")
    expected = min((xxh3_128_hexdigest(line(one)), one["text"]) for one in (first, second))[1]
    assert [one.text for one in _history(first, second).messages] == [expected]
    assert [one.text for one in _history(said(5, id="a", text="later"), first).messages] == ["first"]


def test_a_fallback_stands_at_its_message_with_every_cause() -> None:
    history = _history(
        said(0, "assistant", id="a", text="I did not understand.", fallback=True, confidence=0.1),
        event("message.fallback", at=AT + 5, id="f", message_id="a", reason="no_knowledge", confidence=0.2),
        event("message.fallback", at=AT + 6, id="alone"),
        said(7, id="fine", text="ok"),
    )
    answer, fine = history.messages
    assert [one.rule for one in answer.fallbacks] == ["flagged", "low_confidence", "pattern", "reported"]
    assert answer.fallbacks[-1].model_dump() == {
        "event_id": "f",
        "rule": "reported",
        "reason": "no_knowledge",
        "confidence": 0.2,
    }
    assert fine.fallbacks == []
    lone = _only(history, FlowKind.FALLBACK)
    assert lone.cause is not None
    assert (lone.id, lone.cause.reason) == ("alone", "other")


def test_silence_a_close_for_it_and_the_reopening_stand_between_the_messages() -> None:
    history = _history(said(0), said(MINUTE, "assistant"), said(MINUTE + 5 * HOUR), clock=AT + 20 * HOUR)
    assert _kinds(history) == ["message", "message", "silence", "closed", "reopened", "message", "closed"]
    pause, closed, reopened = history.flow[2:5]
    assert (pause.milliseconds, pause.until) == (5 * HOUR, history.messages[2].at)
    assert (_ms(closed), closed.reason) == (MINUTE + GAP, "idle")
    assert reopened.at == history.messages[2].at
    assert (_ms(history.flow[-1]), history.flow[-1].reason) == (MINUTE + 5 * HOUR + GAP, "idle")
    assert history.row.reopened == 1


def test_a_pause_shorter_than_half_an_hour_is_none() -> None:
    assert _kinds(_history(said(0), said(30 * MINUTE - 1), said(60 * MINUTE - 1))) == [
        "message",
        "message",
        "silence",
        "message",
    ]


def test_an_announced_end_closes_and_the_user_reopens() -> None:
    history = _history(
        said(0),
        event("conversation.ended", at=AT + MINUTE, reason="solved"),
        said(MINUTE, "assistant", text="Bye"),
        said(2 * MINUTE),
        event("conversation.ended", at=AT + 3 * MINUTE),
    )
    assert _kinds(history) == ["message", "ended", "closed", "message", "reopened", "message", "ended", "closed"]
    assert _only(history, FlowKind.REOPENED).at == history.messages[2].at
    assert [(_ms(one), one.reason) for one in history.flow if one.kind is FlowKind.CLOSED] == [
        (MINUTE, "ended"),
        (3 * MINUTE, "ended"),
    ]
    assert history.row.reopened == 1


def test_what_happened_within_a_silence_stands_there_in_its_order() -> None:
    history = _history(
        said(0),
        event("conversation.rated", at=AT + HOUR, rating=2, comment="slow"),
        event("label.set", at=AT + 6 * HOUR, label="negative"),
        said(7 * HOUR),
    )
    assert _kinds(history) == ["message", "silence", "rated", "closed", "labelled", "reopened", "message"]


def test_as_many_reopenings_as_the_row_counts() -> None:
    made = random.Random(5)
    for _ in range(300):
        events = [
            made.choice(
                (
                    said(at, made.choice(("user", "assistant", "agent", "system"))),
                    event("conversation.ended", at=AT + at),
                    event("conversation.updated", at=AT + at),
                )
            )
            for at in sorted(made.choices(range(0, 20 * HOUR, HOUR), k=made.randrange(1, 9)))
        ]
        events.append(said(made.randrange(20) * HOUR))
        history = _history(*events, clock=made.choice((None, AT + DAY * 3)))
        kinds = [one.kind for one in history.flow]
        assert kinds.count(FlowKind.REOPENED) == history.row.reopened
        assert kinds.count(FlowKind.CLOSED) == history.row.reopened + history.row.closed
        turns = [one for one in kinds if one in (FlowKind.CLOSED, FlowKind.REOPENED)]
        assert turns == [FlowKind.CLOSED, FlowKind.REOPENED] * history.row.reopened + [FlowKind.CLOSED] * (
            history.row.closed
        )


def test_what_the_stream_did_keeps_its_words() -> None:
    history = _history(
        said(0),
        event("conversation.escalated", at=AT + 1, to="returns", reason="angry"),
        event("conversation.assigned", at=AT + 2, assigned_to="agent 7", team="returns"),
        event("conversation.assigned", at=AT + 3),
        event("conversation.rated", at=AT + 4, rating=2, comment="took two tries"),
    )
    _, escalated, assigned, cleared, rated = history.flow
    assert (escalated.kind, escalated.to, escalated.reason) == ("escalated", "returns", "angry")
    assert (assigned.kind, assigned.assigned_to, assigned.team) == ("assigned", "agent 7", "returns")
    assert (cleared.kind, cleared.assigned_to, cleared.team) == ("assigned", "", "")
    assert (rated.kind, rated.rating, rated.comment) == ("rated", 2, "took two tries")


def test_labels_come_newest_first_and_the_one_that_counts_is_marked() -> None:
    history = _history(
        said(0, id="m"),
        event("label.set", at=AT + 1, id="one", label="positive", by="ana"),
        event("label.cleared", at=AT + 2, id="two", by="ana", reason="a mistake"),
        event(
            "label.set",
            at=AT + 3,
            id="three",
            label="negative",
            by="bo",
            reason="wrong",
            correction="It was sent on Friday.",
            message_id="m",
            seen_messages=1,
        ),
    )
    newest, cleared, oldest = history.labels
    assert [one.id for one in history.labels] == ["three", "two", "one"]
    assert [one.current for one in history.labels] == [True, False, False]
    assert (newest.type, newest.label, newest.by, newest.reason) == ("label.set", "negative", "bo", "wrong")
    assert (newest.correction, newest.message_id, newest.seen_messages) == ("It was sent on Friday.", "m", 1)
    assert (cleared.type, cleared.label, cleared.reason) == ("label.cleared", "", "a mistake")
    assert oldest.label == "positive"
    assert _kinds(history) == ["message", "labelled", "cleared", "labelled"]
    assert history.flow[-1].current
    assert history.flow[-1].message_id == "m"


def test_a_fact_that_the_contract_does_not_take_any_more_is_left_out() -> None:
    history = _history(said(0, id="a"))
    payload = '{"id": "b", "type": "message.whispered"}'
    again = history_of(history.row, [(line(said(0, id="a")).decode(), "0"), (payload, "1")])
    assert [one.id for one in again.messages] == ["a"]


def _store(database: Database, *events: Event, clock: int | None = None) -> None:
    _, rows = _folded(events, clock)
    payloads = [line(one) for one in events]
    facts = FactColumns(
        assistant=[one["assistant"] for one in events],
        conversation_id=[one["conversation_id"] for one in events],
        id=[one["id"] for one in events],
        digest=[fact(payload).digest for payload in payloads],
        type=[one["type"] for one in events],
        at=[one["at"] for one in events],
        seq=[one.get("seq", 0) for one in events],
        role=[one.get("role", "") for one in events],
        text=[one.get("text", "") for one in events],
        payload=payloads,
        recorded_at=[one["at"] for one in events],
    )
    writer = ClickHouseWriter(database)
    writer.insert_facts(facts)
    writer.insert_rows(rows)
    writer.close()


@pytest.mark.parametrize("conversation_id", ["c-1", "../..", "a/b", "it's \\ {x:String} 会話\n"])
async def test_a_conversation_of_many_messages_is_read_from_the_store(
    database: Database, queries: ClickHouseQueries, conversation_id: str
) -> None:
    texts = [f"“{number}” \\ 'quoted' \t 会話 🙂\n" for number in range(700)]
    events = [
        said(number * MINUTE, "user" if number % 2 else "assistant", text=text, conversation_id=conversation_id)
        for number, text in enumerate(texts)
    ]
    _store(database, *events)
    _store(database, said(0, conversation_id="another"))
    history = await conversation(queries, "shop", conversation_id, None)
    assert history is not None
    assert history.row.conversation_id == conversation_id
    assert history.row.messages == 700
    assert [one.text for one in history.messages] == texts
    assert await conversation(queries, "shop", conversation_id, "shop") == history


async def test_what_is_not_there_and_what_is_not_theirs_look_the_same(
    database: Database, queries: ClickHouseQueries
) -> None:
    _store(database, said(0))
    assert await conversation(queries, "shop", "c-2", None) is None
    assert await conversation(queries, "bank", "c-1", None) is None
    assert await conversation(queries, "shop", "c-1", "bank") is None
    erased = event("conversation.erased", at=AT + DAY)
    _store(database, said(0), erased)
    assert await conversation(queries, "shop", "c-1", None) is None
