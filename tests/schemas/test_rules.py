import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.rules import FALLBACK_RULES, AssistantRules, Rules, RulesError
from schemas.text import fold_words

LANGUAGES = {"en", "es", "de", "fr", "it", "pt"}


def wrong(text: str) -> tuple[str, ...]:
    with pytest.raises(RulesError) as caught:
        Rules.parse(text)
    assert str(caught.value) == "\n".join(caught.value.lines)
    return caught.value.lines


def test_the_shipped_rules_are_those_of_the_documentation() -> None:
    rules = Rules.load(None)
    assert rules.revision == 1
    assert rules.assistants == {}
    assert rules.default.idle_gap_ms == 4 * 3_600_000
    assert rules.default.fallback_threshold == 0.3
    for table in (rules.default.could_not_help, rules.default.small_talk, rules.default.stop_words):
        assert table.keys() == LANGUAGES


def test_no_shipped_stop_word_means_something_in_another_language_or_tells_questions_apart() -> None:
    words = {word for texts in Rules.load(None).default.stop_words.values() for word in texts}
    meaning = (
        "die den bin hat war man an son sin hay mon mes par sur ton ai uno sei sein lei sono dos os nas eu pelo "
        "id ill well it us may will or quest"
    )
    telling = "no not nicht non não pas sans without from where when why wo wann où quand dónde cuándo dove quando onde"
    assert words.isdisjoint(meaning.split())
    assert words.isdisjoint(telling.split())


def test_no_shipped_phrase_of_helplessness_is_small_talk_or_a_single_word() -> None:
    default = Rules.load(None).default
    phrases = [fold_words(text) for texts in default.could_not_help.values() for text in texts]
    assert min(map(len, phrases)) >= 2


