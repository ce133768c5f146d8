# ruff: noqa: RUF001  (folding is about characters that look alike)
import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.text import fold, fold_words

_TELLING = " '’ʼ_.,-\u0301\ufe0f\u20e3\u200d😀—…“™′＇ẞſŉaé1"
texts = st.text(st.one_of(st.characters(), st.characters(max_codepoint=0x17F), st.sampled_from(_TELLING)))


def plainly(text: str) -> list[str]:
    """The contract, letter by letter."""
    folded = re.sub("['’ʼ]", "", unicodedata.normalize("NFKC", text).casefold())
    kinds = [unicodedata.category(character) for character in folded]
    runs = "".join(
        character if kind[0] in "LM" or kind == "Nd" else " " for character, kind in zip(folded, kinds, strict=True)
    ).split()
    return [run for run in runs if any(unicodedata.category(character)[0] != "M" for character in run)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("Where is MY order?!", ["where", "is", "my", "order"], id="case and punctuation"),
        pytest.param("I don't, you can’t, heʼs", ["i", "dont", "you", "cant", "hes"], id="three apostrophes"),
        pytest.param("snake_case e-mail a.b", ["snake", "case", "e", "mail", "a", "b"], id="what separates"),
        pytest.param("Straße STRASSE", ["strasse", "strasse"], id="case folding is more than lower case"),
        pytest.param("cafe\u0301 café", ["café", "café"], id="composed and decomposed"),
        pytest.param("ｆｕｌｌ ﬁne ²", ["full", "fine", "2"], id="compatible forms"),
        pytest.param("हिन्दी में", ["हिन्दी", "में"], id="marks belong to their word"),
        pytest.param("٣ tickets", ["٣", "tickets"], id="digits of other scripts"),
        pytest.param("yes😀no “quoted”… 5 €", ["yes", "no", "quoted", "5"], id="emoji and symbols separate"),
        pytest.param("I ❤️ it—don’t “you”?", ["i", "it", "dont", "you"], id="typographic signs"),
        pytest.param("❤️s 1️⃣", ["\ufe0fs", "1\ufe0f\u20e3"], id="a selector before or in a word"),
        pytest.param("𐐀𐐨 𝟙", ["𐐨𐐨", "1"], id="letters beyond U+FFFF"),
        pytest.param("x\ud800y", ["x", "y"], id="a lone surrogate separates"),
        pytest.param("\t \n\x00\x1f?!", [], id="nothing but separators"),
        pytest.param("", [], id="nothing"),
    ],
)
def test_a_text_folds_into_words(text: str, words: list[str]) -> None:
    assert fold_words(text) == words


@given(texts)
def test_any_text_folds_as_the_contract_says(text: str) -> None:
    assert fold_words(text) == plainly(text)


def test_every_character_folds_as_the_contract_says() -> None:
    for block in range(0, sys.maxunicode + 1, 0x100):
        text = " a".join(map(chr, range(block, block + 0x100)))
        assert fold_words(text) == plainly(text), f"U+{block:04X} and the 255 after it"


@given(texts)
def test_what_is_folded_stays_as_it_is(text: str) -> None:
    # An apostrophe that parts a letter from its mark is the one exception: they meet when it goes.
    words = fold_words(re.sub("['’ʼŉ＇]", "", text))
    assert fold_words(" ".join(words)) == words


@given(st.text(st.characters(max_codepoint=0x7F)))
def test_ascii_folds_without_regard_to_case_and_apostrophes(text: str) -> None:
    assert fold_words(text.upper()) == fold_words(text.lower()) == fold_words(text.replace("'", ""))


@given(texts)
def test_what_fits_into_latin_is_left_in_it(text: str) -> None:
    folded = fold(text)
    if isinstance(folded, bytes):
        assert folded.decode("latin-1").split() == plainly(text)
    else:
        assert folded == plainly(text)
        assert not text.isascii()
