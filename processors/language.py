"""The language of a conversation that nobody named: a detector over the first user messages. See docs/fold.md."""

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from itertools import islice

import py3langid

from processors.classifier import COMPILED, Classifier

LETTERS_ENOUGH = 40
"""80 would find English in 6,012 instead of 6,009 of chitchat-dataset's 6,038 conversations, at twice the cost."""
TEXTS_ENOUGH = 5
LETTERS_LEAST = 12
"""With fewer letters in all the detector would guess: "ok thanks" is Danish to it as soon as English."""

LANGUAGES = (
    "ar bg bn ca cs da de el en es et eu fa fi fr gl he hi hr hu id it ja ka ko lt lv ms nl no pl pt ro ru sk sl sr sv "
    "ta te th tr uk ur vi zh"
).split()
"""The languages told apart. Among all that the model knows, short English texts are now and then taken for Nigerian
Pidgin or Sotho: 71 of the 6,038 conversations of chitchat-dataset."""

_NO_LETTERS = bytes(code for code in range(256) if not chr(code).isalpha())
_SAMPLES_KNOWN = 10_000
_SAMPLE_KNOWN_CHARACTERS = 1_000
"""Longer samples are classified each time, so that what is remembered stays below 10 MB or so."""


def detect(texts: Sequence[str]) -> str:
    """Return the ISO 639 code of the language that a user's texts are in; '' when they have too few letters.

    Takes texts from the front until there are 40 letters or 5 texts. Costs about 50 µs the first time, and
    loads the model (0.5 s, 50 MB) when nobody called `load` before.
    """
    taken: list[str] = []
    found = 0
    for text in islice(filter(None, texts), TEXTS_ENOUGH):
        taken.append(text)
        found += letters(text)
        if found >= LETTERS_ENOUGH:
            break
    if found < LETTERS_LEAST:
        return ""
    sample = "\n".join(taken)
    return _remembered(sample) if len(sample) <= _SAMPLE_KNOWN_CHARACTERS else _classified(sample)


def letters(text: str) -> int:
    """How many characters of the text are letters. Counted in C where the text is Latin-1: 0.2 µs instead of 2."""
    try:
        return len(text.encode("latin-1").translate(None, _NO_LETTERS))
    except UnicodeEncodeError:
        return sum(map(str.isalpha, text))


@cache
def load() -> Callable[[str], str]:
    """Load the model now, so that the first conversation does not wait for it; gives what names a text's language."""
    if COMPILED:
        return Classifier(LANGUAGES).classify
    py3langid.set_languages(LANGUAGES)
    return lambda text: str(py3langid.classify(text)[0])


def _classified(sample: str) -> str:
    return load()(sample)


_remembered = lru_cache(maxsize=_SAMPLES_KNOWN)(_classified)
