"""What the rules of an assistant say of a single message: is it a fallback. The contract is docs/fold.md, Fallbacks."""

import re
from collections.abc import Iterable
from typing import Final, TypeAlias

from processors.reading import COMPILED, UNSURE, reader_of
from schemas.rules import AssistantRules
from schemas.text import fold, fold_words

TEXTS_KNOWN = 20_000
"""So many texts are remembered before all are forgotten again: 8 MB if each has 200 letters of ASCII."""
TEXT_KNOWN_CHARACTERS = 200
"""Longer texts are read each time: they hardly repeat, and would make the memory unbounded."""

_COMPILED: Final = COMPILED
_UNSURE: Final = UNSURE
_Trie: TypeAlias = "dict[str, _Trie]"
_END = ""


class Fallbacks:
    """Tells fallbacks by their text and by their intent, under the rules of one assistant."""

    def __init__(self, rules: AssistantRules) -> None:
        phrases = {" ".join(fold_words(text)) for texts in rules.could_not_help.values() for text in texts}
        self._intents = frozenset(rules.fallback_intents)
        self._in_words = re.compile(_any_of(phrases))
        self._in_latin = re.compile(_any_of(filter(_is_latin, phrases)).encode("latin-1"))
        self._reader = reader_of(frozenset((phrase, 1) for phrase in phrases))
        self._known: dict[str, bool] = {}

    def is_fallback_intent(self, name: str) -> bool:
        """Whether an intent of this very name is a fallback."""
        return name in self._intents

    def could_not_help(self, text: str) -> bool:
        """Whether a "could not help" phrase, of any language, stands in the text as whole words in a row."""
        if _COMPILED:
            found = self._reader.finds(text)
            if found != _UNSURE:
                return found > 0
        known = self._known.get(text)
        if known is None:
            known = self._read(text)
        return known

    def _read(self, text: str) -> bool:
        """Search the folded text; remembered when the text is short.

        In Latin-1 it is searched as bytes and never cut into words: 0.8 µs for 60 characters of ASCII, folding
        included. Words joined again for the search take 1.3 µs, and one `in` for each phrase 11 µs.
        """
        folded = fold(text)
        if isinstance(folded, bytes):
            found = self._in_latin.search(b" %b " % folded) is not None
        else:
            found = self._in_words.search(f" {' '.join(folded)} ") is not None
        if len(text) <= TEXT_KNOWN_CHARACTERS:
            if len(self._known) >= TEXTS_KNOWN:
                self._known.clear()
            self._known[text] = found
        return found


def _is_latin(text: str) -> bool:
    """Only such phrases can stand in a text of Latin-1."""
    return max(text) <= "\xff"


def _any_of(phrases: Iterable[str]) -> str:
    """Give the pattern of any of the folded phrases, as a trie: the search leaves a word at its first wrong letter.

    It begins and ends with a space, so that a phrase stands as whole words; between words there may be several.
    """
    root: _Trie = {}
    for phrase in phrases:
        branch = root
        for character in (*phrase, " ", _END):
            branch = branch.setdefault(character, {})
    return f" {_pattern(root)}" if root else "(?!)"


def _pattern(branches: _Trie) -> str:
    """The pattern of what may follow; where a phrase ends, a longer one that begins like it adds nothing."""
    if _END in branches:
        return ""
    patterns = [(" +" if first == " " else first) + _pattern(rest) for first, rest in sorted(branches.items())]
    return patterns[0] if len(patterns) == 1 else f"(?:{'|'.join(patterns)})"
