"""Conversations in memory, bounded in bytes, the least recently written dropped first."""

from collections.abc import Container, Iterable

from processors.conversation import Conversation
from schemas.facts import Key


class Cache:
    """A worker's recent conversations. Any of them may be dropped once it is flushed: the next event reloads it."""

    def __init__(self, limit: int) -> None:
        """`limit`: bytes, by the conversations' own estimate (`Conversation.measure`)."""
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
        conversation.size = conversation.measure()
        self.bytes += conversation.size
        self._all[conversation.key] = conversation

    def drop(self, key: Key) -> None:
        """Forget a conversation; nothing when it is not here."""
        former = self._all.pop(key, None)
        if former is not None:
            self.bytes -= former.size

    def clear(self) -> None:
        """Forget all."""
        self._all.clear()
        self.bytes = 0

    def renew(self, conversations: Iterable[Conversation]) -> None:
        """Note that these were written: they are the most recent now, and their sizes may have changed."""
        everything = self._all
        for one in conversations:
            if everything.pop(one.key, None) is not one:
                continue  # dropped while it was being written
            self.bytes -= one.size
            one.size = one.measure()
            self.bytes += one.size
            everything[one.key] = one

    def evict(self, needed: Container[Key]) -> int:
        """Drop the least recent until the limit is kept, except those that are `needed`; gives how many."""
        if self.bytes <= self.limit:
            return 0
        excess, chosen = self.bytes - self.limit, []
        for key, one in self._all.items():
            if excess <= 0:
                break
            if key not in needed:
                chosen.append(key)
                excess -= one.size
        for key in chosen:
            self.drop(key)
        return len(chosen)
