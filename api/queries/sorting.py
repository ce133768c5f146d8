"""The order of a list, and where a page of it begins.

A page is found by the values of the row beside it, not by a number of rows to skip: it costs the same everywhere, and
rows that come and go do not shift it. Pages lie behind a row or before it.
"""

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

from api.problems import Problem
from schemas.conversation import COLUMNS, ConversationRow
from schemas.events import MAX_CONVERSATION_ID
from schemas.facts import Key

MAX_CURSOR: Final = 6_000
"""No cursor has more characters."""

_TEXT_CHARACTERS: Final = 100
"""Texts are compared by so many characters: a correction may have 262,144, and the cursor holds what is compared."""

_TEXTS: Final = frozenset({"String", "LowCardinality(String)"})
_UNSORTED: Final = frozenset({"is_deleted"})  # the same in every row that is ever shown
COLUMNS_SORTED: Final[tuple[str, ...]] = tuple(
    name for name, kind in COLUMNS.items() if not kind.startswith(("Map", "Array")) and name not in _UNSORTED
)
"""What a list can be sorted by: every column that holds one value."""

SORTS: Final[tuple[str, ...]] = tuple(sign + name for name in COLUMNS_SORTED for sign in ("", "-"))
"""Every sort: a column, with '-' before it for the greatest first."""

DEFAULT_SORT: Final = "-started_at"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_LAST_MS: Final = 10_413_791_999_999  # DateTime64(3)
_DAYS: Final = 0xFFFF  # Date
_BITS: Final = {"Bool": 1, "UInt8": 8, "UInt32": 32, "UInt64": 64}


def _unwrapped(kind: str) -> str:
    return kind.removeprefix("Nullable(").removesuffix(")") if kind.startswith("Nullable(") else kind


@dataclass(frozen=True, slots=True)
class Sort:
    """By one column. Rows without a value (NULL or '') come last both ways; ties go by (assistant, conversation_id)."""

    column: str
    descending: bool = False

    @classmethod
    def parse(cls, text: str) -> "Sort":
        """Read `started_at` or `-started_at`; raises ValueError that names the columns."""
        column = text.removeprefix("-")
        if column not in COLUMNS_SORTED:
            raise ValueError(f"no column to sort by is called that; there are {', '.join(COLUMNS_SORTED)}")
        return cls(column, text.startswith("-"))

    def __str__(self) -> str:
        return f"-{self.column}" if self.descending else self.column

    @property
    def kind(self) -> str:
        """The column's ClickHouse type without Nullable."""
        return _unwrapped(COLUMNS[self.column])

    @property
    def expression(self) -> str:
        """What is compared, in SQL; NULL where there is no value. Of texts the first characters."""
        column = f"c.{self.column}"
        if self.column == "conversation_id":
            return column
        if self.kind in _TEXTS:
            return f"nullIf(substringUTF8({column}, 1, {_TEXT_CHARACTERS}), '')"
        return column

    @property
    def may_be_absent(self) -> bool:
        """Whether rows can lack a value."""
        return self.expression.startswith("nullIf") or COLUMNS[self.column].startswith("Nullable(")

    def order_by(self, *, backwards: bool = False) -> str:
        """Write the ORDER BY, or its exact reverse."""
        way = "DESC" if self.descending != backwards else "ASC"
        nulls = ("FIRST" if backwards else "LAST") if self.may_be_absent else ""
        ties = "DESC" if backwards else "ASC"
        first = f"{self.expression} {way}{f' NULLS {nulls}' if nulls else ''}"
        return f"{first}, c.assistant {ties}, c.conversation_id {ties}"

    def value_of(self, row: ConversationRow) -> object:
        """Give what is compared of a row, as a cursor holds it: times as epoch milliseconds, days as a number."""
        value = getattr(row, self.column)
        if isinstance(value, datetime):
            return (value - _EPOCH) // _MILLISECOND
        if isinstance(value, date):
            return (value - _EPOCH.date()).days
        if isinstance(value, str) and self.column != "conversation_id":
            return value[:_TEXT_CHARACTERS] or None
        return int(value) if isinstance(value, bool) else value

    @staticmethod
    def day_of(value: int) -> date:
        """Give the UTC day of a time, as `value_of` gives it."""
        return (_EPOCH + value * _MILLISECOND).date()


