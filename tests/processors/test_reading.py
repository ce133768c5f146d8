# ruff: noqa: RUF001  (texts as people write them)
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.reading import MORE, STOP, UNSURE, Reader
from schemas.text import fold_words

fold_words("値段")  # its patterns are compiled at the first such text, which takes longer than a test may
SAID = {"get that": 1, "get": 2, "that get that": 3, "straße".replace("ß", "ss"): 4, "где мы": 5, "値段": 6, "é": 7}
STOPS = {"the": STOP, "где": STOP, "hi": MORE, "you": STOP | MORE, "値段": STOP}

_words = st.sampled_from(
    ["get", "THAT", "getthat", "Straße", "STRASSE", "где", "Мы", "hi", "the", "you", "É", "x", "ẞ", "value", "va"]
)
_between = st.sampled_from(
    [" ", "  ", ", ", "…", " – ", "’", "'", "“", "😀", "❤\ufe0f", "❤\ufe0f ", "\ufe0f", "\u200d", "/", ""]
)
_strange = st.one_of(
    st.sampled_from(["e\u0301", "値段", "\ud800", "½", "™", "ª", "가", "\u1112\u1161"]), st.text(max_size=2)
)
texts = st.lists(st.one_of(_words, _between, _strange), max_size=14).map("".join)


def ends(text: str) -> set[int]:
    """What the phrases say that end first, by comparing words."""
    words = fold_words(text)
    for end in range(1, len(words) + 1):
        here = {said for phrase, said in SAID.items() if words[:end][-len(phrase.split()) :] == phrase.split()}
        if here:
            return here
    return {0}


def sorted_words(text: str) -> str:
    words = fold_words(text)
    return " ".join(sorted([word for word in words if not STOPS.get(word, 0) & STOP] or words))


@given(texts)
def test_phrases_are_found_as_comparing_words_finds_them(text: str) -> None:
    assert Reader(SAID).finds(text) in {UNSURE, *ends(text)}


@given(texts)
def test_words_are_sorted_as_those_of_the_folded_text(text: str) -> None:
    assert Reader(STOPS).sorted_words(text) in (None, sorted_words(text))


def test_every_character_is_folded_as_in_a_text_of_its_own() -> None:
    reader = Reader(STOPS)
    for code in (*range(0x3200), *range(0xD7F0, 0xE010), *range(0xFE00, 0x10000), *range(0x1E000, 0x1FFFF)):
        for text in (f"x{chr(code)}y", f"{chr(code)}", f"❤{chr(code)} x"):
            assert reader.sorted_words(text) in (None, sorted_words(text)), f"U+{code:04X}"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Where is my parcel? I ordered it (last week)!", id="ASCII"),
        pytest.param("Où est ma commande n° 7 ? Ça fait 30 €", id="Latin-1"),
        pytest.param("I’ve “checked” — it’s due… 📦 Done ✅ ❤\ufe0f", id="typographic signs and emoji"),
        pytest.param("Где моя посылка? Ещё нет.", id="Cyrillic"),
        pytest.param("Πού είναι το δέμα μου;", id="Greek"),
        pytest.param("Größe und Maße", id="sharp s"),
        pytest.param("Gdzie jest moja paczka? Zamówiłem ją już", id="Latin beyond Latin-1"),
        pytest.param("", id="nothing"),
    ],
)
def test_the_usual_texts_are_read(text: str) -> None:
    assert Reader(STOPS).sorted_words(text) == sorted_words(text)
    assert Reader(SAID).finds(text) == 0


@pytest.mark.parametrize(
    "text",
    ["e\u0301", "荷物はどこ", "\ud800", "½", "❤\ufe0fx", "x\ufe0f", "하", "\u1112\u1161", "\U0001d5d4"],
)
def test_where_neighbours_matter_nothing_is_said(text: str) -> None:
    assert Reader(SAID).finds(text) == UNSURE
    assert Reader(STOPS).sorted_words(text) is None


@pytest.mark.parametrize(
    ("text", "is_left"),
    [
        pytest.param("and/or", True, id="a slash"),
        pytest.param("Hi you!", True, id="only words that say more"),
        pytest.param("Hi you there", False, id="another word too"),
        pytest.param("x " * 129, True, id="more words than are sorted"),
        pytest.param("x " * 128, False, id="as many words as are sorted"),
        pytest.param("ẞ" * 500, False, id="as long as it may be"),
        pytest.param("ẞ" * 501, True, id="too long"),
        pytest.param("\u1c80" * 500, False, id="as many bytes as letters can have"),
        pytest.param("", False, id="nothing"),
    ],
)
def test_what_is_left_to_who_knows_more(text: str, is_left: bool) -> None:
    assert Reader(STOPS).sorted_words(text) == (None if is_left else sorted_words(text))


def test_only_stop_words_stay_all() -> None:
    assert Reader(STOPS).sorted_words("you THE где") == "the you где"


def test_a_phrase_within_another_is_found_where_it_ends_first() -> None:
    reader = Reader({"a b c": 1, "b": 2, "b d": 3})
    assert reader.finds("a b c") == 2
    assert Reader({"a b c": 1, "b d": 3}).finds("a b d") == 3
    assert Reader({}).finds("a b d") == 0
