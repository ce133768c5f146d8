"""Conversations in memory, bounded in bytes: as they are, or packed where more are live than fit so.

Packed, a conversation takes a third of the memory, and some 15 µs to be brought back, where reading it from ClickHouse
again takes 150 to 300. Dropped are those that no recent epoch touched.
"""

from collections.abc import Callable
from itertools import islice
from typing import Final

from processors.conversation import Conversation
from schemas.facts import Key

UNPACKED_SHARE: Final = 0.25
"""Of the limit, what stays for conversations as they are when all that is live does not fit so."""
PACKED_BYTES: Final = 400
"""Beside the packed bytes: their object, the key, the place in the cache; checked against tracemalloc in the tests."""
_PORTION: Final = 1_000


class Cache:
    """A worker's recent conversations. Any of them may be dropped once it is flushed: the next event reloads it.

    `bytes`: what all of them take, by their own estimate (`Conversation.size`).
    """

    def __init__(self, limit: int, unpack: Callable[[Key, bytes], Conversation]) -> None:
        """`limit`: in bytes; `unpack` makes a conversation again of what its `pack` gave."""
        self.limit = limit
        self.bytes = 0
        self._unpack = unpack
        self._all: dict[Key, Conversation] = {}
        self._packed: dict[Key, bytes] = {}
        self._packed_bytes = 0

    def __len__(self) -> int:
        return len(self._all) + len(self._packed)

    def __contains__(self, key: Key) -> bool:
        return key in self._all or key in self._packed

    @property
    def packed(self) -> int:
        """How many of the conversations are packed."""
        return len(self._packed)

    def __getitem__(self, key: Key) -> Conversation:
        """Give a conversation, unpacked. Raises KeyError when it is not here."""
        found = self._all.get(key)
        if found is None:
            packed = self._packed.pop(key)
            self._count_packed(-len(packed) - PACKED_BYTES)
            found = self._unpack(key, packed)
            self._add(found)
        return found

    def put(self, conversation: Conversation) -> None:
        """Add a conversation, as the most recent."""
        self.drop(conversation.key)
        self._add(conversation)

    def _add(self, conversation: Conversation) -> None:
        conversation.counted = conversation.size
        self.bytes += conversation.size
        self._all[conversation.key] = conversation

    def drop(self, key: Key) -> None:
        """Forget a conversation; nothing when it is not here."""
        former = self._all.pop(key, None)
        if former is not None:
            self.bytes -= former.counted
            former.counted = 0
        packed = self._packed.pop(key, None)
        if packed is not None:
            self._count_packed(-len(packed) - PACKED_BYTES)

    def clear(self) -> None:
        """Forget all."""
        self._all.clear()
        self._packed.clear()
        self.bytes = self._packed_bytes = 0

    def evict(self) -> int:
        """Pack conversations, and drop packed ones, until the limit is kept; gives how many were dropped.

        Called when all of them are flushed.
        """
        if self.bytes <= self.limit:
            return 0
        self._pack()
        dropped = 0
        while self.bytes > self.limit:  # the first to be packed are those that nobody touched for longest
            for key in [*islice(self._packed, _PORTION)]:
                self.drop(key)
                dropped += 1
                if self.bytes <= self.limit:
                    break
        return dropped

    def _pack(self) -> None:
        """Pack until the limit is kept, or what is left as it is has its share.

        A second chance in the order in which they came: who was touched since it was last looked at goes to the end.
        So nothing has to be kept in order while conversations are written.
        """
        everything, share = self._all, self.limit * UNPACKED_SHARE
        while self.bytes > self.limit and self.bytes - self._packed_bytes > share:
            for one in [*islice(everything.values(), _PORTION)]:  # each comes a second time at most
                del everything[one.key]
                if one.epoch > one.looked_at:
                    one.looked_at = one.epoch
                    everything[one.key] = one
                    continue
                self.bytes -= one.counted
                one.counted = 0
                packed = self._packed[one.key] = one.pack()
                self._count_packed(len(packed) + PACKED_BYTES)
                if self.bytes <= self.limit or self.bytes - self._packed_bytes <= share:
                    break

    def _count_packed(self, more: int) -> None:
        self._packed_bytes += more
        self.bytes += more
