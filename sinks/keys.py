"""Conversation keys in portions that one query can take as bound values."""

from collections.abc import Collection, Iterator

from schemas.facts import Key

PORTION_KEYS = 5_000
PORTION_BYTES = 60_000
"""A bound value travels in a form field, of which a server takes 128 KiB; quoting may double a text."""


def portions(keys: Collection[Key]) -> Iterator[tuple[str, list[str]]]:
    """Divide keys into (assistant, ids), sorted: so each query reads a stretch of the table that no other reads."""
    assistant, ids, size = "", list[str](), 0
    for next_assistant, next_id in sorted(set(keys)):
        width = 4 + (len(next_id) if next_id.isascii() else len(next_id.encode()))
        if ids and (next_assistant != assistant or len(ids) == PORTION_KEYS or size + width > PORTION_BYTES):
            yield assistant, ids
            ids, size = [], 0
        assistant = next_assistant
        ids.append(next_id)
        size += width
    if ids:
        yield assistant, ids
