# ruff: noqa: RUF001  (texts as people write them)
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors import fallbacks
from processors.fallbacks import Fallbacks
from schemas.rules import AssistantRules, Rules
from schemas.text import fold_words

SHIPPED = Rules.load(None).default


def of(*phrases: str) -> Fallbacks:
    return Fallbacks(
        AssistantRules(
            idle_gap_minutes=240,
            fallback_threshold=0.3,
            fallback_intents=("nlu_fallback", "Default Fallback Intent"),
            could_not_help={"en": phrases},
        )
    )


@pytest.mark.parametrize(
    ("phrase", "text", "found"),
    [
        pytest.param("I didn't get that", "Sorry, I didn’t get that.", True, id="apostrophes and punctuation"),
        pytest.param("I didn't get that", "I DIDN'T  --  GET\nTHAT", True, id="case and separators between the words"),
        pytest.param("I didn't get that", "I didn't quite get that", False, id="another word between"),
        pytest.param("get that", "forget that", False, id="not within a word, at its front"),
        pytest.param("get that", "get thatch", False, id="not within a word, at its end"),
        pytest.param("get that", "get get that", True, id="a false start"),
        pytest.param("get that", "get", False, id="only the first word"),
        pytest.param("get", "get", True, id="the whole text"),
        pytest.param("a.b*", "a b", True, id="characters that mean something in an expression"),
        pytest.param("no entendí", "Lo siento, NO ENTENDÍ 😀", True, id="a phrase of Latin-1 in a text beyond it"),
        pytest.param("no entendí", "no entendi", False, id="accents matter"),
        pytest.param("не понял", "Я вас НЕ ПОНЯЛ!", True, id="a phrase beyond Latin-1"),
        pytest.param("не понял", "I did not", False, id="a phrase beyond Latin-1 in a text of ASCII"),
        pytest.param("œuvre", "œuvre", True, id="a letter just beyond Latin-1"),
        pytest.param("I can't", "", False, id="nothing"),
    ],
)
def test_a_phrase_is_found_as_whole_words_in_a_row(phrase: str, text: str, found: bool) -> None:
    assert of("other words", phrase).could_not_help(text) is found


def test_without_phrases_no_text_matches() -> None:
    assert not of().could_not_help("I could not help")


def test_of_two_phrases_that_begin_alike_the_shorter_one_suffices() -> None:
    found = of("cannot help", "cannot help you with that")
    assert found.could_not_help("I cannot help you")
    assert not found.could_not_help("I cannot")


_words = st.sampled_from(["a", "ab", "b", "é", "éa", "ж", "aж", "1", "ß", "値"])
_separators = st.sampled_from([" ", "  ", ", ", "'s ", "-", "\u2019 ", "😀", "❤\ufe0f ", "\ufe0f"])


@given(
    st.lists(st.lists(_words, min_size=1, max_size=4).map(" ".join), max_size=6, unique=True),
    st.lists(st.tuples(_words, _separators), max_size=10),
)
def test_the_search_finds_what_comparing_words_finds(phrases: list[str], parts: list[tuple[str, str]]) -> None:
    text = "".join(word + separator for word, separator in parts)
    words = fold_words(text)
    wanted = [fold_words(phrase) for phrase in phrases]
    there = any(words[start : start + len(one)] == one for one in wanted for start in range(len(words)))
    assert of(*phrases).could_not_help(text) is there


@given(st.text())
def test_no_text_is_too_strange(text: str) -> None:
    found = Fallbacks(SHIPPED)
    assert found.could_not_help(text) is found.could_not_help(text.replace(".", " ! "))
    assert found.could_not_help(f"{text} -- I didn't get that, sorry. {text}")


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, I didn't quite get that. Could you rephrase?",
        "Unfortunately I don't have any information about that.",
        "Lo siento, no te he entendido.",
        "Perdona, no tengo información sobre eso.",
        "Entschuldigung, das habe ich leider nicht verstanden.",
        "Dazu liegen mir leider keine Informationen vor.",
        "Désolé, je n’ai pas compris votre question.",
        "Mi dispiace, non ho capito. Puoi riformulare?",
        "Desculpe, não entendi. Pode reformular?",
    ],
)
def test_the_shipped_phrases_find_an_assistant_that_could_not_help(text: str) -> None:
    assert Fallbacks(SHIPPED).could_not_help(text)


@pytest.mark.parametrize(
    "text",
    [
        "Sorry for the delay! Your order has been shipped.",
        "You do not have to do anything.",
        "No hay problema, ya está hecho.",
        "Das ist nicht nötig, ich helfe Ihnen gern.",
        "Ce n'est pas un problème.",
        "Non c'è problema, ecco le informazioni.",
        "Não há problema.",
    ],
)
def test_the_shipped_phrases_leave_helpful_answers_alone(text: str) -> None:
    assert not Fallbacks(SHIPPED).could_not_help(text)


def test_an_intent_is_compared_exactly() -> None:
    found = of()
    assert found.is_fallback_intent("nlu_fallback")
    assert found.is_fallback_intent("Default Fallback Intent")
    assert not found.is_fallback_intent("NLU_fallback")
    assert not found.is_fallback_intent("default fallback intent")
    assert not found.is_fallback_intent("")


@pytest.mark.parametrize("name", ["nlu_fallback", "out_of_scope", "Default Fallback Intent", "FallbackIntent"])
def test_the_shipped_rules_know_the_fallback_intents_of_the_frameworks(name: str) -> None:
    assert Fallbacks(SHIPPED).is_fallback_intent(name)


def test_memory_is_bounded_and_forgetting_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallbacks, "TEXTS_KNOWN", 3)
    found = of("get that")
    for number in range(10):
        assert found.could_not_help(f"get that {number} 値段")
        assert not found.could_not_help(f"got that {number} 値段")
    assert 0 < len(found._known) <= 3
    assert found.could_not_help("値段 get that" + "!" * fallbacks.TEXT_KNOWN_CHARACTERS)
    assert max(map(len, found._known)) <= fallbacks.TEXT_KNOWN_CHARACTERS
