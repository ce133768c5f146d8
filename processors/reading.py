"""Reading a text once, character by character: which phrases stand in it, and what its words are.

Only what a character is folded to wherever it stands is known here. A text in which neighbours matter (marks, East
Asian letters, broken surrogates) is left to `schemas.text`, which says the same in many passes. A reply of 330
characters takes 0.9 µs instead of 4, with typographic signs and emoji 0.7 instead of 13.
"""

from array import array
from collections import deque
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from schemas.text import alone

COMPILED: Final = not __file__.endswith(".py")
"""Whether this is worth using: interpreted it takes longer than the passes."""
UNSURE: Final = -1
"""Neighbours matter: the text is to be folded as a whole."""
STOP: Final = 1
MORE: Final = 2
"""What words can say; see `Reader.sorted_words`."""
_UNSURE: Final = UNSURE
_STOP: Final = STOP
_MORE: Final = MORE

# What a character can be: a place in the row of a state. The first place says what has ended there.
_SEPARATOR: Final = 1
_OTHER: Final = 2
"""A letter that stands in no phrase."""
_NOTHING: Final = 0xFFF0
"""An apostrophe; this and the next ones are no places."""
_DOUBLED: Final = 0xFFF1
"""A sharp s, which is folded to two letters."""
_SELECTOR: Final = 0xFFF2
"""Behind an emoji, where it comes to nothing; elsewhere it is of a word."""
_DEPENDS: Final = 0xFFF3

_END: Final = 0x3000
"""Characters from here on are in no table."""
_PICTURES: Final = 0x1F300
_PICTURES_END: Final = 0x1FB00
"""Emoji and the like, which all separate."""
_VARIATION: Final = 0xFE0F
_SLASH: Final = ord("/")
_S: Final = ord("s")

_LONGEST: Final = 500
_WORDS: Final = 128
"""Longer texts are left alone: with more words sorting by insertion takes longer than Python's way."""


class Reader:
    """Knows phrases of folded words by what they say: a number from 1 to 255.

    They stand in the text as whole words in a row. It is the automaton of Aho and Corasick over characters; a phrase
    begins and ends with a separator, and several separators are one.

    Compiled, a call does not let go of the interpreter's lock, so threads may share one and its buffers.
    """

    def __init__(self, phrases: Mapping[str, int]) -> None:
        folded = alone()
        there = {one for one in folded if one is not None}
        phrases = {phrase: said for phrase, said in phrases.items() if there.issuperset(phrase)}
        letters = sorted({*"".join(phrases), "s"} - {" "})
        places = {letter: place for place, letter in enumerate(letters, _OTHER + 1)} | {" ": _SEPARATOR}
        self._kinds = array("H", [_kind_of(one, places) for one in folded])
        self._letters = array("H", [ord(one[0]) if one else 0 for one in folded])
        self._rows = _automaton(phrases, places)
        self._start = self._rows[_SEPARATOR]
        self._s = places["s"]
        self._bytes = bytearray(3 * _LONGEST)
        self._whole = bytearray(3 * _LONGEST + _WORDS)
        self._sorted = memoryview(self._whole)
        self._starts = array("H", bytes(2 * _WORDS))
        self._ends = array("H", bytes(2 * _WORDS))
        self._order = array("H", bytes(2 * _WORDS))
        self._begun = self._words = self._kept = self._more = 0

    def finds(self, text: str) -> int:
        """Give what the phrase says that ends first, 0 when there is none, or UNSURE."""
        state = self._start
        parted, selected = True, False
        for character in text:
            kind = self._kind(ord(character))
            if kind == _SEPARATOR:
                state = self._rows[state + _SEPARATOR]
                if self._rows[state]:
                    return self._rows[state]
                parted, selected = True, False
            elif kind == _SELECTOR and parted:
                selected = True
            elif kind != _NOTHING:
                if selected or kind >= _SELECTOR:
                    return _UNSURE
                if kind == _DOUBLED:
                    state = self._rows[state + self._s]
                    kind = self._s
                state = self._rows[state + kind]
                parted = False
        return self._rows[self._rows[state + _SEPARATOR]]

    def sorted_words(self, text: str) -> str | None:
        """Sort the words but for those that say STOP, or all when there is no other, and join them by a space.

        None is UNSURE; so is what is long, has a slash, or has only words that say MORE.
        """
        if len(text) > _LONGEST:
            return None
        state = self._start
        parted, selected = True, False
        length = self._begun = self._words = self._kept = 0
        self._more = _MORE
        for character in text:
            code = ord(character)
            kind = self._kind(code)
            if kind == _SEPARATOR:
                state = self._rows[state + _SEPARATOR]
                if code == _SLASH or (length > self._begun and not self._end_word(self._rows[state], length)):
                    return None
                parted, selected = True, False
            elif kind == _SELECTOR and parted:
                selected = True
            elif kind != _NOTHING:
                if selected or kind >= _SELECTOR:
                    return None
                if kind == _DOUBLED:
                    length = self._write(_S, length)
                    state = self._rows[state + self._s]
                    code, kind = _S, self._s
                length = self._write(self._letters[code], length)
                state = self._rows[state + kind]
                parted = False
        state = self._rows[state + _SEPARATOR]
        if length > self._begun and not self._end_word(self._rows[state], length):
            return None
        if self._more and self._words:
            return None
        if not self._kept:
            for word in range(self._words):
                self._insert(word)
        return self._joined()

    def _kind(self, code: int) -> int:
        if code < _END:
            return self._kinds[code]
        if _PICTURES <= code < _PICTURES_END:
            return _SEPARATOR
        return _SELECTOR if code == _VARIATION else _DEPENDS

    def _write(self, code: int, length: int) -> int:
        """Write a letter below U+10000 as UTF-8, whose order is that of the letters; give where the next one goes."""
        if code < 0x80:
            self._bytes[length] = code
            return length + 1
        if code < 0x800:
            self._bytes[length] = 0xC0 | code >> 6
            self._bytes[length + 1] = 0x80 | code & 0x3F
            return length + 2
        self._bytes[length] = 0xE0 | code >> 12
        self._bytes[length + 1] = 0x80 | code >> 6 & 0x3F
        self._bytes[length + 2] = 0x80 | code & 0x3F
        return length + 3

    def _end_word(self, said: int, length: int) -> bool:
        """Note a word, which goes up to `length`; False when it cannot be."""
        if self._words == _WORDS:
            return False
        self._more = self._more and said & _MORE
        self._starts[self._words] = self._begun
        self._ends[self._words] = self._begun = length
        if not said & _STOP:
            self._insert(self._words)
        self._words += 1
        return True

    def _insert(self, word: int) -> None:
        """Put a word where it belongs among those that are kept."""
        place = self._kept
        while place and self._is_before(word, self._order[place - 1]):
            self._order[place] = self._order[place - 1]
            place -= 1
        self._order[place] = word
        self._kept += 1

    def _is_before(self, one: int, other: int) -> bool:
        at, end = self._starts[one], self._ends[one]
        there, there_end = self._starts[other], self._ends[other]
        while at < end and there < there_end:
            if self._bytes[at] != self._bytes[there]:
                return self._bytes[at] < self._bytes[there]
            at += 1
            there += 1
        return there < there_end

    def _joined(self) -> str:
        length = 0
        for place in range(self._kept):
            if place:
                self._sorted[length] = 0x20
                length += 1
            for at in range(self._starts[self._order[place]], self._ends[self._order[place]]):
                self._sorted[length] = self._bytes[at]
                length += 1
        return self._whole[:length].decode()


