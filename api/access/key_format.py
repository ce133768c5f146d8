"""How an API key is written: `aw_`, its id, `_`, 32 characters of secret and 6 of checksum.

The prefix and the checksum let secret scanners recognise a leaked key without false alarms, and a slip of copying
never asks the database. The secret has 190 bits, so a plain SHA-256 of it is as good as a slow hash.
"""

import hashlib
import re
import secrets
import string
import zlib
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from api.access.principal import Scope
from schemas.api_keys import ApiKey

_ALPHABET: Final = string.digits + string.ascii_letters
_ID: Final = 10
_SECRET: Final = 32
_CHECKSUM: Final = 6

PATTERN: Final = rf"aw_[0-9A-Za-z]{{{_ID}}}_[0-9A-Za-z]{{{_SECRET + _CHECKSUM}}}"
"""What every key matches, for secret scanners too."""

_KEY: Final = re.compile(PATTERN, re.ASCII)


def new_key(scopes: Iterable[Scope], *, name: str, assistant: str | None, at: datetime) -> tuple[str, ApiKey]:
    """Make a key: its text, which is shown once, and what is stored of it."""
    key_id = _random(_ID)
    body = f"aw_{key_id}_{_random(_SECRET)}"
    text = body + _checksum(body)
    return text, ApiKey(key_id, digest_of(text), name, tuple(sorted(set(scopes))), assistant, at)


def id_in(text: str) -> str | None:
    """Give the id of a key, None when this cannot be a key."""
    if _KEY.fullmatch(text) is None or _checksum(text[:-_CHECKSUM]) != text[-_CHECKSUM:]:
        return None
    return text[3 : 3 + _ID]


def digest_of(text: str) -> bytes:
    """Give what is stored in place of a key."""
    return hashlib.sha256(text.encode()).digest()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(text: str) -> str:
    number, digits = zlib.crc32(text.encode()), ""
    while len(digits) < _CHECKSUM:
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
