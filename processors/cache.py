"""Conversations in memory, bounded in bytes, those dropped first that no recent epoch touched."""

from processors.conversation import Conversation
from schemas.facts import Key


class Cache:
    """A worker's recent conversations. Any of them may be dropped once it is flushed: the next event reloads it."""

    def __init__(self, limit: int) -> None:
        """`limit`: bytes, by the conversations' own estimate (`Conversation.size`)."""
        self.limit = limit
        self.bytes = 0
        self._all: dict[Key, Conversation] = {}
        self.get = self._all.get

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, key: Key) -> bool:
        return key in self._all

    def put(self, conversation: Conversation) -> None:
        """Add a conversation, as the most recent."""
        self.drop(conversation.key)
        conversation.counted = conversation.size
        self.bytes += conversation.size
        self._all[conversation.key] = conversation

    def drop(self, key: Key) -> None:
        """Forget a conversation; nothing when it is not here."""
        former = self._all.pop(key, None)
        if former is not None:
            self.bytes -= former.counted
            former.counted = 0

    def clear(self) -> None:
        """Forget all."""
        self._all.clear()
        self.bytes = 0

    def evict(self) -> int:
        """Drop conversations until the limit is kept; gives how many. Called when all of them are flushed.

        A second chance in the order in which they came: who was touched since it was last looked at goes to the end.
        So nothing has to be kept in order while conversations are written.
        """
        if self.bytes <= self.limit:
            return 0
        everything, dropped = self._all, 0
        for one in [*everything.values()] * 2:  # the second time nobody has another chance
            if self.bytes <= self.limit:
                break
            if not one.counted:
                continue
            if one.epoch > one.looked_at:
                one.looked_at = one.epoch
                everything[one.key] = everything.pop(one.key)
                continue
            self.drop(one.key)
            dropped += 1
        return dropped
