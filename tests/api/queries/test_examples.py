"""What a model can be trained on, and how a training job follows."""

import json
from collections.abc import Iterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.problems import Problem
from api.queries import examples as module
from api.queries import keys
from api.queries.examples import ExampleFormat, Examples, Since, next_since
from api.queries.listing import list_page
from api.queries.selection import Selection
from api.queries.sorting import Sort
from schemas.conversation import ConversationRow
from schemas.facts import FactColumns
from sinks.clickhouse_queries import ClickHouseQueries
from sinks.connection import Database
from tests import oracle
from tests.api.told import Told, facts, now_ms
from tests.builders import ABSENT, AT, HOUR, MINUTE, SECOND, Event, event, line
from tests.processors.folding import PLAIN_RULES
from tests.sinks.building import HOSTILE
from tests.strategies import conversations

NOW = datetime(2026, 11, 24, tzinfo=UTC)
OPENAI, PREFERENCE, RAW = ExampleFormat


@pytest.fixture
def told(database: Database) -> Iterator[Told]:
    """Empty tables that are told events."""
    with Told(database) as told:
        yield told


def said(role: str, text: str | None = None, *, after: int = 0, **fields: Any) -> Event:
    """A message, so many seconds after the beginning."""
    return event("message.sent", **{"role": role, "text": text or ABSENT, "at": AT + after * SECOND, **fields})


def labelled(label: str, *, after: int = 100, **fields: Any) -> Event:
    """A label, so many seconds after the beginning."""
    return event("label.set", **{"label": label, "by": "ana", "at": AT + after * SECOND, **fields})


DIALOGUE = (
    said("system", "Be kind.", after=0, id="m-0"),
    said("user", "Where is my parcel?", after=1, id="m-1"),
    said("assistant", "I do not know.", after=2, id="m-2"),
    said("user", "And my refund?", after=3, id="m-3"),
    said("assistant", "Neither.", after=4, id="m-4"),
    said("user", "Thanks for nothing.", after=5, id="m-5"),
)


