"""Words for people: what others wrote stays readable and cannot move a terminal."""

import unicodedata

import pytest

from runtime.words import counted, iso, on_screen, one_line, visible


def test_times_are_iso_8601_in_utc_to_the_millisecond() -> None:
    assert iso(1_794_215_520_007) == "2026-11-09T09:12:00.007Z"
    assert iso(-1) == "1969-12-31T23:59:59.999Z"


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        pytest.param("\x1b[2J", "␛[2J", id="an escape sequence"),
        pytest.param("a\nb\tc\rd", "a␊b␉c␍d", id="line breaks and tabs"),
        pytest.param("\x7f\x00", "␡␀", id="delete and nul"),
        pytest.param("\x9b31m", "\\u009b31m", id="an escape sequence of one character"),
        pytest.param("user\u202eresu", "user\\u202eresu", id="another direction of writing"),
        pytest.param("\u2066a\u2069", "\\u2066a\\u2069", id="an isolate"),
        pytest.param("\U000e0041", "\\U000e0041", id="an invisible tag"),
        pytest.param(b"\xff\x1b", "\\xff␛", id="bytes that are not UTF-8"),
        pytest.param("größe 会話 👩\u200d🔬", "größe 会話 👩\u200d🔬", id="text of any script stays as it is"),
    ],
)
def test_what_moves_a_terminal_becomes_visible(hostile: str | bytes, shown: str) -> None:
    assert visible(hostile) == shown


def test_no_control_character_of_unicode_passes() -> None:
    everything = "".join(map(chr, range(0x11_0000)))
    assert {one for one in visible(everything) if unicodedata.category(one) in {"Cc", "Zl", "Zp", "Cs"}} == set()
    assert {one for one in "".join(on_screen([everything.encode("utf-8", "surrogatepass")])) if ord(one) < 32} == {
        "\n",
        "\t",
    }


def test_a_long_text_is_cut_and_says_so() -> None:
    assert visible("abcdef", 4) == "abc…"
    assert visible("abcd", 4) == "abcd"


def test_characters_cut_between_two_pieces_are_whole_on_the_screen() -> None:
    text = "größe\n会話\t\x1b[31m".encode()
    pieces = [text[i : i + 1] for i in range(len(text))]
    assert "".join(on_screen(pieces)) == "größe\n会話\t␛[31m"
    assert "".join(on_screen([b"\xe4"])) == "\\xe4"


def test_a_message_is_one_line() -> None:
    assert one_line(" Syntax error:\n  failed\r\n at\t3 \x1b") == "Syntax error: failed at 3 ␛"


def test_numbers_agree_with_their_nouns() -> None:
    assert counted(1, "row") == "1 row"
    assert counted(0, "row") == "0 rows"
    assert counted(1_234, "is open", "are open") == "1,234 are open"
