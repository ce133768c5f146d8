# ruff: noqa: RUF001  (texts as people write them)
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors import questions
from processors.questions import Questions
from schemas.rules import AssistantRules, Rules
from schemas.text import fold_words

SHIPPED = Rules.load(None).default
RULES = AssistantRules(
    idle_gap_minutes=240,
    fallback_threshold=0.3,
    small_talk={"en": ("hi", "hi there", "there you go", "thank you"), "fr": ("merci", "d'accord")},
    stop_words={"en": ("the", "is", "of"), "fr": ("le", "est")},
)

words = st.sampled_from(["order", "price", "ticket", "où", "straße", "7", "the", "IS", "le", "thank", "you"])
separators = st.sampled_from([" ", "  ", ", ", "? ", "!\n", " - ", "… "])


@pytest.fixture
def asked() -> Questions:
    return Questions(RULES)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        pytest.param("What is the price of the ticket?", "price ticket what", id="stop words go and words are sorted"),
        pytest.param("ticket PRICE, what?!", "price ticket what", id="order, case and punctuation do not matter"),
        pytest.param("Où est le ticket", "où ticket", id="stop words of any language go"),
        pytest.param("The of is the", "is of the the", id="nothing but stop words stay"),
        pytest.param("price price", "price price", id="a word said twice stays twice"),
        pytest.param("???", "", id="a text without a word is none"),
        pytest.param("😀", "", id="an emoji is none"),
        pytest.param("Hi!", "", id="small talk is none"),
        pytest.param("Merci, thank you. D’accord", "", id="phrases of several languages in a row are none"),
        pytest.param("hi, price?", "hi price", id="small talk before a question is a part of it"),
        pytest.param("hi there you go", "go hi there you", id="the longest phrase is taken first, without a way back"),
        pytest.param("thank", "thank", id="half a phrase is no small talk"),
        pytest.param("/greet", "", id="a button is none"),
        pytest.param(' /inform{"city": "Bern",\n"n": {"a": 1}} ', "", id="a button with a payload is none"),
        pytest.param("/chitchat/ask_name", "", id="a button of a retrieval intent is none"),
        pytest.param("/greet me", "greet me", id="a button's name within a text is a text"),
        pytest.param("and/or", "and or", id="a slash within a word is no button"),
    ],
)
def test_the_rules_tell_the_key_of_a_text(asked: Questions, text: str, key: str) -> None:
    assert asked.key(text, "m1", None) == key
    assert asked.key(text, "m2", None) == key, "the second time, from memory"


def test_the_runtime_knows_better_than_the_rules(asked: Questions) -> None:
    assert asked.key("thank you", "m1", None) == ""
    assert asked.key("thank you", "m1", True) == "thank you"
    assert asked.key("what price", "m1", True) == "price what"
    assert asked.key("what price", "m1", False) == ""


def test_a_message_without_text_is_a_question_of_its_own(asked: Questions) -> None:
    assert asked.key("", "m1", None) == "m1"
    assert asked.key("", "m2", True) == "m2"
    assert asked.key("", "m3", False) == ""


def test_a_question_without_a_word_is_one_of_its_own_when_the_runtime_says_so(asked: Questions) -> None:
    assert [asked.key("???", id_, True) for id_ in ("m1", "m2")] == ["m1", "m2"]


@given(st.lists(words, min_size=1, max_size=8), st.lists(separators, min_size=9, max_size=9), st.randoms())
def test_order_case_and_punctuation_never_change_a_key(
    said: list[str], between: list[str], chance: random.Random
) -> None:
    asked = Questions(RULES)
    again = said.copy()
    chance.shuffle(again)
    cased = [chance.choice((str.upper, str.lower, str.title, str))(word) for word in again]
    otherwise = "".join(part for pair in zip(between, cased, strict=False) for part in pair)
    assert asked.key(" ".join(said), "m", True) == asked.key(otherwise, "m", True) != ""


@given(st.lists(words, max_size=8), st.sampled_from(["the", "IS", "of", "le", "est"]), st.integers(0, 8))
def test_a_stop_word_never_changes_the_key_of_what_has_other_words(said: list[str], word: str, place: int) -> None:
    asked = Questions(RULES)
    telling = ["order", *said]
    more = [*telling[:place], word, *telling[place:]]
    assert asked.key(" ".join(telling), "m", True) == asked.key(" ".join(more), "m", True)