def chat(*messages: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": role, "content": text} for role, text in messages]


async def exported(queries: ClickHouseQueries, output: ExampleFormat, **asked: Any) -> list[dict[str, Any]]:
    """The lines of a file."""
    as_of, since, only = asked.pop("as_of", None), asked.pop("since", None), asked.pop("only", None)
    by, given_since = asked.pop("by", None), asked.pop("given_since", None)
    selection = Selection(**{"state": "all", **asked})
    lines = Examples(selection, output, only, NOW, as_of, since, by, given_since).lines(queries)
    written = b"".join([piece async for piece in lines])
    return [json.loads(one) for one in written.splitlines()]


async def test_a_positive_conversation_is_an_example_up_to_its_last_answer(
    told: Told, queries: ClickHouseQueries
) -> None:
    told.tell(*DIALOGUE, labelled("positive"))
    assert await exported(queries, OPENAI) == [
        {
            "messages": chat(
                ("system", "Be kind."),
                ("user", "Where is my parcel?"),
                ("assistant", "I do not know."),
                ("user", "And my refund?"),
                ("assistant", "Neither."),
            )
        }
    ]
    assert await exported(queries, PREFERENCE) == []


async def test_a_corrected_conversation_ends_with_the_correction(told: Told, queries: ClickHouseQueries) -> None:
    told.tell(*DIALOGUE, labelled("negative", correction="It was sent on Friday."))
    before = chat(
        ("system", "Be kind."),
        ("user", "Where is my parcel?"),
        ("assistant", "I do not know."),
        ("user", "And my refund?"),
    )
    assert await exported(queries, OPENAI) == [{"messages": [*before, *chat(("assistant", "It was sent on Friday."))]}]
    assert await exported(queries, PREFERENCE) == [
        {
            "input": {"messages": before},
            "preferred_output": chat(("assistant", "It was sent on Friday.")),
            "non_preferred_output": chat(("assistant", "Neither.")),
        }
    ]


async def test_a_correction_is_about_the_message_that_it_names(told: Told, queries: ClickHouseQueries) -> None:
    told.tell(*DIALOGUE, labelled("negative", correction="It comes today.", message_id="m-2"))
    (pair,) = await exported(queries, PREFERENCE)
    assert pair["input"]["messages"] == chat(("system", "Be kind."), ("user", "Where is my parcel?"))
    assert pair["non_preferred_output"] == chat(("assistant", "I do not know."))
    (example,) = await exported(queries, OPENAI)
    assert example["messages"][-1] == {"role": "assistant", "content": "It comes today."}


@pytest.mark.parametrize("message_id", ["m-1", "m-0", "absent"], ids=["a user's", "the system's", "nobody's"])
async def test_a_correction_of_what_is_no_answer_is_no_example(
    told: Told, queries: ClickHouseQueries, message_id: str
) -> None:
    told.tell(*DIALOGUE, labelled("negative", correction="Better.", message_id=message_id))
    assert await exported(queries, OPENAI) == await exported(queries, PREFERENCE) == []
    assert len(await exported(queries, RAW)) == 1


async def test_a_correction_is_about_what_was_said_before_it(told: Told, queries: ClickHouseQueries) -> None:
    told.tell(*DIALOGUE, labelled("negative", correction="It comes today.", after=3))
    (pair,) = await exported(queries, PREFERENCE)
    assert pair["non_preferred_output"] == chat(("assistant", "I do not know."))


async def test_a_human_agents_answers_are_answers(told: Told, queries: ClickHouseQueries) -> None:
    told.tell(
        said("user", "Help!", after=1),
        said("assistant", "Hm.", after=2, id="hm"),
        said("agent", "I can see it.", after=3, id="seen"),
        labelled("positive"),
    )
    assert await exported(queries, OPENAI) == [
        {"messages": chat(("user", "Help!"), ("assistant", "Hm."), ("assistant", "I can see it."))}
    ]
    told.tell(labelled("negative", after=101, correction="We sent it."))
    (pair,) = await exported(queries, PREFERENCE)
    assert pair["non_preferred_output"] == chat(("assistant", "Hm."))
    told.tell(labelled("negative", after=102, correction="We sent it.", message_id="seen"))
    (pair,) = await exported(queries, PREFERENCE)
    assert pair["input"]["messages"] == chat(("user", "Help!"), ("assistant", "Hm."))


async def test_messages_without_text_are_left_out(told: Told, queries: ClickHouseQueries) -> None:
    told.tell(
        said("user", None, after=1),
        said("user", "Help!", after=2),
        said("assistant", " \n", after=3),
        said("assistant", "Yes.", after=4),
        said("assistant", None, after=5),
        labelled("positive"),
    )
    assert await exported(queries, OPENAI) == [{"messages": chat(("user", "Help!"), ("assistant", "Yes."))}]
    told.tell(labelled("negative", after=101, correction="No."))
    assert len(await exported(queries, PREFERENCE)) == 1


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([said("user", "Help!"), labelled("positive")], id="no answer"),
        pytest.param([said("assistant", "Hello!"), labelled("positive")], id="no question"),
        pytest.param([said("assistant", "Hello!"), labelled("negative", correction="Hi")], id="a greeting corrected"),
        pytest.param([said("user", "Help!"), said("assistant", "No."), labelled("negative")], id="no correction"),
        pytest.param(
            [said("user", "Help!"), said("assistant", "No."), labelled("negative", correction=" ")], id="a blank one"
        ),
        pytest.param([said("user", "Help!"), said("assistant", "Yes.")], id="no label"),
        pytest.param(
            [
                said("user", "Help!"),
                said("assistant", "Yes."),
                labelled("positive"),
                event("label.cleared", at=AT + HOUR),
            ],
            id="a label taken back",
        ),
    ],
)
async def test_what_teaches_nothing_is_left_out(told: Told, queries: ClickHouseQueries, events: list[Event]) -> None:
    told.tell(*events)
    assert await exported(queries, OPENAI) == []
    assert await exported(queries, PREFERENCE) == []


async def test_a_correction_that_says_the_same_is_no_preference(told: Told, queries: ClickHouseQueries) -> None:
    told.tell(*DIALOGUE, labelled("negative", correction="Neither."))
    assert await exported(queries, PREFERENCE) == []
    assert len(await exported(queries, OPENAI)) == 1


