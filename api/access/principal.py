"""Who asks, and what they may."""

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """A right."""

    READ = "read"
    EVENTS_WRITE = "events:write"
    LABELS_WRITE = "labels:write"
    ERASE = "erase"


@dataclass(frozen=True, slots=True)
class Principal:
    """A program with a key, or a person who signed in.

    `id`: unique, such as `key:4f1c…` or `person:ana@example.org`; what is written down as the author of a label is
    `name`. `assistant`: the only one that they may see and write, None for all of them.
    """

    id: str
    name: str
    scopes: frozenset[Scope]
    assistant: str | None = None

    def may(self, scope: Scope) -> bool:
        """Whether they have this right."""
        return scope in self.scopes

    def sees(self, assistant: str) -> bool:
        """Whether this assistant's conversations are theirs to see."""
        return self.assistant is None or self.assistant == assistant