def test_what_a_file_does_not_say_is_as_shipped(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(
        'revision = 7\n[default]\nidle_gap_minutes = 0.5\nsmall_talk.de = ["hoi"]\nsmall_talk.nl = ["hoi"]\n', "utf-8"
    )
    shipped = Rules.load(None).default
    rules = Rules.load(file)
    assert rules.revision == 7
    assert rules.default.idle_gap_ms == 30_000
    assert rules.default.small_talk == {**shipped.small_talk, "de": ("hoi",), "nl": ("hoi",)}
    assert rules.default.stop_words == shipped.stop_words
    assert rules.default.fallback_intents == shipped.fallback_intents


def test_an_assistant_overrides_the_default_key_by_key_and_language_by_language() -> None:
    rules = Rules.parse(
        """
        revision = 2
        [default]
        fallback_threshold = 0.5
        [assistants.night-desk]
        idle_gap_minutes = 30
        fallback_intents = []
        [assistants.night-desk.stop_words]
        de = ["der", "die", "das"]
        en = []
        [assistants."a.b_c"]
        """
    )
    desk = rules.of("night-desk")
    assert desk.idle_gap_ms == 30 * 60_000
    assert desk.fallback_threshold == 0.5, "from [default] of the file"
    assert desk.fallback_intents == ()
    assert desk.stop_words == {**rules.default.stop_words, "de": ("der", "die", "das"), "en": ()}
    assert desk.small_talk == rules.default.small_talk
    assert rules.of("a.b_c") == rules.of("anyone else") == rules.default


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("revision = 1\n[default\n", "line 2, column 9", id="not TOML"),
        pytest.param("[default]", "revision: is missing; raise it", id="no revision"),
        pytest.param("revision = 0", "revision: must be a whole number from 1 to 65535, not 0", id="revision 0"),
        pytest.param("revision = 65536", "from 1 to 65535, not 65536", id="a revision too many"),
        pytest.param("revision = 1.0", "a whole number from 1 to 65535, not 1.0", id="half a revision"),
        pytest.param("revision = true", "not true", id="a revision that is true"),
        pytest.param("revison = 1", "revison: there is no such key; did you mean revision?", id="a slip at the top"),
        pytest.param("idle_gap_minutes = 5", "put it under [default]", id="a rule in no section"),
        pytest.param(
            "revision = 1\n[default]\nfallback_treshold = 0.1",
            "default.fallback_treshold: there is no such key; did you mean fallback_threshold?",
            id="a slip",
        ),
        pytest.param(
            "revision = 1\n[default]\nzz = 1", "default.zz: there is no such key; known here are idle", id="zz"
        ),
        pytest.param(
            "revision = 1\n[default]\nidle_gap_minutes = 0",
            "default.idle_gap_minutes: must be a number of minutes above 0, at most 525600 (a year), not 0",
            id="no gap",
        ),
        pytest.param("revision = 1\n[default]\nidle_gap_minutes = '4h'", 'not "4h"', id="a gap in words"),
        pytest.param("revision = 1\n[default]\nidle_gap_minutes = inf", "not inf", id="a gap without end"),
        pytest.param("revision = 1\n[default]\nidle_gap_minutes = true", "not true", id="a gap that is true"),
        pytest.param(
            "revision = 1\n[default]\nfallback_threshold = 30",
            "default.fallback_threshold: must be a number from 0 to 1, not 30",
            id="a threshold in percent",
        ),
        pytest.param("revision = 1\n[default]\nfallback_threshold = nan", "not nan", id="a threshold that is none"),
        pytest.param("revision = 1\n[default]\nfallback_intents = 'a'", "must be a list of names", id="one intent"),
        pytest.param(
            "revision = 1\n[default]\nfallback_intents = ['a', 'a']", '"a" stands there twice', id="an intent twice"
        ),
        pytest.param(
            "revision = 1\n[default]\nfallback_intents = ['a', '']",
            "default.fallback_intents, entry 2: must be a text with something in it",
            id="an empty intent",
        ),
        pytest.param(
            "revision = 1\n[default]\nsmall_talk = ['hi']",
            "default.small_talk: must be a table from language to a list of phrases",
            id="phrases without a language",
        ),
        pytest.param("revision = 1\n[default]\nsmall_talk.en = 'hi'", "small_talk.en: must be a list of", id="no list"),
        pytest.param(
            "revision = 1\n[default]\nsmall_talk.en = [1]", "small_talk.en, entry 1: must be a text", id="one"
        ),
        pytest.param("revision = 1\n[default]\nsmall_talk.EN = ['hi']", "a language code in lower case", id="EN"),
        pytest.param(
            "revision = 1\n[default]\nsmall_talk.en = ['hi', '...']",
            'default.small_talk.en, entry 2: "..." has no letter or digit in it',
            id="a phrase that folds to nothing",
        ),
        pytest.param(
            "revision = 1\n[default]\ncould_not_help.en = ['I can not', 'i CAN not!']",
            'default.could_not_help.en: "i CAN not!" says the same as "I can not" before it',
            id="a phrase twice",
        ),
        pytest.param(
            "revision = 1\n[default]\nstop_words.en = ['of the']",
            'default.stop_words.en, entry 1: "of the" is 2 words (of, the); a stop word is one',
            id="a stop word of two words",
        ),
        pytest.param("revision = 1\ndefault = 3", "default: must be a section of its own, [default], not 3", id="3"),
        pytest.param("revision = 1\nassistants = 3", "must be a section of its own, [assistants], not 3", id="bots"),
        pytest.param("revision = 1\n[assistants]\nx = 3", "must be a section of its own, [assistants.x]", id="a bot"),
        pytest.param(
            "revision = 1\n[assistants.'Night Desk']",
            """assistants."Night Desk": must be an assistant's name: 1 to 64 of the characters a-z 0-9 . _ -""",
            id="a name that no event can have",
        ),
        pytest.param(
            "revision = 1\n[assistants.small_talk]\nidle_gap_minutes = -1",
            "assistants.small_talk.idle_gap_minutes: must be a number of minutes above 0",
            id="an assistant named like a rule",
        ),
    ],
)
def test_what_is_wrong_is_said_in_words_with_its_place(text: str, line: str) -> None:
    assert any(line in one for one in wrong(text))


def test_everything_that_is_wrong_is_said_at_once_and_only_where_it_stands() -> None:
    lines = wrong(
        """
        revision = 1
        [default]
        fallback_threshold = 2
        small_talk.en = ["!", "?"]
        [assistants.a]
        idle_gap_minutes = 5
        [assistants.b]
        idle_gap_minutes = -5
        """
    )
    assert [line.split(":")[0] for line in lines] == [
        "default.fallback_threshold",
        "default.small_talk.en, entry 1",
        "default.small_talk.en, entry 2",
        "assistants.b.idle_gap_minutes",
    ]


