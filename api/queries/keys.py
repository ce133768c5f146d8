"""Conversations by their keys, as bound values of a query."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from schemas.facts import Key

OF_KEYS: Final = "(c.assistant, c.conversation_id) IN {keys:Array(Tuple(String, String))}"
"""Whether a row of a table `AS c` is of one of the keys that `bound` binds; tables sorted by both find its place."""

PORTION_KEYS: Final = 500
PORTION_BYTES: Final = 60_000
"""A bound value travels in a form field, of which a server takes 128 KiB; quoting may double a text."""


def bound(keys: Sequence[Key]) -> dict[str, object]:
    """Give the bound value for `OF_KEYS`."""
    return {"keys": list(keys)}


def portions(keys: Iterable[Key]) -> Iterator[list[Key]]:
    """Divide keys, in their order, so that each portion can be bound."""
    portion, size = list[Key](), 0
    for key in keys:
        width = 8 + len(key[0]) + len(key[1].encode())
        if portion and (len(portion) == PORTION_KEYS or size + width > PORTION_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(key)
        size += width
    if portion:
        yield portion
