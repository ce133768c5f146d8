"""What is said in one language: the texts of `phrases/`, made ready to be filled and joined into JSON.

A line is bytes for the `%` operator with a dict: escaped for JSON once, here, with its slots as `%(order)b`.
"""

import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

from runtime.simulator.payload import moment

Line = bytes

LANGUAGES = ("en", "es", "de", "fr")
SLOTS = frozenset({"order", "product", "date", "amount", "tracking", "days", "city", "customer", "agent", "ask"})

_SLOT = re.compile(r"\{(\w+)\}")
_PARTS = re.compile(r"(\{\w+\})")
_PUNCTUATION = re.compile(r"\s*[¿?¡!.,;:]+(?=\s|$|\{)|(?<!\w)[¿¡]")


class Exchange(NamedTuple):
    """A question and what the assistant may answer."""

    question: Line
    again: tuple[Line, ...]
    """The same question in other writings: case, punctuation, order."""
    answers: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """What people ask about one subtopic, and what the assistant answers."""

    named: bytes
    """Topic and subtopic as JSON fields."""
    intent: bytes
    """The intent's name, as the runtime would call it."""
    ask: tuple[Exchange, ...]
    """What conversations open with."""
    more: tuple[Exchange, ...]
    """What follows."""


@dataclass(frozen=True, slots=True)
class Phrasebook:
    """All that is said in one language."""

    code: str
    lines: dict[str, tuple[Line, ...]]
    nameless: dict[str, tuple[Line, ...]]
    """The lines that do not call the customer by name."""
    subjects: tuple[Subject, ...]
    goods: tuple[bytes, ...]
    customers: tuple[bytes, ...]
    agents: tuple[bytes, ...]
    months: tuple[str, ...]
    date_form: str
    amount_form: bytes

    def amount(self, whole: int, cents: int) -> bytes:
        """Write a price."""
        return self.amount_form % {b"whole": b"%d" % whole, b"cents": b"%02d" % cents}


@lru_cache(maxsize=8192)
def written_date(book_code: str, day: int) -> bytes:
    """Write a day (counted from 1970-01-01) as people of the language do, without the year."""
    book = phrasebook(book_code)
    at = moment(day * 86_400_000)
    return _escaped(book.date_form.format(day=at.day, month=book.months[at.month - 1]))


def _escaped(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False)[1:-1].encode()


def _line(text: str) -> Line:
    unknown = set(_SLOT.findall(text)) - SLOTS
    if unknown:
        raise ValueError(f"unknown slots {sorted(unknown)} in: {text}")
    return _SLOT.sub(r"%(\1)b", _escaped(text).decode().replace("%", "%%")).encode()


def _between_slots(text: str, change: Callable[[str], str]) -> str:
    return "".join(part if part.startswith("{") else change(part) for part in _PARTS.split(text))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def same_question(text: str) -> list[str]:
    """Write a question in other ways, by case, punctuation and order: its words stay, so it folds to the same key."""
    bare = _PUNCTUATION.sub("", text).strip()
    ways = [
        _between_slots(bare, str.lower),
        _between_slots(text, str.upper),
        f"{bare}???",
        _between_slots(text, str.lower),
    ]
    first, comma, last = text.rstrip("?!. ").partition(", ")
    if comma and "," not in last:
        ways.append(f"{_capital(last.lstrip('¿¡'))}, {_between_slots(first, str.lower).lstrip('¿¡')}?")
    return [way for way in ways if way != text]


def _exchanges(questions: list[str], answers: list[str], offers: list[str]) -> tuple[Exchange, ...]:
    """Pair the questions with their answers, which are as many or fewer: each alone or with an offer behind it."""
    return tuple(
        Exchange(
            _line(question),
            tuple(map(_line, same_question(question))),
            tuple(
                _line(f"{answers[index * len(answers) // len(questions)]} {offer}".rstrip()) for offer in ["", *offers]
            ),
        )
        for index, question in enumerate(questions)
    )


def _subject(topic: str, subtopic: str, texts: dict[str, list[str]], offers: list[str]) -> Subject:
    return Subject(
        named=f',"topic":"{topic}","subtopic":"{subtopic}"'.encode(),
        intent=f"{topic}.{subtopic}".encode(),
        ask=_exchanges(texts["ask"], texts["answer"], offers),
        more=_exchanges(texts["more"], texts["explain"], offers),
    )


@lru_cache
def phrasebook(code: str) -> Phrasebook:
    """Read the texts of a language, once."""
    said = tomllib.loads((files("runtime.simulator") / "phrases" / f"{code}.toml").read_text("utf-8"))
    lines = {name: tuple(map(_line, texts)) for name, texts in said["talk"].items()}
    return Phrasebook(
        code=code,
        lines=lines,
        nameless={name: tuple(line for line in them if b"%(customer)b" not in line) for name, them in lines.items()},
        subjects=tuple(
            _subject(topic, subtopic, texts, said["talk"]["offer"])
            for topic, subtopics in said["topics"].items()
            for subtopic, texts in subtopics.items()
        ),
        goods=tuple(map(_escaped, said["goods"])),
        customers=tuple(map(_escaped, said["customers"])),
        agents=tuple(map(_escaped, said["agents"])),
        months=tuple(said["months"]),
        date_form=said["date"],
        amount_form=_SLOT.sub(r"%(\1)b", said["amount"]).encode(),
    )
