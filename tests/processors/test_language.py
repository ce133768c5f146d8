import py3langid
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.language import LETTERS_ENOUGH, LETTERS_LEAST, TEXTS_ENOUGH, detect, letters, load

LONG = "Where is my order? It has not arrived yet, and I have been waiting for more than two weeks now."


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    load()


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (LONG, "en"),
        ("¿Dónde está mi pedido? Todavía no ha llegado", "es"),
        ("Wo ist meine Bestellung? Sie ist noch nicht angekommen", "de"),
        ("Où est ma commande ? Elle n'est pas encore arrivée", "fr"),
        ("Dov'è il mio ordine? Non è ancora arrivato", "it"),
        ("Onde está o meu pedido? Ainda não chegou", "pt"),
        ("我的订单在哪里我已经等了很久了还没有到", "zh"),
    ],
)
def test_a_sentence_tells_its_language(text: str, language: str) -> None:
    assert detect([text]) == language


def test_too_few_letters_tell_nothing() -> None:
    assert detect([]) == ""
    assert detect(["", "12345678901234567890 !?"]) == ""
    assert detect(["a" * (LETTERS_LEAST - 1)]) == ""
    assert detect(["a" * LETTERS_LEAST]) != ""


def test_letters_count_over_all_texts() -> None:
    assert detect(["hello", "there"]) == ""
    assert detect(["hello", "there", "friend"]) == py3langid.classify("hello\nthere\nfriend")[0]


def test_texts_after_enough_letters_are_not_read() -> None:
    enough = "e" * LETTERS_ENOUGH
    assert detect([enough, LONG]) == py3langid.classify(enough)[0]
    short = enough[1:]
    assert detect([short, LONG]) == py3langid.classify(f"{short}\n{LONG}")[0]


def test_texts_after_the_fifth_are_not_read() -> None:
    five = ["oui", "non", "merci", "bonjour", "salut"]
    assert len(five) == TEXTS_ENOUGH
    assert detect([*five, LONG]) == py3langid.classify("\n".join(five))[0]
    assert detect(["a", "b", "c", "d", "e", LONG]) == ""


@given(st.lists(st.text(max_size=200), max_size=7))
def test_no_texts_are_too_strange_and_the_same_ones_tell_the_same(texts: list[str]) -> None:
    language = detect(texts)
    assert language == detect(tuple(texts))
    assert (language == "") is (sum(map(letters, [text for text in texts if text][:TEXTS_ENOUGH])) < LETTERS_LEAST)


@given(st.text() | st.text(st.characters(max_codepoint=0xFF)))
def test_letters_are_what_unicode_calls_letters(text: str) -> None:
    assert letters(text) == sum(character.isalpha() for character in text)


def test_a_very_long_text_is_read_too() -> None:
    assert detect([LONG * 200]) == "en"
