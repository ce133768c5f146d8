"""Which conversations: the parameters that lists, exports, facets, statistics and pages have in common.

The address is the whole state: a selection is made from a query string and gives the same query string back.
"""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Final, Self
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from api.queries.sorting import DEFAULT_SORT, MAX_CURSOR, SORTS, Sort
from schemas.events import MAX_NAME

NONE: Final = "(none)"
"""Selects conversations where a column is empty, since an empty parameter is what a form sends for "any"."""

MAX_VALUES: Final = 100
"""So many values of one filter at most."""

MAX_LIMIT: Final = 200
"""So many rows of a page at most."""


class Section(StrEnum):
    """The subsections of Learning."""

    ALL = "all"
    POSITIVE = "positive"
    NEGATIVE = "negative"
    FALLBACK = "fallback"


class Range(StrEnum):
    """The time ranges, by started_at; all but `custom` end now."""

    DAY = "24h"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"
    CUSTOM = "custom"


LENGTHS: Final = {
    Range.DAY: timedelta(hours=24),
    Range.WEEK: timedelta(days=7),
    Range.MONTH: timedelta(days=30),
    Range.YEAR: timedelta(days=365),
}
"""How long the ranges are that end now."""


class State(StrEnum):
    """Archived conversations (closed), those that go on (open), or both."""

    CLOSED = "closed"
    OPEN = "open"
    ALL = "all"


_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 2100
_PLUS_READ_AS_SPACE: Final = re.compile(r"(T.*) (\d\d:?\d\d)$")


@cache
def _zones() -> frozenset[str]:
    # Found by their files: what only a machine's own link says means something else to ClickHouse.
    return frozenset(available_timezones() - {"localtime"})


def _known_zone(name: str) -> str:
    if name not in _zones():
        raise PydanticCustomError("zone", "no time zone is called that; one is Europe/Madrid, another UTC")
    return name


def _point(given: str, zone: ZoneInfo, *, end: bool) -> datetime:
    """Read a date or a time, in `zone` unless it says where; as an end, a date alone is the end of that day.

    Raises ValueError.
    """
    given = _PLUS_READ_AS_SPACE.sub(r"\1+\2", given)
    try:
        day = date.fromisoformat(given)
    except ValueError:
        at = datetime.fromisoformat(given)
        at = at if at.tzinfo else at.replace(tzinfo=zone)
    else:
        at = datetime.combine(day + timedelta(days=1) if end else day, time(), zone)
    at = at.astimezone(UTC)
    if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
        raise ValueError(at.year)
    return at


def _listed(given: Any) -> Any:
    """Make a list of what may be one value, leave out what a form sends for "any", and what is said twice."""
    if isinstance(given, str):
        given = [given]
    return list(dict.fromkeys(one for one in given if one != "")) if isinstance(given, list | tuple) else given


_TIME_SCHEMA: Final = {"type": "string", "anyOf": [{"format": "date"}, {"format": "date-time"}]}

Value = Annotated[str, StringConstraints(max_length=MAX_NAME)]
Values = Annotated[tuple[Value, ...], Field(max_length=MAX_VALUES), BeforeValidator(_listed)]
Zone = Annotated[str, AfterValidator(_known_zone)]
Point = Annotated[str, StringConstraints(max_length=64), Field(json_schema_extra=_TIME_SCHEMA)]