@lru_cache(maxsize=32)
def reader_of(phrases: frozenset[tuple[str, int]]) -> Reader:
    """Give one reader to all who ask for the same phrases: a large one takes 10 ms to make, and half a MB."""
    return Reader(dict(phrases))


def _kind_of(folded: str | None, places: Mapping[str, int]) -> int:
    if folded is None:
        return _DEPENDS
    if not folded.strip(" "):
        return _SEPARATOR if folded else _NOTHING
    if len(folded) > 1:
        return _DOUBLED if folded == "ss" else _DEPENDS
    return places.get(folded, _OTHER)


def _automaton(phrases: Mapping[str, int], places: Mapping[str, int]) -> "array[int]":
    """Give a row for each state, one after another: what has ended there, then where the next state's row begins."""
    branches: list[dict[int, int]] = [{_SEPARATOR: 1}, {}]
    parted, ends = {1}, dict[int, int]()
    for phrase, said in phrases.items():
        state = 1
        for letter in [*phrase, " "]:
            branch = branches[state]
            state = branch.setdefault(places[letter], len(branches))
            if state == len(branches):
                branches.append({})
            if letter == " ":
                parted.add(state)
        ends[state] = said
    width = max(places.values()) + 1
    rows = array("I", bytes(4 * width * len(branches)))
    # Where one has come to a letter that no branch has, one is where one would be with the longest end of what was read
    # that begins a phrase: that state is nearer to the root, so that its row is complete.
    nearer = {0: 0}
    waiting = deque([0])
    while waiting:
        state = waiting.popleft()
        begin = state * width
        rows[begin : begin + width] = rows[nearer[state] * width : nearer[state] * width + width]
        if state in ends:
            rows[begin] = ends[state]
        if state in parted:
            rows[begin + _SEPARATOR] = begin
        for place, further in branches[state].items():
            nearer[further] = rows[begin + place] // width
            rows[begin + place] = further * width
            waiting.append(further)
    return rows
