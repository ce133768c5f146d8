"""Words for people: times, and text of others made harmless for a terminal."""

import codecs
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

_PICTURES: Final = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "\N{SYMBOL FOR DELETE}"}
_ESCAPED: Final = (*range(0x80, 0xA0), 0xAD, 0x61C, 0x200B, 0x200E, 0x200F, 0xFEFF, *range(0x2028, 0x202F))
_ISOLATES: Final = (*range(0x2060, 0x2070), *range(0xD800, 0xE000), *range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080))

# What moves the cursor, turns the direction of writing or shows nothing; joiners stay, scripts and emoji need them.
_VISIBLE: Final = _PICTURES | {
    code: f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}" for code in (*_ESCAPED, *_ISOLATES)
}
_ON_SCREEN: Final = {code: shown for code, shown in _VISIBLE.items() if chr(code) not in "\n\t"}


def iso(milliseconds: int) -> str:
    """Write epoch milliseconds as ISO 8601 in UTC, to the millisecond."""
    seconds, rest = divmod(milliseconds, 1_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03}Z"


def visible(text: str | bytes, characters: int | None = None) -> str:
    """Make every control character of a text visible, in one line, cut behind so many characters."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    if characters is not None and len(text) > characters:
        text = text[: characters - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return text.translate(_VISIBLE)


def on_screen(pieces: Iterable[bytes | memoryview]) -> Iterator[str]:
    """Make what comes in pieces harmless for a terminal: lines and tabs stay, other control characters show."""
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    for piece in pieces:
        yield decoder.decode(bytes(piece)).translate(_ON_SCREEN)
    yield decoder.decode(b"", final=True).translate(_ON_SCREEN)


def one_line(text: str, characters: int = 1_000) -> str:
    """Bring a message to one harmless line."""
    return visible(re.sub(r"\s+", " ", text).strip(), characters)


def counted(count: int, one: str, many: str | None = None) -> str:
    """Say how many there are of something: 1 row, 2 rows, 1,234 rows."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
