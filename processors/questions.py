"""Which of the user's messages are questions, and which of them ask the same. The contract is docs/fold.md, Counts."""

import re
from collections.abc import Iterable
from typing import Final

from processors.reading import COMPILED, MORE, STOP, reader_of
from schemas.rules import AssistantRules
from schemas.text import fold_words

TEXTS_KNOWN = 20_000
"""So many texts are remembered before all are forgotten again: 8 MB if each has 200 letters of ASCII."""
TEXT_KNOWN_CHARACTERS = 200
"""Longer texts are read each time: they hardly repeat, and would make the memory unbounded."""

_COMPILED: Final = COMPILED
_BUTTON = re.compile(r"/[^\s{}]+(\{.*\})?", re.DOTALL)
"""What a button sends in place of words: `/name` or `/name{…}`."""


class Questions:
    """Finds the key of a question under the rules of one assistant.

    A key, because likeness in pairs is not transitive: what counts as one question would depend on the order.
    """

    def __init__(self, rules: AssistantRules) -> None:
        self._stop_words = frozenset(_words_of(rules.stop_words.values()))
        self._small_talk = _by_first_word(rules.small_talk.values())
        chatty = {word for phrases in self._small_talk.values() for phrase in phrases for word in phrase}
        words = self._stop_words | chatty
        self._reader = reader_of(
            frozenset((word, (word in self._stop_words) * STOP + (word in chatty) * MORE) for word in words)
        )
        self._known: dict[str, tuple[bool, str]] = {}

    def key(self, text: str, message_id: str, is_question: bool | None) -> str:
        """Return what two ways of asking the same have in common, or '' when the message is no question.

        `is_question` is the runtime's word and settles it; None leaves it to the rules. The key of a message
        without text, or without any word in it, is its id.
        """
        if is_question is False:
            return ""
        if not text:
            return message_id
        if _COMPILED:
            words = self._reader.sorted_words(text)
            if words is not None:  # so it is a question, unless there is no word
                return words or (message_id if is_question else "")
        known = self._known.get(text)
        if known is None:
            known = self._read(text)
        asks, key = known
        return (key or message_id) if asks or is_question else ""

    def _read(self, text: str) -> tuple[bool, str]:
        """Whether the text asks something, and its key; remembered when the text is short."""
        words = fold_words(text)
        asks = not self._is_small_talk(words) and not _is_button(text)
        stop_words = self._stop_words
        read = asks, " ".join(sorted([word for word in words if word not in stop_words] or words))
        if len(text) <= TEXT_KNOWN_CHARACTERS:
            if len(self._known) >= TEXTS_KNOWN:
                self._known.clear()
            self._known[text] = read
        return read

    def _is_small_talk(self, words: list[str]) -> bool:
        """Whether phrases use all the words up, the longest that fits each time; so it is when there is no word."""
        start = 0
        while start < len(words):
            for phrase in self._small_talk.get(words[start], ()):
                if words[start : start + len(phrase)] == phrase:
                    start += len(phrase)
                    break
            else:
                return False
        return True


def _is_button(text: str) -> bool:
    return "/" in text and _BUTTON.fullmatch(text.strip()) is not None


def _words_of(lists: Iterable[Iterable[str]]) -> Iterable[str]:
    return (word for texts in lists for text in texts for word in fold_words(text))


def _by_first_word(lists: Iterable[Iterable[str]]) -> dict[str, list[list[str]]]:
    """The phrases as words, under their first word, the longest first."""
    phrases = {tuple(fold_words(text)) for texts in lists for text in texts}
    found: dict[str, list[list[str]]] = {}
    for phrase in sorted(phrases, key=len, reverse=True):
        found.setdefault(phrase[0], []).append(list(phrase))
    return found