class Selection(BaseModel):
    """Filters; what is absent, or an empty text, selects everything. Several values of one filter mean any of them.

    `(none)` as a value selects conversations where the column is empty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=False)

    section: Section = Field(
        Section.ALL, description="positive and negative: by label; fallback: at least one fallback"
    )
    state: State = Field(State.CLOSED, description="closed: archived conversations; open: those that go on; all")
    range: Range | None = Field(None, description="by started_at; absent: everything. week 7, month 30, year 365 days")
    zone: Zone = Field("UTC", description="IANA time zone of `from`, `to` and of the days of statistics")
    from_: Point | None = Field(
        None, alias="from", description="with range=custom: the beginning; a date or a time without offset is in `zone`"
    )
    to: Point | None = Field(
        None, description="with range=custom: the end, not included; a date alone includes that day"
    )
    assistant: Values = Field((), description="which assistants")
    rated: bool | None = Field(None, description="received a rating")
    claimed: bool | None = Field(None, description="taken over by a human agent")
    escalated: bool | None = Field(None, description="went to a human agent")
    client: Value | None = Field(None, description="the user_id of one user")
    assigned_to: Values = Field((), description="the agent responsible")
    language: Values = Field((), description="language")
    topic: Values = Field((), description="main subject")
    subtopic: Values = Field((), description="subject within the topic")
    channel: Values = Field((), description="channel")
    device: Values = Field((), description="type of device")
    location: Values = Field((), description="where the user is")
    q: Annotated[str, StringConstraints(max_length=500, strip_whitespace=True)] | None = Field(
        None, description="words, all of which one message of the conversation contains"
    )

    @model_validator(mode="before")
    @classmethod
    def _blanks_are_absent(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        parameters = cls.parameters()
        return {name: value for name, value in given.items() if value != "" or name not in parameters}

    @field_validator("q", mode="before")
    @classmethod
    def _spaces_are_absent(cls, given: Any) -> Any:
        return None if isinstance(given, str) and not given.strip() else given

    @field_validator("from_", "to")
    @classmethod
    def _is_a_point(cls, given: str | None, info: ValidationInfo) -> str | None:
        if given is None or "zone" not in info.data:  # what is wrong with the zone is said already
            return given
        if "range" in info.data and info.data["range"] is not Range.CUSTOM:
            raise PydanticCustomError("not_custom", "a time belongs to range=custom")
        zone = ZoneInfo(info.data["zone"])
        try:
            at = _point(given, zone, end=info.field_name == "to")
        except (ValueError, OverflowError):
            raise PydanticCustomError(
                "point",
                "neither a date nor a time from {first} to {last}, such as 2026-11-09 or 2026-11-09T09:12+01:00",
                {"first": _FIRST_YEAR, "last": _LAST_YEAR},
            ) from None
        beginning = info.data.get("from_") if info.field_name == "to" else None
        if beginning is not None and _point(beginning, zone, end=False) >= at:
            raise PydanticCustomError("span", "the end must lie after the beginning")
        return given

    @model_validator(mode="after")
    def _custom_says_when(self) -> Self:
        if self.range is Range.CUSTOM and self.from_ is None and self.to is None:
            raise PydanticCustomError("custom", "range=custom needs from, to or both")
        return self

    @classmethod
    def parameters(cls) -> dict[str, str]:
        """Name the parameters as they stand in an address, with the fields they fill, in the order of `query`."""
        return _parameters(cls)

    @classmethod
    def from_items(cls, items: Iterable[tuple[str, str]]) -> Self:
        """Read a query string's pairs; raises pydantic's ValidationError that names the parameters.

        Of a parameter that takes one value the last counts, as everywhere here.
        """
        parameters = cls.parameters()
        given: dict[str, Any] = {}
        for name, value in items:
            if name in parameters and cls.model_fields[parameters[name]].default == ():
                given.setdefault(name, []).append(value)
            else:
                given[name] = value
        return cls.model_validate(given)

    def items(self) -> list[tuple[str, str]]:
        """Give the parameters that differ from the defaults, in a fixed order, a pair for each value."""
        pairs: list[tuple[str, str]] = []
        for name, field in self.parameters().items():
            value = getattr(self, field)
            if value != type(self).model_fields[field].default:
                values = value if isinstance(value, tuple) else (value,)
                pairs += [(name, str(one).lower() if isinstance(one, bool) else str(one)) for one in values]
        return pairs

    def query(self) -> str:
        """Give the query string of what differs from the defaults; '' when nothing does."""
        return urlencode(self.items())

    def but(self, **changes: Any) -> Self:
        """Give the same selection but for these fields, by their names here (`from_`); checked like any."""
        unknown = changes.keys() - type(self).model_fields.keys()
        assert not unknown, f"no such fields: {unknown}"
        given = {name: getattr(self, field) for name, field in self.parameters().items()}
        names = {field: name for name, field in self.parameters().items()}
        return self.model_validate(given | {names[field]: value for field, value in changes.items()})

    def span(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """Give the beginning (included) and the end (not included) of started_at, in UTC; None is unbounded."""
        if self.range is None:
            return None, None
        if self.range is not Range.CUSTOM:
            return now - LENGTHS[self.range], None
        zone = ZoneInfo(self.zone)
        return (
            None if self.from_ is None else _point(self.from_, zone, end=False),
            None if self.to is None else _point(self.to, zone, end=True),
        )


@cache
def _parameters(model: type[Selection]) -> dict[str, str]:
    return {field.alias or name: name for name, field in model.model_fields.items()}


def _known_sort(given: str) -> str:
    try:
        return str(Sort.parse(given))
    except ValueError as error:
        raise PydanticCustomError("sort", "{why}", {"why": str(error)}) from error


class ListRequest(Selection):
    """A page of a list: which conversations, in which order, from where."""

    sort: Annotated[str, AfterValidator(_known_sort), Field(json_schema_extra={"enum": list(SORTS)})] = Field(
        DEFAULT_SORT, description="a column, with `-` before it for the greatest first; rows without a value come last"
    )
    cursor: Annotated[str, StringConstraints(max_length=MAX_CURSOR)] | None = Field(
        None, description="`next` or `previous` of the page before, as it is"
    )
    limit: int = Field(50, ge=1, le=MAX_LIMIT, description="so many rows at most")

    @property
    def order(self) -> Sort:
        """The order that `sort` names."""
        return Sort.parse(self.sort)

    @property
    def selection(self) -> Selection:
        """Which conversations, without order and place."""
        return Selection.model_validate({name: getattr(self, field) for name, field in Selection.parameters().items()})