async def test_raw_is_the_row_the_messages_and_the_label(told: Told, queries: ClickHouseQueries) -> None:
    judgement = labelled("negative", id="l-1", reason="rude", correction="Please wait.", message_id="m-2")
    told.tell(*DIALOGUE, judgement)
    (one,) = await exported(queries, RAW)
    listed = await list_page(queries, Selection(state="all"), Sort.parse("-started_at"), None, 1, None, NOW)  # type: ignore[arg-type]
    assert ConversationRow.model_validate(one["row"]) == listed.items[0]
    assert (one["assistant"], one["conversation_id"]) == ("shop", "c-1")
    assert one["label"] == {
        "id": "l-1",
        "label": "negative",
        "by": "ana",
        "at": "2026-11-09T09:13:40.000Z",
        "reason": "rude",
        "correction": "Please wait.",
        "message_id": "m-2",
    }
    assert [message["id"] for message in one["messages"]] == [f"m-{number}" for number in range(6)]
    assert one["messages"][1] == {
        "id": "m-1",
        "at": "2026-11-09T09:12:01.000Z",
        "role": "user",
        "text": "Where is my parcel?",
    }


async def test_filters_are_those_of_the_list(told: Told, queries: ClickHouseQueries) -> None:
    for name, label, topic in (("a", "positive", "x"), ("b", "negative", "x"), ("c", "negative", "y")):
        told.tell(
            event("conversation.started", conversation_id=name, topic=topic),
            said("user", "Help!", conversation_id=name, after=1),
            said("assistant", "No.", conversation_id=name, after=2, fallback=name != "c"),
            labelled(label, conversation_id=name, correction="Yes."),
        )
    told.tell(said("user", "Help!", assistant="bank", conversation_id="z"))
    told.tell(said("assistant", "No.", assistant="bank", conversation_id="z"))
    told.tell(labelled("positive", assistant="bank", conversation_id="z"))

    async def found(**asked: Any) -> list[str]:
        return [one["conversation_id"] for one in await exported(queries, RAW, **asked)]

    assert await found() == ["z", "a", "b", "c"]  # by assistant and id
    assert await found(section="positive") == ["z", "a"]
    assert await found(section="negative", topic=["x"]) == ["b"]
    assert await found(section="fallback") == ["a", "b"]
    assert await found(state="closed") == []
    assert await found(only="shop") == ["a", "b", "c"]
    assert await found(only="shop", assistant=["bank"]) == []


async def test_labels_of_one_author_since_a_time_can_be_asked_for(told: Told, queries: ClickHouseQueries) -> None:
    for name, by, after in (("a", "ana", 10), ("b", "ben", 20), ("c", "ana", 30)):
        told.tell(
            said("user", "Help!", conversation_id=name, after=1),
            said("assistant", "No.", conversation_id=name, after=2),
            labelled("positive", conversation_id=name, by=by, after=after),
        )
    at = {one["conversation_id"]: one["label"]["at"] for one in await exported(queries, RAW)}

    async def found(**asked: Any) -> list[str]:
        return [one["conversation_id"] for one in await exported(queries, RAW, **asked)]

    assert await found(by="ana") == ["a", "c"]
    assert await found(given_since=datetime.fromisoformat(at["b"])) == ["b", "c"]
    assert await found(by="ana", given_since=datetime.fromisoformat(at["b"])) == ["c"]
    assert await found(by="nobody") == []