_said = st.sampled_from(
    ["Hi", "there", "you", "go", "thank you", "IS", "le", "d’accord", "prix", "Straße", "где", "値段"]
)
_parts = st.one_of(
    _said, separators, st.sampled_from(["/", "❤\ufe0f", "\ufe0f", "'", "e\u0301", "\ud800"]), st.text(max_size=2)
)


@given(st.lists(_parts, max_size=12).map("".join), st.sampled_from([None, True]))
def test_a_key_is_what_the_contract_says(text: str, is_question: bool | None) -> None:
    said = fold_words(text)
    telling = [word for word in said if word not in {"the", "is", "of", "le", "est"}] or said
    asks = is_question or not (_is_small_talk(said) or re.fullmatch(r"/[^\s{}]+(\{.*\})?", text.strip(), re.DOTALL))
    wanted = " ".join(sorted(telling)) or "m" if asks or not text else ""
    assert Questions(RULES).key(text, "m", is_question) == wanted


def _is_small_talk(said: list[str]) -> bool:
    phrases = sorted((fold_words(text) for texts in RULES.small_talk.values() for text in texts), key=len, reverse=True)
    while said:
        fitting = [phrase for phrase in phrases if said[: len(phrase)] == phrase]
        if not fitting:
            return False
        said = said[len(fitting[0]) :]
    return True


@given(st.text())
def test_no_text_is_too_strange(text: str) -> None:
    asked = Questions(SHIPPED)
    assert asked.key(text, "m", False) == ""
    assert asked.key(text, "m", True) != ""
    assert asked.key(text, "m", None) in ("", asked.key(text, "m", True))


@pytest.mark.parametrize(
    "text",
    [
        "Hi there, good morning!",
        "Thanks for your help. Bye!",
        "Ok, that's all, thank you very much",
        "¡Hola! Buenas tardes",
        "Muchas gracias, hasta luego",
        "Guten Tag",
        "Alles klar, vielen Dank für Ihre Hilfe, auf Wiedersehen",
        "Bonjour",
        "D'accord, merci beaucoup, bonne journée",
        "Va bene, grazie mille. Arrivederci",
        "Olá, bom dia",
        "Muito obrigada, até logo",
    ],
)
def test_the_shipped_rules_know_small_talk(text: str) -> None:
    assert Questions(SHIPPED).key(text, "m", None) == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Could you please tell me the price of a ticket?", "tell price ticket"),
        ("¿Cuál es el precio de la entrada, por favor?", "cuál precio entrada"),
        ("Wie ist der Preis für das Ticket?", "wie Preis Ticket"),
        ("Quel est le prix du billet, s'il vous plaît ?", "quel prix billet"),
        ("Qual è il prezzo del biglietto, per favore?", "qual prezzo biglietto"),
        ("Qual é o preço da passagem, por favor?", "qual preço passagem"),
    ],
)
def test_the_shipped_rules_fold_politeness_and_articles_away(one: str, other: str) -> None:
    asked = Questions(SHIPPED)
    assert asked.key(one, "m", None) == asked.key(other, "m", None)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("does it work", "does it not work"),
        ("transfer to savings", "transfer from savings"),
        ("when do you open", "where do you open"),
        ("did he die", "did he"),
        ("ticket for my son", "ticket for my"),
        ("abonnement un an", "abonnement un mois"),
        ("mit Frühstück", "ohne Frühstück"),
        ("are you open mon", "are you open"),
    ],
)
def test_the_shipped_stop_words_keep_different_questions_apart(one: str, other: str) -> None:
    asked = Questions(SHIPPED)
    assert asked.key(one, "m", None) != asked.key(other, "m", None)


def test_memory_is_bounded_and_forgetting_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "TEXTS_KNOWN", 3)
    asked = Questions(RULES)
    keys = [asked.key(f"値段 {number}", "m", None) for number in range(10)]
    assert keys == [f"{number} 値段" for number in range(10)]
    assert 0 < len(asked._known) <= 3
    asked.key("値" * (questions.TEXT_KNOWN_CHARACTERS + 1), "m", None)
    assert max(map(len, asked._known)) <= questions.TEXT_KNOWN_CHARACTERS
