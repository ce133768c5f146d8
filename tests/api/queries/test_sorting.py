"""Orders and cursors: what they say they read again, and what somebody else wrote is refused."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.problems import Problem
from api.queries.sorting import COLUMNS_SORTED, MAX_CURSOR, SORTS, Cursor, Direction, Sort
from schemas.conversation import COLUMNS, ConversationRow
from tests.builders import AT
from tests.sinks.building import row


def _row(**said: Any) -> ConversationRow:
    """Build a row; times as epoch milliseconds."""
    plain = row(**said)
    plain["fallback_causes"] = []
    return ConversationRow.model_validate({**plain, "opened_on": plain["opened_on"] * 86_400})


def test_every_column_with_one_value_sorts_both_ways() -> None:
    assert set(COLUMNS) - set(COLUMNS_SORTED) == {"attributes", "fallback_causes", "is_deleted"}
    assert [str(Sort.parse(one)) for one in SORTS] == list(SORTS)
    assert Sort.parse("-duration_ms") == Sort("duration_ms", descending=True)


@pytest.mark.parametrize("text", ["", "-", "colour", "started_at ", "started_at,messages", "c.messages", "is_deleted"])
def test_what_is_no_column_is_refused_and_the_columns_named(text: str) -> None:
    with pytest.raises(ValueError, match="started_at, last_activity_at"):
        Sort.parse(text)


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("direction", Direction)
def test_a_cursor_reads_what_it_wrote(sort: str, direction: Direction) -> None:
    for one in (
        _row(),
        _row(rating=5, closed=True, ended_at=AT, user_name="Ö'" * 200, conversation_id="a/b c"),
        _row(),
    ):
        cursor = Cursor.at(one, Sort.parse(sort), direction, 50)
        assert Cursor.parse(str(cursor), Sort.parse(sort)) == cursor
        assert str(cursor).replace("-", "").replace("_", "").isalnum()


def test_the_longest_cursor_is_not_too_long() -> None:
    longest = _row(conversation_id="\U0001f642" * 256, user_name="\U0001f642" * 1_000, assistant="a" * 64)
    assert len(str(Cursor.at(longest, Sort.parse("-user_name"), Direction.BEFORE, 10**9))) < MAX_CURSOR


def test_a_cursor_belongs_to_its_sort() -> None:
    cursor = str(Cursor.at(_row(), Sort.parse("-started_at"), Direction.AFTER))
    for other in ("started_at", "-ended_at"):
        with pytest.raises(Problem, match="sort=-started_at") as refused:
            Cursor.parse(cursor, Sort.parse(other))
        assert refused.value.status == 400


def _written(*parts: Any) -> str:
    return urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "%%%",
        "ünicode",
        "bnVsbA",
        _written(),
        _written("-messages", "after", 1, "shop", "c-1"),
        _written("-messages", "after", 1, "shop", "c-1", 0, 0),
        _written("-messages", "sideways", 1, "shop", "c-1", 0),
        _written("-messages", "after", "1", "shop", "c-1", 0),
        _written("-messages", "after", None, "shop", "c-1", 0),
        _written("-messages", "after", True, "shop", "c-1", 0),
        _written("-messages", "after", 1.5, "shop", "c-1", 0),
        _written("-messages", "after", -1, "shop", "c-1", 0),
        _written("-messages", "after", 1 << 32, "shop", "c-1", 0),
        _written("-messages", "after", [1], "shop", "c-1", 0),
        _written("-messages", "after", 1, 7, "c-1", 0),
        _written("-messages", "after", 1, "shop", None, 0),
        _written("-messages", "after", 1, "shop", "x" * 257, 0),
        _written("-messages", "after", 1, "shop", "\ud800", 0),
        _written("-messages", "after", 1, "shop", "c-1", -1),
        _written("-messages", "after", 1, "shop", "c-1", "0"),
        _written("-messages", "after", 1, "shop", "c-1", 1e300),
        _written(["-messages"], "after", 1, "shop", "c-1", 0),
        _written("-messages", {}, 1, "shop", "c-1", 0),
        urlsafe_b64encode(b"[" * 3_000).decode(),
        urlsafe_b64encode(b'["-messages","after",' + b"9" * 4_400 + b',"shop","c-1",0]').decode(),
    ],
)
def test_a_broken_cursor_is_a_problem_with_words(text: str) -> None:
    with pytest.raises(Problem) as refused:
        Cursor.parse(text, Sort.parse("-messages"))
    assert refused.value.status == 400
    assert refused.value.details.detail.endswith(("begin without.", "Begin without it."))


@given(st.text())
def test_any_text_is_a_cursor_or_a_problem(text: str) -> None:
    with pytest.raises(Problem):
        Cursor.parse(text, Sort.parse("started_at"))


def test_a_cursor_is_opaque_but_not_secret() -> None:
    text = str(Cursor.at(_row(), Sort.parse("messages"), Direction.AFTER, 3))
    assert json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4))) == ["messages", "after", 0, "shop", "c-1", 3]
