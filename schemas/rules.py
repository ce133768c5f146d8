"""The rules: what the fold may be told about an assistant. Read once from TOML, checked, and the same from then on.

The file's format is taught by the shipped one, `default_rules.toml`; what the rules do is docs/fold.md.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from schemas.text import fold_words

MAX_IDLE_GAP_MINUTES = 525_600
"""A year."""

_LINE_CHARACTERS = 100
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class FallbackRule:
    """A rule that tags messages as fallbacks; `version` grows when what it tags changes."""

    name: str
    version: int
    description: str


FALLBACK_RULES = (
    FallbackRule("reported", 1, "The runtime reported a fallback with a `message.fallback` event."),
    FallbackRule("flagged", 1, "The message itself says `fallback: true`."),
    FallbackRule("intent", 1, "The message's intent is one of the known fallback intents."),
    FallbackRule("low_confidence", 1, "The assistant's message has a confidence below the threshold."),
    FallbackRule("no_sources", 1, "The assistant's message used no knowledge passage and says so: `sources` is 0."),
    FallbackRule("pattern", 1, "The text of the assistant's message contains a phrase that says it could not help."),
)
"""All of them, in the order in which one message is tagged."""


class RulesError(ValueError):
    """Rules that cannot be used; `lines` say, one each, what is wrong and where."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))


def _folds_to_something(text: str) -> str:
    if not fold_words(text):
        raise ValueError(f"{_shown(text)} has no letter or digit in it, so it would never match")
    return text


def _is_one_word(text: str) -> str:
    if len(words := fold_words(text)) > 1:
        raise ValueError(f"{_shown(text)} is {len(words)} words ({', '.join(words)}); a stop word is one")
    return text


