"""What a better answer replaces, word by word."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

_TOKENS: Final = re.compile(r"\w+\s*|[^\w\s]\s*|\s+")
_MAX_TOKENS: Final = 1_500
"""Longer texts are shown one above the other: comparing takes time with the square of their length."""

_LIKENESS: Final = 0.35
"""Below it a difference by words reads as noise."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of words. `kind`: `same`, `old` (replaced) or `new`."""

    kind: str
    text: str


def difference(old: str, new: str) -> list[Piece]:
    """Give what became of `old`, in order; two pieces, all old and all new, where they have little in common."""
    before, after = _TOKENS.findall(old), _TOKENS.findall(new)
    if max(len(before), len(after)) > _MAX_TOKENS:
        return _whole(old, new)
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    if matcher.quick_ratio() < _LIKENESS or matcher.ratio() < _LIKENESS:
        return _whole(old, new)
    pieces: list[Piece] = []
    for what, i, j, k, m in matcher.get_opcodes():
        if what == "equal":
            pieces.append(Piece("same", "".join(before[i:j])))
            continue
        pieces.extend(
            Piece(kind, text) for kind, text in (("old", "".join(before[i:j])), ("new", "".join(after[k:m]))) if text
        )
    return pieces


def _whole(old: str, new: str) -> list[Piece]:
    return [piece for piece in (Piece("old", old), Piece("new", new)) if piece.text]
