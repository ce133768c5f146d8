"""Where a conversation is at home: Kafka's default partitioner of Java, murmur2 of the key, without Kafka."""

from collections.abc import Sequence

import numpy as np

_SEED = 0x9747B28C
_FACTOR = 0x5BD1E995
_SHIFT = 24
_WORD = 0xFFFFFFFF
_POSITIVE = 0x7FFFFFFF


def murmur2(key: bytes) -> int:
    """Give the murmur2 hash of `key` as Kafka computes it, as an unsigned number of 32 bits."""
    length = len(key)
    whole = length & ~3
    h = _SEED ^ length
    for start in range(0, whole, 4):
        k = int.from_bytes(key[start : start + 4], "little") * _FACTOR & _WORD
        k = (k ^ k >> _SHIFT) * _FACTOR & _WORD
        h = h * _FACTOR & _WORD ^ k
    if whole != length:
        h = (h ^ int.from_bytes(key[whole:], "little")) * _FACTOR & _WORD
    h = (h ^ h >> 13) * _FACTOR & _WORD
    return h ^ h >> 15


def home_partition(conversation_id: str, partitions: int) -> int:
    """Give the partition that Java's default partitioner chooses for this key among so many."""
    return (murmur2(conversation_id.encode()) & _POSITIVE) % partitions


def home_partitions(ids: Sequence[str], partitions: int) -> list[int]:
    """Give the home partition of each id: `home_partition` for many at once, about 25 times faster.

    All keys lie in one buffer and are hashed side by side, word by word, the longest first: so the keys that still
    have a word at some place are a prefix, and mixed lengths cost nothing.
    """
    text = "".join(ids)
    if text.isascii():
        flat = text.encode()
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
    else:
        keys = [one.encode() for one in ids]
        flat = b"".join(keys)
        lengths = np.fromiter(map(len, keys), np.int64, len(keys))
    order = np.argsort(-lengths, kind="stable")
    starts = (np.cumsum(lengths) - lengths)[order]
    lengths = lengths[order]
    # A word at every byte; the last bytes of the buffer still need one each.
    words = np.ndarray(len(flat) + 1, "<u4", flat + bytes(4), strides=(1,))
    h = np.uint32(_SEED) ^ lengths.astype(np.uint32)
    wholes = lengths >> 2
    longest = int(wholes[0]) if len(ids) else 0
    # How many keys have more than i whole words: `wholes` falls, so its negative can be searched.
    counts = np.searchsorted(-wholes, -np.arange(longest), side="left")
    factor, shift = np.uint32(_FACTOR), np.uint32(_SHIFT)
    for i, count in enumerate(counts.tolist()):
        k = words[starts[:count] + 4 * i] * factor
        k ^= k >> shift
        k *= factor
        h[:count] = h[:count] * factor ^ k
    rest = lengths & 3
    tail = words[starts + 4 * wholes] & ((np.uint32(1) << (8 * rest).astype(np.uint32)) - np.uint32(1))
    h = np.where(rest > 0, (h ^ tail) * factor, h)
    h = (h ^ h >> np.uint32(13)) * factor
    h ^= h >> np.uint32(15)
    homes = np.empty(len(ids), np.int64)
    homes[order] = (h & np.uint32(_POSITIVE)) % np.uint32(partitions)
    homes_list: list[int] = homes.tolist()
    return homes_list
