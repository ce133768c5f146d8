"""The row of the table `conversations`: its columns, their types and what they mean. Dashboards depend on the names."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

MAX_CAUSES = 50
"""So many fallback causes stand in a row; the rest stays in the facts."""


class FallbackCause(BaseModel):
    """One tag: which event, by which rule, why."""

    model_config = ConfigDict(frozen=True)

    event_id: str
    rule: str
    reason: str
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Column:
    """The ClickHouse type of a column."""

    type: str


_TEXT = Column("String")
_WORD = Column("LowCardinality(String)")
_TIME = Column("DateTime64(3, 'UTC')")
_MAYBE_TIME = Column("Nullable(DateTime64(3, 'UTC'))")
_BOOL = Column("Bool")
_COUNT = Column("UInt32")


class ConversationRow(BaseModel):
    """One conversation, as its facts say. Absent texts are '', absent numbers and times NULL; times are UTC."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)

    assistant: Annotated[str, _WORD] = Field(description="which assistant")
    conversation_id: Annotated[str, _TEXT] = Field(description="unique identifier within the assistant")
    opened_on: Annotated[date, Column("Date")] = Field(description="UTC day of started_at; part of the sort key")
    started_at: Annotated[datetime, _TIME] = Field(description="earliest conversation or message event")
    last_activity_at: Annotated[datetime, _TIME] = Field(description="latest message by user, assistant or agent")
    closes_at: Annotated[datetime, _TIME] = Field(description="last_activity_at plus the idle gap")
    closed: Annotated[bool, _BOOL] = Field(description="whether the conversation has ended")
    ended_at: Annotated[datetime | None, _MAYBE_TIME] = Field(description="when it ended; NULL while open")
    close_reason: Annotated[str, _WORD] = Field(description="ended (announced), idle, or '' while open")
    duration_ms: Annotated[int | None, Column("Nullable(UInt64)")] = Field(
        description="ended_at minus started_at in milliseconds; NULL while open"
    )
    reopened: Annotated[int, _COUNT] = Field(description="how often it came to life again after a close")
    messages: Annotated[int, _COUNT] = Field(description="messages by user and assistant")
    user_messages: Annotated[int, _COUNT] = Field(description="messages by the user")
    agent_messages: Annotated[int, _COUNT] = Field(description="messages by human agents, not among `messages`")
    queries: Annotated[int, _COUNT] = Field(description="unique questions of the user")
    rating: Annotated[int | None, Column("Nullable(UInt8)")] = Field(
        description="latest rating, 1 to 5; rated means rating IS NOT NULL"
    )
    feedback: Annotated[str, _TEXT] = Field(description="latest comment beside a rating")
    has_feedback: Annotated[bool, _BOOL] = Field(description="whether there is a comment")
    user_id: Annotated[str, _TEXT] = Field(description="internal identifier of the user")
    user_name: Annotated[str, _TEXT] = Field(description="name or alias of that user")
    channel: Annotated[str, _WORD] = Field(description="channel of the conversation")
    device: Annotated[str, _WORD] = Field(description="type of device, said or from the user agent")
    location: Annotated[str, _WORD] = Field(description="where the user is, or the country")
    language: Annotated[str, _WORD] = Field(description="language said, or detected from the first user messages")
    topic: Annotated[str, _WORD] = Field(description="main subject")
    subtopic: Annotated[str, _WORD] = Field(description="subject within the topic")
    attributes: Annotated[dict[str, str], Column("Map(String, String)")] = Field(
        description="whatever else was said, merged key by key"
    )
    escalated: Annotated[bool, _BOOL] = Field(description="an escalation, or a message by a human agent")
    claimed: Annotated[bool, _BOOL] = Field(
        description="taken over by a human: a message by an agent, or an assignment"
    )
    assigned_to: Annotated[str, _WORD] = Field(description="agent responsible")
    team: Annotated[str, _WORD] = Field(description="team responsible")
    fallbacks: Annotated[int, _COUNT] = Field(description="messages tagged as fallback")
    fallback_causes: Annotated[
        list[FallbackCause],
        Column("Array(Tuple(event_id String, rule String, reason String, confidence Nullable(Float64)))"),
    ] = Field(description=f"what tagged them, in order, the first {MAX_CAUSES}")
    label: Annotated[str, _WORD] = Field(description="positive, negative or ''")
    correction: Annotated[str, _TEXT] = Field(description="the answer that should have been given")
    label_id: Annotated[str, _TEXT] = Field(description="id of the latest label event")
    labelled_by: Annotated[str, _WORD] = Field(description="who gave or took it back")
    labelled_at: Annotated[datetime | None, _MAYBE_TIME] = Field(description="when")
    label_reason: Annotated[str, _TEXT] = Field(description="why")
    label_stale: Annotated[bool, _BOOL] = Field(description="messages came after the manager looked")
    version: Annotated[int, Column("UInt64")] = Field(
        description="erasures·2^56 + facts·2^24 + fold revision·2^17 + rules revision·2 + closed"
    )
    is_deleted: Annotated[bool, Column("UInt8")] = Field(description="1 in a row that hides a former one")
    updated_at: Annotated[datetime, _TIME] = Field(
        description="when the row was sent to ClickHouse; not part of the conversation"
    )


def _types() -> dict[str, str]:
    types = {}
    for name, field in ConversationRow.model_fields.items():
        types[name] = next(one.type for one in field.metadata if isinstance(one, Column))
    return types


COLUMNS: dict[str, str] = _types()
"""Name and ClickHouse type of every column, in the table's order."""

PROCESSING_COLUMNS = frozenset({"updated_at"})
"""Columns that speak of the processing, not of the conversation: left out when rows are compared."""


@dataclass(slots=True)
class RowColumns:
    """Rows of one flush: a list per column of `COLUMNS`, all of one length.

    Times are epoch milliseconds, `opened_on` days since 1970-01-01, booleans and `is_deleted` bool, `attributes` a
    dictionary or None, `fallback_causes` a list of (event_id, rule, reason, confidence) or None.
    """

    columns: dict[str, list[Any]]

    def __len__(self) -> int:
        return len(self.columns["version"])

    @classmethod
    def empty(cls) -> Self:
        """Make columns without rows."""
        return cls({name: [] for name in COLUMNS})

    def extend(self, more: "RowColumns") -> None:
        """Append all rows of `more`."""
        for name, column in self.columns.items():
            column.extend(more.columns[name])

    def take(self, indices: Sequence[int]) -> "RowColumns":
        """Copy the rows at these places, in this order."""
        return RowColumns({name: [column[i] for i in indices] for name, column in self.columns.items()})


class Version:
    """The number that decides which of two rows says more: it grows with every change and needs no stored counter."""

    ERASURE_SHIFT = 56
    FACT_SHIFT = 24
    FOLD_SHIFT = 17
    RULES_SHIFT = 1

    @staticmethod
    def facts(version: int) -> tuple[int, int]:
        """Give (erasures, facts) of a version: what it says of the set it was made from."""
        return version >> Version.ERASURE_SHIFT, (version >> Version.FACT_SHIFT) & 0xFFFFFFFF

    @staticmethod
    def revisions(version: int) -> tuple[int, int]:
        """Give (fold revision, rules revision) of a version."""
        return (version >> Version.FOLD_SHIFT) & 0x7F, (version >> Version.RULES_SHIFT) & 0xFFFF
