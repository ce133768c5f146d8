"""What must come out of an input, as sums, and the refusal of anything else."""

from collections.abc import Mapping

import msgspec


class Differs(Exception):  # noqa: N818  (it says what happened)
    """What a contender counted is not what the input holds: what it measured means nothing."""


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over all conversations of an input, labels among its events."""

    events: int = 0
    conversations: int = 0
    messages: int = 0
    fallbacks: int = 0
    queries: int = 0

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})

    def check(self, counted: Mapping[str, int]) -> None:
        """Raise Differs when anything that a contender counted is not as it must be."""
        wrong = [
            f"{name}: counted {count:,}, the input holds {getattr(self, name):,}"
            for name, count in counted.items()
            if count != getattr(self, name)
        ]
        if wrong or not counted:
            raise Differs("; ".join(wrong) or "nothing was counted")
