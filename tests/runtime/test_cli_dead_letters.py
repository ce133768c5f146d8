"""`afterword dead-letters list` and what `requeue` says before it sends anything."""

import json

import pytest

from schemas.failures import REASONS, Reason
from tests.builders import AT, SECOND, iso
from tests.runtime.commands import afterword, afterword_on_a_terminal, fill
from tests.sinks.building import letter

HOSTILE = "[red]\x1b[2Jgone\u202e[/red] größe".encode()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data folder with four letters, of which one was sent again."""
    folder = tmp_path_factory.mktemp("letters") / "data"
    fill(
        folder,
        letters=[
            letter(value=HOSTILE, offset=1, detail="\x1b]0;title\x07 not JSON", failed_at=AT + 1 * SECOND),
            letter(value=b"\xff{", offset=2, key=None, conversation_id="", failed_at=AT + 2 * SECOND),
            letter(value=b"{" * 2_000, offset=3, reason=Reason.INVALID, failed_at=AT + 3 * SECOND),
            letter(value=b"sent", offset=4, failed_at=AT + 4 * SECOND, requeued_at=AT + 9 * SECOND),
        ],
    )
    return str(folder)


def test_the_table_has_the_newest_first_and_a_letter_a_line_and_ends_with_the_count(data: str) -> None:
    ended = afterword("dead-letters", "list", "--data", data)
    assert (ended.status, ended.err) == (0, "")
    rows = [line for line in ended.out.splitlines() if line.startswith("│")]
    assert [row.split("│")[2].strip() for row in rows] == [f"assistant.events/1/{offset}" for offset in (3, 2, 1)]
    assert [row.split("│")[1].strip() for row in rows] == [iso(AT + second * SECOND) for second in (3, 2, 1)]
    assert "{{{… (2,000 bytes)" in rows[0]
    assert "\\xff{" in rows[1]
    assert ended.out.splitlines()[-1] == "3 open dead letters: 2 malformed, 1 invalid"


def test_what_letters_hold_reaches_a_terminal_as_text(data: str) -> None:
    seen = afterword_on_a_terminal("dead-letters", "list", "--data", data, "--reason", "malformed", columns=200)
    assert "[red]␛[2Jgone\\u202e[/red] größe" in seen
    assert "␛]0;title␇ not JSON" in seen
    assert "\x1b[2J" not in seen
    assert "\x1b]" not in seen


def test_letters_that_were_sent_again_are_listed_when_asked_for(data: str) -> None:
    ended = afterword("dead-letters", "list", "--data", data, "--all", "--limit", "2")
    rows = [line for line in ended.out.splitlines() if line.startswith("│")]
    assert [row.split("│")[6].strip() for row in rows] == [iso(AT + 9 * SECOND), "not yet"]
    assert ended.out.splitlines()[-1] == (
        "4 dead letters, the newest 2 of them shown (--limit): 3 malformed, 1 invalid"
    )


def test_as_json_a_letter_is_a_line_with_its_whole_value(data: str) -> None:
    ended = afterword("dead-letters", "list", "--data", data, "--all", "--json")
    assert ended.out.isascii()
    told = [json.loads(line) for line in ended.out.splitlines()]
    assert [one["offset"] for one in told] == [4, 3, 2, 1]
    assert told[0] == {
        "failed_at": iso(AT + 4 * SECOND),
        "topic": "assistant.events",
        "partition": 1,
        "offset": 4,
        "reason": "malformed",
        "detail": "not one JSON object",
        "assistant": "shop",
        "conversation_id": "c-1",
        "key": "c-1",
        "value": "sent",
        "recorded_at": iso(AT),
        "requeued_at": iso(AT + 9 * SECOND),
    }
    assert told[1]["value"] == "{" * 2_000
    assert (told[2]["key"], told[2]["value_base64"]) == (None, "/3s=")
    assert told[3]["value"].encode() == HOSTILE


def test_an_unknown_reason_is_answered_with_the_known_ones_and_their_meaning(data: str) -> None:
    ended = afterword("dead-letters", "list", "--data", data, "--reason", "broken")
    assert ended.status == 1
    assert ended.err.splitlines()[0] == "'broken' is not a reason; known are"
    for reason, meaning in REASONS.items():
        assert f"  {reason:<13} {meaning}\n" in ended.err


def test_a_reason_without_letters_is_said_to_have_none(data: str) -> None:
    ended = afterword("dead-letters", "list", "--data", data, "--reason", "future_time")
    assert (ended.status, ended.out) == (0, "no open dead letters with reason future_time\n")


def test_nothing_is_sent_without_a_kafka_or_without_a_yes(data: str) -> None:
    nowhere = afterword("dead-letters", "requeue", "--data", data)
    assert nowhere.status == 1
    assert nowhere.err.startswith(f"no Kafka to send to: start `afterword up --data {data}` first")
    unasked = afterword("dead-letters", "requeue", "--data", data, "--kafka", "kafka://127.0.0.1:1")
    assert unasked.status == 1
    assert unasked.err == (
        "Send 3 dead letters (2 malformed, 1 invalid) again, to Kafka at 127.0.0.1:1? "
        "There is nobody to ask: say --yes\n"
    )
    silent = afterword("dead-letters", "requeue", "--data", data, "--kafka", "kafka://127.0.0.1:1", "--yes")
    assert silent.status == 1
    assert "Kafka at 127.0.0.1:1 does not answer" in silent.err
