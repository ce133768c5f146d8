"""How a conversation reads: days, minutes, folded messages, causes in words, and pauses in one line."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.pages.corrections import Piece, difference
from api.pages.dialogue import FOLDED_AFTER, Day, Did, Said, cause_words, fold, lines
from api.queries.history import FlowItem, FlowKind, Message
from schemas.conversation import FallbackCause

MORNING = datetime(2026, 11, 9, 9, 12, 5, tzinfo=UTC)


def message(at: datetime, text: str = "hello", role: str = "user", **more: Any) -> FlowItem:
    said = {
        "id": f"m-{at.timestamp()}",
        "at": at,
        "role": role,
        "text": text,
        "language": "",
        "topic": "",
        "subtopic": "",
        "intent": "",
        "intent_confidence": None,
        "confidence": None,
        "sources": None,
        "is_question": None,
        "fallbacks": [],
    }
    return FlowItem(at=at, kind=FlowKind.MESSAGE, message=Message.model_validate(said | more))


def cause(rule: str, reason: str = "other", confidence: float | None = None) -> FallbackCause:
    return FallbackCause(event_id="e", rule=rule, reason=reason, confidence=confidence)


def test_a_day_is_named_once_before_its_first_line():
    shown = lines([message(MORNING), message(MORNING + timedelta(hours=1)), message(MORNING + timedelta(days=1))])

    assert [type(line) for line in shown] == [Day, Said, Said, Day, Said]


def test_a_minute_is_told_once():
    times = [MORNING, MORNING + timedelta(seconds=30), MORNING + timedelta(seconds=58), MORNING + timedelta(minutes=2)]

    shown = [line for line in lines([message(at) for at in times]) if isinstance(line, Said)]

    assert [line.clock for line in shown] == [True, False, True, True]


def test_a_silence_the_close_in_it_and_the_reopening_share_a_line():
    back = MORNING + timedelta(hours=5, minutes=2)
    flow = [
        message(MORNING),
        FlowItem(at=MORNING, kind=FlowKind.SILENCE, until=back, milliseconds=18_120_000),
        FlowItem(at=MORNING + timedelta(hours=4), kind=FlowKind.CLOSED, reason="idle"),
        FlowItem(at=back, kind=FlowKind.REOPENED),
        message(back),
    ]

    (pause,) = [line for line in lines(flow) if isinstance(line, Did)]

    assert [item.kind for item in pause.items] == [FlowKind.SILENCE, FlowKind.CLOSED, FlowKind.REOPENED]


def test_what_the_stream_did_apart_from_a_pause_has_a_line_of_its_own():
    flow = [
        FlowItem(at=MORNING, kind=FlowKind.ESCALATED, to="agent 7"),
        FlowItem(at=MORNING, kind=FlowKind.ASSIGNED, assigned_to="agent 7"),
    ]

    assert [len(line.items) for line in lines(flow) if isinstance(line, Did)] == [1, 1]


def test_a_conversation_without_anything_has_no_lines():
    assert lines([]) == []


def test_a_short_message_is_shown_whole():
    text = "\n".join(["a line"] * FOLDED_AFTER)

    assert fold(text) == (text, "", 0)


def test_a_long_message_is_folded_behind_its_twelfth_line():
    head, rest, folded = fold("\n".join(str(number) for number in range(43)))

    assert head.split("\n") == [str(number) for number in range(FOLDED_AFTER)]
    assert rest.split("\n")[0] == str(FOLDED_AFTER)
    assert folded == 43 - FOLDED_AFTER


def test_a_long_line_is_folded_between_words():
    text = "word " * 1_000

    head, rest, folded = fold(text)

    assert head.endswith("word")
    assert rest.startswith("word")
    assert (head + " " + rest).split() == text.split()
    assert folded > 20


@pytest.mark.parametrize("text", ["x" * 20_000, "\n" * 5_000, "é\n" * 300, " " * 5_000 + "end"])
def test_folding_loses_nothing_but_space_at_the_fold(text: str):
    head, rest, _ = fold(text)

    assert (head + rest).replace("\n", "").replace(" ", "") == text.replace("\n", "").replace(" ", "")


@pytest.mark.parametrize(
    ("given", "intent", "words"),
    [
        pytest.param(
            cause("low_confidence", "low_confidence", 0.21), "", "low confidence 0.21, below the threshold", id="low"
        ),
        pytest.param(cause("no_sources", "no_knowledge"), "", "no knowledge passage was used", id="no sources"),
        pytest.param(
            cause("intent", "not_understood", 0.9), "nlu_fallback", "fallback intent nlu_fallback 0.90", id="intent"
        ),
        pytest.param(cause("pattern", "not_understood"), "", "said it could not help", id="pattern"),
        pytest.param(
            cause("reported", "no_knowledge"), "", "reported by the assistant: no knowledge passage", id="reported"
        ),
        pytest.param(cause("flagged"), "", "flagged by the assistant", id="flagged"),
    ],
)
def test_a_cause_says_its_rule_and_its_reason(given: FallbackCause, intent: str, words: str):
    assert cause_words(given, intent) == words


def test_a_message_says_what_tagged_it_and_not_twice_what_the_runtime_said():
    (_, said) = lines(
        [
            message(
                MORNING,
                "I am not sure",
                "assistant",
                confidence=0.21,
                intent="refund",
                intent_confidence=0.93,
                sources=2,
                fallbacks=[cause("low_confidence", "low_confidence", 0.21)],
            )
        ],
        0.3,
    )

    assert isinstance(said, Said)
    assert said.marks == ("low confidence 0.21 < 0.30",)
    assert said.notes == ("intent refund 0.93", "2 sources")


def test_a_correction_is_shown_word_by_word():
    pieces = difference("Your order was sent on Monday.", "Your order was sent on Friday, by post.")

    assert "".join(piece.text for piece in pieces if piece.kind != "new") == "Your order was sent on Monday."
    assert "".join(piece.text for piece in pieces if piece.kind != "old") == "Your order was sent on Friday, by post."
    assert Piece("old", "Monday") in pieces


def test_a_correction_that_has_little_in_common_stands_whole_beside_what_it_replaces():
    assert difference("I am not sure I understood.", "The refund left on 3 May; allow five days.") == [
        Piece("old", "I am not sure I understood."),
        Piece("new", "The refund left on 3 May; allow five days."),
    ]


def test_a_better_answer_without_a_former_one_is_all_new():
    assert difference("", "An answer.") == [Piece("new", "An answer.")]


def test_long_corrections_are_not_compared_word_by_word():
    assert [piece.kind for piece in difference("a " * 60_000, "a " * 60_001)] == ["old", "new"]