def test_a_long_value_is_cut_in_the_error() -> None:
    (line,) = wrong(f"revision = '{'x' * 1000}'")
    assert len(line) < 150


def test_a_file_that_cannot_be_read_is_an_error_of_the_rules(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match="No such file"):
        Rules.load(tmp_path / "none.toml")
    latin = tmp_path / "latin.toml"
    latin.write_bytes("revision = 1 # é".encode("latin-1"))
    with pytest.raises(RulesError, match="is not UTF-8 at byte 15"):
        Rules.load(latin)


def test_rules_do_not_change() -> None:
    rules = Rules.load(None)
    with pytest.raises(ValidationError, match="frozen"):
        rules.revision = 2  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        rules.default.fallback_threshold = 0.0  # type: ignore[misc]


def test_the_shipped_rules_read_back_as_they_are_described() -> None:
    rules = Rules.load(None)
    described = rules.describe()
    assert Rules.parse(described) == rules
    assert tomllib.loads(described)["default"]["idle_gap_minutes"] == 240


def test_of_an_assistant_only_what_differs_is_described() -> None:
    described = Rules.parse('revision = 3\n[assistants."a.b"]\nidle_gap_minutes = 1.5\nstop_words.en = []').describe()
    assert described.endswith('[assistants."a.b"]\nidle_gap_minutes = 1.5\n\n[assistants."a.b".stop_words]\nen = []\n')


_texts = st.text(max_size=20).filter(fold_words)
_phrases = st.lists(_texts, max_size=4, unique_by=lambda text: tuple(fold_words(text))).map(tuple)
_stop_words = (
    st.lists(
        st.from_regex(r"[a-zé'\"\\]{0,5}[a-z]", fullmatch=True),
        max_size=4,
        unique_by=lambda word: tuple(fold_words(word)),
    )
    .filter(lambda words: all(len(fold_words(word)) == 1 for word in words))
    .map(tuple)
)


def _tables(lists: st.SearchStrategy[tuple[str, ...]]) -> st.SearchStrategy[dict[str, tuple[str, ...]]]:
    return st.dictionaries(st.sampled_from(["en", "de", "pt-br", "tlh"]), lists, max_size=3)


_shipped = Rules.load(None).default
_assistants = st.builds(
    AssistantRules,
    idle_gap_minutes=st.floats(0.001, 525_600) | st.integers(1, 525_600),
    fallback_threshold=st.floats(0, 1),
    fallback_intents=st.lists(st.text(min_size=1, max_size=10), max_size=3, unique=True).map(tuple),
    could_not_help=_tables(_phrases).map(lambda table: {**_shipped.could_not_help, **table}),
    small_talk=_tables(_phrases).map(lambda table: {**_shipped.small_talk, **table}),
    stop_words=_tables(_stop_words).map(lambda table: {**_shipped.stop_words, **table}),
)


@st.composite
def _rules(draw: st.DrawFn) -> Rules:
    default = draw(_assistants)
    overrides = draw(st.dictionaries(st.from_regex(r"[a-z0-9._-]{1,64}", fullmatch=True), _assistants, max_size=2))
    whole = {
        name: own.model_copy(
            update={
                table: {**getattr(default, table), **getattr(own, table)}
                for table in ("could_not_help", "small_talk", "stop_words")
            }
        )
        for name, own in overrides.items()
    }
    return Rules(revision=draw(st.integers(1, 65_535)), default=default, assistants=whole)


@given(_rules())
def test_any_rules_read_back_as_they_are_described(rules: Rules) -> None:
    assert Rules.parse(rules.describe()) == rules


@given(st.text())
def test_any_text_is_rules_or_an_error_in_words(text: str) -> None:
    with suppress(RulesError):
        assert Rules.parse(text).revision


def test_each_fallback_rule_says_what_it_does_in_a_sentence() -> None:
    assert [rule.name for rule in FALLBACK_RULES] == [
        "reported",
        "flagged",
        "intent",
        "low_confidence",
        "no_sources",
        "pattern",
    ]
    for rule in FALLBACK_RULES:
        assert rule.version >= 1
        assert rule.description.endswith(".")
        assert rule.description.count(". ") == 0
