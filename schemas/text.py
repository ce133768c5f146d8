"""Folding: what a text is when case, punctuation and apostrophes do not matter. The contract is docs/fold.md."""

import codecs
import re
import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Final


def _is_of_a_word(code: int) -> bool:
    """Whether a character is a letter, a mark or a decimal digit (Unicode categories L, M, Nd)."""
    category = unicodedata.category(chr(code))
    return category[0] in "LM" or category == "Nd"


_APOSTROPHES = "'\u2019\u02bc"
_ASCII = bytes(ord(chr(code).lower()) if code < 128 and _is_of_a_word(code) else 32 for code in range(256))
"""Upper case to lower, letters and digits as they are, everything else to a space."""
_LATIN = bytes(code if _is_of_a_word(code) else 32 for code in range(256))
"""The same for a text in Latin-1 whose case is folded already."""
_PLAIN = bytes(code for code in range(256) if unicodedata.normalize("NFKC", chr(code)) in (chr(code), " "))
"""What NFKC leaves as it is, so that such a text needs no look at it (a no-break space separates anyway)."""
_PLAIN_LATIN = bytes(ord(chr(code).lower()) if _is_of_a_word(code) else 32 for code in _PLAIN)
_FOLD_PLAIN = bytes.maketrans(_PLAIN, _PLAIN_LATIN)
_BEYOND = (range(0x10000, 0x33480), range(0xE0000, 0xE1000))
"""All letters, marks and digits behind U+FFFF lie here; what follows is private or not assigned."""


def fold(text: str) -> bytes | list[str]:
    """Fold a text into Latin-1, its words left apart by one or more spaces; give its words where one goes beyond it.

    The hot path's way: few passes in C, 0.13 µs for 60 characters of ASCII, 0.25 for most others in Latin-1, and for
    what goes beyond it 8. Typographic quotes and dashes take 0.05 more each, an emoji or the like 1.
    """
    if text.isascii():
        return text.encode("ascii").translate(_ASCII, b"'")
    latin = _encoded(text)
    if latin is not None and not latin.translate(None, _PLAIN):
        return latin.translate(_FOLD_PLAIN, b"'").replace(b"\xdf", b"ss")
    folded = _normalized(text)
    latin = _encoded(folded)
    return _words_of(folded) if latin is None else latin.translate(_LATIN)


def fold_words(text: str) -> list[str]:
    """Bring a text to NFKC, fold its case, delete its apostrophes, and cut it into words.

    A word is a run of letters, marks and decimal digits with a letter or digit in it; everything else separates. Never
    raises: lone surrogates and characters that Unicode has not assigned separate as well.
    """
    folded = fold(text)
    return folded.decode("latin-1").split() if isinstance(folded, bytes) else folded


@cache
def alone() -> list[str | None]:
    """Give what each character up to U+2FFF is folded to wherever it stands, parts of no word as spaces.

    None stands where that depends on the neighbours: marks, and letters that are composed of others. For who folds
    character by character. Built when first needed, in 20 ms.
    """
    return [_alone(chr(code)) for code in range(0x3000)]


def _alone(character: str) -> str | None:
    if any(_is_mark(one) or one in _JAMO for one in unicodedata.normalize("NFKC", character)):
        return None
    return "".join(one if _is_of_a_word(ord(one)) else " " for one in _normalized(character))


_JAMO: Final = frozenset(map(chr, range(0x1100, 0x1200)))
"""The only characters but marks that NFKC makes one with the one before."""


def _words_of(folded: str) -> list[str]:
    separators_beyond, word, marks = _patterns()
    if len(folded.encode("utf-16-le", "surrogatepass")) > 2 * len(folded):
        folded = separators_beyond.sub(" ", folded)
    # An emoji's variation selector is no word.
    return [run for run in word.findall(folded) if run[0] not in marks or not marks.issuperset(run)]


def _encoded(text: str) -> bytes | None:
    """Encode a text in Latin-1, what parts words as spaces; None when there is something else beyond it."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        if _apart(text[error.start]) is None:
            return None
    for common, plain in _COMMON:
        text = text.replace(common, plain)
    try:
        return text.encode("latin-1", _PARTED)
    except UnicodeEncodeError:
        return None


def _normalized(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    for apostrophe in _APOSTROPHES:
        folded = folded.replace(apostrophe, "")
    return folded


_COMMON: Final = [(one, "'" if one == "\u2019" else " ") for one in "\u2019\u2014\u2013\u201c\u201d\u2018\u2026\u2022"]
"""What stands in texts that somebody set with care: replaced before anything is looked at one by one."""
_PARTED: Final = "afterword.parted"
"""How to encode what parts words: as spaces, and apostrophes as nothing. For the rest it is an error."""


def _part(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text, parts = error.object, ""
    for place in range(error.start, error.end):
        part = _apart(text[place])
        if part is None and text[place] == _VARIATION and parts.endswith(" ") and _ends_at(text, place + 1):
            part = " "
        if part is None:
            raise error
        parts += part
    return parts, error.end


_VARIATION: Final = "\ufe0f"
"""Behind an emoji: a mark, and so of a word if one goes on there."""


def _ends_at(text: str, place: int) -> bool:
    """Whether no word goes on at this place: what comes to nothing does not end one."""
    return place == len(text) or bool(_apart(text[place]))


@lru_cache(maxsize=10_000)
def _apart(character: str) -> str | None:
    """What a character comes to that no word has, or None when it may be of a word."""
    folded = _normalized(character)
    return None if any(_is_of_a_word(ord(one)) for one in folded) else " " * len(folded)


codecs.register_error(_PARTED, _part)


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "M"


@cache
def _patterns() -> "tuple[re.Pattern[str], re.Pattern[str], frozenset[str]]":
    r"""Compile the separators behind U+FFFF, and a word in which none of them is left; gives all marks, too.

    Two, because `re` keeps a bitmap of a set up to U+FFFF and tries what lies behind one range after another: all in
    one, each space cost 300 comparisons, and a text 9 µs instead of 3. `\w` has the underscore and lacks the marks.
    Built when first needed, in 80 ms.
    """
    beyond = "".join(map(_ranges, _BEYOND))
    return (
        re.compile(rf"[^\0-\uffff{beyond}]"),
        re.compile(rf"[{_ranges(range(0x10000))}\U00010000-\U0010ffff]+"),
        frozenset(chr(code) for codes in (range(0x10000), *_BEYOND) for code in codes if _is_mark(chr(code))),
    )


def _ranges(codes: Iterable[int]) -> str:
    """The characters of words among the codes, as ranges of a set in a regular expression."""
    ranges: list[list[int]] = []
    for code in filter(_is_of_a_word, codes):
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)