def _are_distinct(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Duplicates are an error: two phrases that fold alike are one, so the second is a slip or a misunderstanding."""
    seen: dict[str, str] = {}
    twice = []
    for text in texts:
        folded = " ".join(fold_words(text))
        if folded in seen:
            twice.append(f"{_shown(text)} says the same as {_shown(seen[folded])} before it")
        seen.setdefault(folded, text)
    if twice:
        raise ValueError("; ".join(twice))
    return texts


def _intents_are_distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{', '.join(map(_shown, twice))} stands there twice")
    return names


_Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[a-z0-9]{2,8})*$")]
_Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9._-]{1,64}$")]
_Phrase = Annotated[str, Strict(), AfterValidator(_folds_to_something)]
_Phrases = Annotated[tuple[_Phrase, ...], AfterValidator(_are_distinct)]
_StopWords = Annotated[tuple[Annotated[_Phrase, AfterValidator(_is_one_word)], ...], AfterValidator(_are_distinct)]
_Intents = Annotated[tuple[Annotated[str, Strict(), Field(min_length=1)], ...], AfterValidator(_intents_are_distinct)]


class AssistantRules(BaseModel):
    """The rules in force for one assistant. Phrases and words stand as written, under their language."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    idle_gap_minutes: Annotated[float, Strict()] = Field(ge=1 / 60_000, le=MAX_IDLE_GAP_MINUTES, allow_inf_nan=False)
    fallback_threshold: Annotated[float, Strict()] = Field(ge=0, le=1, allow_inf_nan=False)
    fallback_intents: _Intents = ()
    could_not_help: dict[_Language, _Phrases] = {}
    small_talk: dict[_Language, _Phrases] = {}
    stop_words: dict[_Language, _StopWords] = {}

    @property
    def idle_gap_ms(self) -> int:
        """After so many milliseconds of silence a conversation closes."""
        return round(self.idle_gap_minutes * 60_000)


class Rules(BaseModel):
    """The rules of all assistants, under one revision. `assistants` holds whole rules, overrides already applied."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    revision: Annotated[int, Strict()] = Field(ge=1, le=65_535)
    default: AssistantRules
    assistants: dict[_Name, AssistantRules] = {}

    @classmethod
    def load(cls, path: Path | None) -> Self:
        """Read a rules file laid over the shipped rules; None gives the shipped rules themselves.

        What `[default]` of the file does not say is as shipped, what `[assistants.NAME]` does not say is as in
        `[default]`; tables of languages are replaced language by language. Raises RulesError.
        """
        if path is None:
            return cls.parse(_shipped())
        try:
            text = path.read_text("utf-8")
        except OSError as error:
            raise RulesError([f"{path}: {error.strerror or error}"]) from error
        except UnicodeDecodeError as error:
            raise RulesError([f"{path}: is not UTF-8 at byte {error.start}"]) from error
        return cls.parse(text)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of a rules file as `load` does. Raises RulesError."""
        try:
            said = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise RulesError([f"this is not TOML: {error}"]) from error
        shipped = tomllib.loads(_shipped())["default"]
        lines = [_unknown((), key, cls) for key in said if key not in cls.model_fields]
        default = _laid_over(shipped, said.get("default", {}))
        if wrong := _faults(AssistantRules, default, ("default",)):
            lines += wrong
            default = shipped  # what is wrong there is not said again of every assistant
        whole = {key: said[key] for key in said if key in cls.model_fields} | {"default": default}
        if isinstance(assistants := said.get("assistants"), dict):
            whole["assistants"] = {name: _laid_over(default, own) for name, own in assistants.items()}
        if lines := [*lines, *_faults(cls, whole, ())]:
            raise RulesError(lines)
        return cls.model_validate(whole)

    def of(self, assistant: str) -> AssistantRules:
        """The rules in force for an assistant: its own, or the default."""
        return self.assistants.get(assistant, self.default)

    def describe(self) -> str:
        """Write the rules in force as TOML, which reads back as the same rules.

        Of an assistant there stands what differs from the default.
        """
        parts = [f"revision = {self.revision}", *_section("default", self.default, None)]
        for name, rules in self.assistants.items():
            parts += _section(f"assistants.{_key(name)}", rules, self.default)
        return "\n\n".join(parts) + "\n"


def _shipped() -> str:
    return (files("schemas") / "default_rules.toml").read_text("utf-8")


def _laid_over(below: Any, above: Any) -> Any:
    """Lay tables over tables, down to the languages. What is no table replaces what it meets."""
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {key: _laid_over(below.get(key), value) for key, value in above.items()}
    return above


# What is wrong, in words.

_Place = tuple[int | str, ...]

_EXPECTED = {
    "revision": "a whole number from 1 to 65535",
    "idle_gap_minutes": f"a number of minutes above 0, at most {MAX_IDLE_GAP_MINUTES} (a year)",
    "fallback_threshold": "a number from 0 to 1",
    "fallback_intents": 'a list of names, such as ["nlu_fallback"]',
    "could_not_help": 'a table from language to a list of phrases, such as en = ["I did not understand"]',
    "small_talk": 'a table from language to a list of phrases, such as en = ["thank you"]',
    "stop_words": 'a table from language to a list of words, such as en = ["the"]',
}
_TABLES = ("could_not_help", "small_talk", "stop_words")


def _faults(model: type[BaseModel], value: Any, place: _Place) -> list[str]:
    """What is wrong with a value that stands at a place of the file, one line each."""
    try:
        model.model_validate(value)
    except ValidationError as error:
        return [_fault((*place, *one["loc"]), one) for one in error.errors()]
    return []


def _fault(place: _Place, error: ErrorDetails) -> str:
    """One line for one of pydantic's errors."""
    match error["type"]:
        case "extra_forbidden":
            return _unknown(place[:-1], str(place[-1]), AssistantRules)
        case "missing":
            return f"{_named(place)}: is missing; raise it whenever you change a rule, such as revision = 2"
        case "value_error":
            return f"{_named(place)}: {error['ctx']['error']}"
    return f"{_named(place)}: must be {_expected(place)}, not {_shown(error['input'])}"


def _expected(place: _Place) -> str:
    """What should stand at a place."""
    match place:
        case ("default",) | ("assistants",) | ("assistants", _):
            return f"a section of its own, [{_named(place)}]"
        case ("assistants", _, "[key]"):
            return "an assistant's name: 1 to 64 of the characters a-z 0-9 . _ -"
        case ("default", _, _, "[key]") | ("assistants", _, _, _, "[key]"):
            return 'a language code in lower case, such as "en" or "pt-br"'
        case (*_, int()):
            return "a text with something in it"
        case ("default", _, _) | ("assistants", _, _, _):
            return "a list of texts"
    return _EXPECTED[str(place[-1])]


def _unknown(place: _Place, key: str, model: type[BaseModel]) -> str:
    """The line for a key that does not exist, with what may have been meant."""
    if model is Rules and key in AssistantRules.model_fields:
        return f"{key}: stands in no section; put it under [default] or [assistants.NAME]"
    close = get_close_matches(key, model.model_fields, n=1)
    meant = f"did you mean {close[0]}?" if close else f"known here are {', '.join(model.model_fields)}"
    return f"{_named((*place, key))}: there is no such key; {meant}"


def _named(place: _Place) -> str:
    """Write a place as TOML would, and entries of a list counted from 1."""
    keys = ".".join(_key(part) for part in place if isinstance(part, str) and part != "[key]")
    return "".join([keys, *(f", entry {part + 1}" for part in place if isinstance(part, int))])


def _shown(value: object) -> str:
    """A value as it may stand in the file, cut when it is long."""
    text = _toml(value) if isinstance(value, str | bool) else repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"


# Rules as TOML.


def _section(name: str, rules: AssistantRules, default: AssistantRules | None) -> Iterator[str]:
    """Write one assistant's section, its tables behind its keys, without what is in the default."""
    told = rules.model_dump()
    under: dict[str, Any] = default.model_dump() if default else {}
    keys = [f"{key} = {_toml(told[key])}" for key in told if key not in _TABLES and told[key] != under.get(key)]
    yield "\n".join([f"[{name}]", *keys])
    for table in _TABLES:
        below = under.get(table, {})
        lists = [
            f"{_key(language)} = {_toml(texts)}"
            for language, texts in told[table].items()
            if texts != below.get(language)
        ]
        if lists:
            yield "\n".join([f"[{name}.{table}]", *lists])


def _toml(value: Any) -> str:
    """Write a value as TOML. A JSON string is one of TOML's, but for DEL."""
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case float() if value.is_integer():
            return str(int(value))
        case bool() | int() | float():
            return str(value).lower()
    texts = [_toml(one) for one in value]
    line = f"[{', '.join(texts)}]"
    return line if len(line) <= _LINE_CHARACTERS else "[\n{}]".format("".join(f"    {text},\n" for text in texts))


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)