async def test_there_are_as_many_lines_as_conversations_however_they_are_divided(
    told: Told, queries: ClickHouseQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PORTION_KEYS", 7)
    monkeypatch.setattr(keys, "PORTION_KEYS", 3)
    names = [f"{one}{number}" for number, one in enumerate(HOSTILE)]
    for name in names:
        told.tell(
            said("user", name, conversation_id=name, after=1),
            said("assistant", "Yes.", conversation_id=name, after=2),
            labelled("positive", conversation_id=name),
        )
    assert [one["conversation_id"] for one in await exported(queries, RAW)] == sorted(names, key=str.encode)
    assert len(await exported(queries, OPENAI, since=Since(0))) == len(names)
    assert await exported(queries, RAW, since=Since(0)) == await exported(queries, RAW)


async def test_a_line_is_one_line_whatever_was_said(told: Told, queries: ClickHouseQueries) -> None:
    text = "one\u2028two\u2029three\nfour\rfive"
    told.tell(said("user", text, after=1), said("assistant", text, after=2), labelled("positive"))
    selection = Selection(state="all")  # type: ignore[arg-type]
    (written,) = [piece async for piece in Examples(selection, OPENAI, None, NOW).lines(queries)]
    assert written.decode().splitlines(keepends=True) == [written.decode()]
    assert json.loads(written)["messages"][0]["content"] == text


async def test_who_leaves_early_ends_the_query(told: Told, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PORTION_KEYS", 1)
    for name in ("a", "b", "c"):
        told.tell(*({**one, "conversation_id": name} for one in (*DIALOGUE, labelled("positive"))))
    narrow = ClickHouseQueries(database, width=1)
    wanted = Examples(Selection(state="all"), OPENAI, None, NOW)  # type: ignore[arg-type]
    for _ in range(3):
        async with aclosing(wanted.lines(narrow)) as pieces:
            assert await anext(pieces)
    narrow.close()


# As of a time.


async def test_labels_are_given_as_they_stood(told: Told, queries: ClickHouseQueries) -> None:
    told.tell(*DIALOGUE, labelled("negative", after=100, correction="Wait.", id="l-1"))
    told.tell(said("assistant", "Sent!", after=150), labelled("positive", after=200, id="l-2"))
    told.tell(event("label.cleared", at=AT + 300 * SECOND))

    async def at(after: int, **asked: Any) -> list[str]:
        as_of = datetime.fromtimestamp(AT / 1_000 + after, UTC)
        return [one["label"]["id"] for one in await exported(queries, RAW, as_of=as_of, **asked)]

    assert await at(99) == []
    assert await at(100) == await at(199) == ["l-1"]
    assert await at(200) == await at(299) == ["l-2"]
    assert await at(300) == await exported(queries, RAW) == []
    assert await at(150, section="positive") == []
    assert await at(150, section="negative") == ["l-1"]
    assert await at(250, section="positive") == ["l-2"]
    (then,) = await exported(queries, OPENAI, as_of=datetime.fromtimestamp(AT / 1_000 + 149, UTC))
    assert then["messages"][-1]["content"] == "Wait."
    (later,) = await exported(queries, OPENAI, as_of=datetime.fromtimestamp(AT / 1_000 + 250, UTC))
    assert later["messages"][-1]["content"] == "Sent!"


async def test_what_was_erased_is_in_no_moment(told: Told, queries: ClickHouseQueries) -> None:
    told.tell(*DIALOGUE, labelled("positive"))
    told.tell(event("conversation.erased", at=AT + HOUR))
    told.tell(said("user", "Hello again", at=AT + 2 * HOUR), said("assistant", "Hello", at=AT + 2 * HOUR + 1))
    told.tell(labelled("positive", at=AT + 3 * HOUR))
    assert await exported(queries, RAW, as_of=datetime.fromtimestamp(AT / 1_000 + 1_800, UTC)) == []
    (one,) = await exported(queries, RAW, as_of=datetime.fromtimestamp(AT / 1_000 + 4 * 3_600, UTC))
    assert [message["text"] for message in one["messages"]] == ["Hello again", "Hello"]


@settings(max_examples=60, deadline=None)
@given(conversations(min_size=3), st.integers(0, 13))
def test_labels_are_those_of_the_fold_at_any_time(events: list[Event], moment: int) -> None:
    stored = facts(*events)
    until = sorted(stored.at)[moment % len(events)]
    known = [
        line(one)
        for one, at, kind in zip(events, stored.at, stored.type, strict=True)
        if at <= until or kind == "conversation.erased"
    ]
    rows = list(oracle.rows(known, PLAIN_RULES, None).values())
    as_of = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=until)
    judged = list(module._judged(as_read(stored), as_of)) if rows else []  # labels alone wait for a conversation
    labelled = [row for row in rows if row["label"]]
    assert [(one.judgement.id, one.judgement.correction) for one in judged] == [
        (row["label_id"], row["correction"]) for row in labelled
    ]
    assert [sum(one.role in {"user", "assistant"} for one in found.messages) for found in judged] == [
        row["messages"] for row in labelled
    ]


def as_read(stored: FactColumns) -> Iterator[tuple[Any, ...]]:
    """Facts as the query for them gives them."""
    names = ("assistant", "conversation_id", "id", "digest", "type", "at", "seq", "role", "text", "payload")
    for *key, id_, digest, kind, at, seq, role, text, payload in zip(
        *(getattr(stored, name) for name in names), strict=True
    ):
        yield (*key, id_, digest.hex().upper(), kind, at, seq, role, text, payload.decode())


# Following.


async def test_a_training_job_that_follows_learns_of_everything(told: Told, queries: ClickHouseQueries) -> None:
    since, known = Since(), dict[str, Any]()

    async def follow() -> list[str]:
        nonlocal since
        following = await next_since(queries)
        came = []
        for one in await exported(queries, PREFERENCE, since=since):
            if one.get("deleted"):
                known.pop(one["conversation_id"], None)
                came.append(f"-{one['conversation_id']}")
            else:
                known[one["metadata"]["conversation_id"]] = one
                came.append(one["metadata"]["conversation_id"])
        since = Since.parse(str(following))
        return came

    names = ["a", "b", "c", "unlabelled"]
    for name in names:
        told.tell(*({**one, "conversation_id": name} for one in DIALOGUE))
    for name in names[:3]:
        told.tell(labelled("negative", conversation_id=name, correction="Wait.", id=f"l-{name}"))
    assert await follow() == ["a", "b", "c"]
    assert known["a"]["metadata"] == {"assistant": "shop", "conversation_id": "a", "label_id": "l-a"}
    told.tell(event("label.cleared", conversation_id="a", at=AT + HOUR))
    told.tell(event("conversation.erased", conversation_id="b", at=AT + HOUR))
    told.tell(labelled("negative", conversation_id="c", correction="Soon.", at=AT + HOUR))
    told.tell(labelled("negative", conversation_id="unlabelled", correction="Now.", at=AT + HOUR))
    assert await follow() == ["-a", "-b", "c", "unlabelled"]
    assert known.keys() == {"c", "unlabelled"}
    assert known["c"]["preferred_output"] == chat(("assistant", "Soon."))
    told.tell(labelled("positive", conversation_id="c", at=AT + 2 * HOUR))
    assert "-c" in await follow()
    assert known.keys() == {"unlabelled"}


async def test_nothing_is_said_of_what_never_had_a_label(told: Told, queries: ClickHouseQueries) -> None:
    told.tell(*DIALOGUE)
    assert await exported(queries, RAW, since=Since(0)) == []
    told.tell(event("conversation.erased", at=AT + HOUR))
    assert await exported(queries, RAW, since=Since(0)) == [
        {"deleted": True, "assistant": "shop", "conversation_id": "c-1"}
    ]


async def test_an_erased_conversation_that_lives_again_is_deleted_until_it_is_labelled(
    told: Told, queries: ClickHouseQueries
) -> None:
    told.tell(*DIALOGUE, labelled("positive"))
    told.tell(event("conversation.erased", at=AT + HOUR))
    told.tell(said("user", "Hello again", at=AT + 2 * HOUR), said("assistant", "Hello", at=AT + 2 * HOUR + 1))
    (one,) = await exported(queries, OPENAI, since=Since(0))
    assert one["deleted"] is True
    told.tell(labelled("positive", at=AT + 3 * HOUR))
    (one,) = await exported(queries, OPENAI, since=Since(0))
    assert one["messages"] == chat(("user", "Hello again"), ("assistant", "Hello"))


async def test_what_leaves_the_filters_is_a_tombstone(told: Told, queries: ClickHouseQueries) -> None:
    told.tell(event("conversation.started", topic="returns"), *DIALOGUE, labelled("positive"))
    assert len(await exported(queries, OPENAI, since=Since(0), topic=["returns"])) == 1
    told.tell(event("conversation.updated", topic="billing", at=AT + HOUR))
    (one,) = await exported(queries, OPENAI, since=Since(0), topic=["returns"])
    assert one == {"deleted": True, "assistant": "shop", "conversation_id": "c-1"}
    assert await exported(queries, OPENAI, since=Since(0), assistant=["bank"]) == []
    assert await exported(queries, OPENAI, since=Since(0), only="bank") == []


async def test_only_what_changed_since_comes_and_an_insert_that_took_long_is_not_missed(
    database: Database, queries: ClickHouseQueries
) -> None:
    stamp = now_ms()
    with Told(database, lambda: stamp) as told:
        for name, before in (("old", 11 * MINUTE), ("slow", 9 * MINUTE)):
            stamp = now_ms() - before
            told.tell(*({**one, "conversation_id": name} for one in DIALOGUE))
            told.tell(labelled("positive", conversation_id=name))
    since = await next_since(queries)
    found = [one["metadata"]["conversation_id"] for one in await exported(queries, OPENAI, since=since)]
    assert found == ["slow"]


@pytest.mark.parametrize(
    "text", ["", "x", "²", "W10", "WzEuNV0", "W3RydWVd", "Wy0xXQ", "WzEsMl0", "W10=" * 100, "bnVsbA"]
)
def test_a_cursor_that_is_none_of_ours_is_refused(text: str) -> None:
    with pytest.raises(Problem, match="beginning"):
        Since.parse(text)


def test_a_cursor_is_what_it_was() -> None:
    assert Since.parse(str(Since(AT))) == Since(AT)
    assert Since.parse("beginning") == Since()