class Direction(StrEnum):
    """Which way a page lies from its cursor."""

    AFTER = "after"
    BEFORE = "before"


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins or ends: at a row, given by its value and key, which does not belong to the page.

    `position`: so many rows of the list lie before the page (`after`), or before that row (`before`).
    """

    sort: Sort
    direction: Direction
    value: Any
    key: Key
    position: int = 0

    @classmethod
    def at(cls, row: ConversationRow, sort: Sort, direction: Direction, position: int = 0) -> "Cursor":
        """Point at a row."""
        return cls(sort, direction, sort.value_of(row), (row.assistant, row.conversation_id), position)

    @classmethod
    def parse(cls, text: str, sort: Sort) -> "Cursor":
        """Read what `str` wrote; anything else, or one of another sort, raises Problem 400."""
        try:
            said, direction, value, assistant, conversation_id, position = json.loads(
                urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
            )
            cursor = cls(Sort.parse(said), Direction(direction), value, (assistant, conversation_id), position)
        except (ValueError, TypeError, AttributeError, binascii.Error, RecursionError):
            raise _broken(
                "This cursor cannot be read. Take `next` or `previous` as they are, or begin without."
            ) from None
        if cursor.sort != sort:
            raise _broken(f"This cursor belongs to sort={cursor.sort}, not to sort={sort}. Begin without it.")
        if not cursor._is_right():
            raise _broken("This cursor holds what no row has. Begin without it.")
        return cursor

    def __str__(self) -> str:
        parts = [str(self.sort), self.direction, self.value, *self.key, self.position]
        written = json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode()
        return urlsafe_b64encode(written).rstrip(b"=").decode()

    def condition(self) -> tuple[str, Mapping[str, object]]:
        """Say in SQL which rows lie on the cursor's side, and what is bound."""
        after = self.direction is Direction.AFTER
        bound: dict[str, object] = {"at_assistant": self.key[0], "at_id": self.key[1]}
        ties = f"(c.assistant, c.conversation_id) {'>' if after else '<'} ({{at_assistant:String}}, {{at_id:String}})"
        expression = self.sort.expression
        if self.value is None:
            side = f"{expression} IS NULL AND {ties}" if after else f"({expression} IS NOT NULL OR {ties})"
            return side, bound
        bound["at_value"] = self.value
        kind = self.sort.kind
        value = _BOUND.get(kind, "{at_value:String}" if kind in _TEXTS else f"{{at_value:{kind}}}")
        beyond = f"{expression} {'>' if after != self.sort.descending else '<'} {value}"
        if after and self.sort.may_be_absent:
            beyond += f" OR {expression} IS NULL"
        return f"({beyond} OR ({expression} = {value} AND {ties}))", bound

    def _is_right(self) -> bool:
        """Whether all parts can be what they should be: the text came from outside."""
        assistant, conversation_id = self.key
        texts = [assistant, conversation_id, self.value if isinstance(self.value, str) else ""]
        return (
            all(isinstance(one, str) and len(one) <= MAX_CONVERSATION_ID and _is_encodable(one) for one in texts)
            and type(self.position) is int
            and 0 <= self.position <= 1 << 53
            and self._value_is_right()
        )

    def _value_is_right(self) -> bool:
        if self.value is None:
            return self.sort.may_be_absent
        kind = self.sort.kind
        if kind in _TEXTS:
            return isinstance(self.value, str)
        most = (1 << _BITS[kind]) - 1 if kind in _BITS else _DAYS if kind == "Date" else _LAST_MS
        return type(self.value) is int and 0 <= self.value <= most


_BOUND: Final = {
    "DateTime64(3, 'UTC')": "fromUnixTimestamp64Milli({at_value:Int64}, 'UTC')",
    "Date": "toDate({at_value:UInt16})",
    "Bool": "{at_value:UInt8}",
}
"""How a cursor's value is written where its type is not the column's."""


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _broken(why: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, why, title="The cursor is not of this list")
