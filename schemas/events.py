"""The events, as a contract: frozen pydantic models, one union told apart by `type`.

JSON Schemas, the AsyncAPI document, the HTTP interface and the words of every rejection come from these models. The
worker reads records through the structs of `schemas.wire`, which are derived from them.
"""

import math
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

import msgspec
from annotated_types import Ge, Le, MaxLen
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    TypeAdapter,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

MAX_ID = 128
MAX_CONVERSATION_ID = 256
MAX_NAME = 1_024
MAX_TEXT = 262_144
ASSISTANT_PATTERN = r"^[a-z0-9._-]{1,64}$"
EARLIEST_AT = 946_684_800_000
"""2000-01-01T00:00:00Z in epoch milliseconds: nothing happened before."""
LATEST_AT = 10_413_791_999_999
"""The last millisecond of ClickHouse's DateTime64(3): it stores later ones without a word and nobody can read them."""
FUTURE_TOLERANCE = 300_000
"""Milliseconds that `at` may lie after the record's Kafka timestamp: clocks differ."""

_FAR = 10**12
"""Seconds; more of them are not counted: a number of a payload may have thousands of digits."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def epoch_ms(at: datetime | float) -> int:
    """Give `at` as epoch milliseconds, cut, never rounded.

    Raises ValueError for a time without zone and for a number that is not finite.
    """
    if type(at) is int:
        return at
    if isinstance(at, datetime):
        if at.tzinfo is None:
            raise ValueError("a time needs a zone, such as Z or +01:00")
        return (at - _EPOCH) // _MILLISECOND
    try:
        return int(at // 1)
    except (OverflowError, ValueError) as error:
        raise ValueError("a time in epoch milliseconds must be finite") from error


def ahead(at: int, now: int) -> str:
    """Say in seconds how far `at` lies after `now`, both epoch milliseconds, however far that is."""
    seconds = (at - now) // 1000
    return f"{seconds} s" if seconds < _FAR else "more than 30,000 years"


def _read_at(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int | float | datetime):
        raise PydanticCustomError("at_type", "a time is ISO 8601 text with a zone, or epoch milliseconds")
    try:
        ms = epoch_ms(msgspec.convert(value, datetime) if isinstance(value, str) else value)
    except msgspec.ValidationError as error:
        raise PydanticCustomError("at_format", "not a time in ISO 8601, such as 2026-11-09T09:12:00.250Z") from error
    except ValueError as error:
        raise PydanticCustomError("at_format", str(error)) from error
    if ms < EARLIEST_AT:
        raise PydanticCustomError("at_out_of_range", "a time lies between 2000-01-01 and now")
    return ms


def _is_attribute(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_TEXT
    return math.isfinite(value) if isinstance(value, float) else value is None or isinstance(value, int)


def _read_attributes(given: object) -> object:
    """Refuse a wrong value by itself: the union's errors, four a value, took 500 MB for 1 MiB of wrong values."""
    if isinstance(given, dict):
        for name, value in given.items():
            if not _is_attribute(value):
                raise PydanticCustomError(
                    "attribute_type",
                    "{name} is neither text of at most {limit} characters nor a finite number nor true or false",
                    {"name": repr(str(name)[:64]), "limit": MAX_TEXT},
                )
    return given


Id = Annotated[str, Strict(), MaxLen(MAX_ID)]
Name = Annotated[str, Strict(), MaxLen(MAX_NAME)]
Text = Annotated[str, Strict(), MaxLen(MAX_TEXT)]
Count = Annotated[int, Strict(), Ge(0), Le(2**53)]
Number = Annotated[float, Strict()]
Flag = Annotated[bool, Strict()]
Attributes = Annotated[
    dict[Name, Text | Annotated[int, Strict()] | Number | Flag | None], BeforeValidator(_read_attributes)
]
AssistantName = Annotated[str, Strict(), Field(pattern=ASSISTANT_PATTERN)]
At = Annotated[
    int,
    BeforeValidator(_read_at),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "number", "minimum": EARLIEST_AT}]}),
]


class Role(StrEnum):
    """Who sent a message: the person, the assistant, a human agent, or the machinery."""

    USER = "user"
    ASSISTANT = "assistant"
    AGENT = "agent"
    SYSTEM = "system"


class FallbackReason(StrEnum):
    """Why the assistant could not answer."""

    NO_KNOWLEDGE = "no_knowledge"
    LOW_CONFIDENCE = "low_confidence"
    NOT_UNDERSTOOD = "not_understood"
    ERROR = "error"
    OTHER = "other"


class Label(StrEnum):
    """A manager's verdict on a conversation."""

    POSITIVE = "positive"
    NEGATIVE = "negative"


class Part(BaseModel):
    """A piece of an event: unknown fields are ignored, explicit null and '' count as absent."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, str_strip_whitespace=False)

    @model_validator(mode="before")
    @classmethod
    def _absent(cls, given: Any) -> Any:
        if isinstance(given, dict):
            return {name: value for name, value in given.items() if value is not None and value != ""}
        return given


class User(Part):
    """The person, as the runtime knows them."""

    id: Name | None = Field(None, description="internal identifier of the user")
    name: Name | None = Field(None, description="name or alias")


class Intent(Part):
    """What the runtime took the message to mean."""

    name: Name | None = Field(None, description="name of the intent, as the runtime calls it")
    confidence: Number | None = Field(None, description="the runtime's confidence in it")


class EventBase(Part):
    """What every event says."""

    id: Id = Field(description="unique per event, chosen by the producer; a resent event keeps its id")
    assistant: AssistantName | None = Field(
        None, description="which assistant; absent is an error unless a default is configured"
    )
    conversation_id: Annotated[str, Strict(), MaxLen(MAX_CONVERSATION_ID)] = Field(
        description="which conversation; also the record's key"
    )
    seq: Count | None = Field(None, description="running number within the conversation; orders events of one `at`")
    at: At = Field(description="when it happened: ISO 8601 with zone, or epoch milliseconds; cut to milliseconds")


class Profile(EventBase):
    """What may be said of a conversation as a whole; a field present replaces the earlier one."""

    user: User | None = Field(None, description="the person")
    channel: Name | None = Field(None, description="channel of the conversation, such as web or whatsapp")
    device: Name | None = Field(None, description="the user's type of device")
    user_agent: Text | None = Field(None, description="the browser's User-Agent; gives the device when none is said")
    location: Name | None = Field(None, description="where the user is")
    country: Name | None = Field(None, description="country of the user; stands for the location when none is said")
    language: Name | None = Field(None, description="language of the conversation, as a BCP 47 tag")
    topic: Name | None = Field(None, description="main subject")
    subtopic: Name | None = Field(None, description="subject within the topic")
    attributes: Attributes | None = Field(None, description="whatever else is known, merged key by key")


class ConversationStarted(Profile):
    """A conversation began."""

    type: Literal["conversation.started"]


class ConversationUpdated(Profile):
    """Something about a conversation was learned or changed."""

    type: Literal["conversation.updated"]


class ConversationEscalated(EventBase):
    """The assistant handed the conversation over, or the user asked for a human."""

    type: Literal["conversation.escalated"]
    to: Name | None = Field(None, description="agent, team or queue it went to")
    reason: Text | None = Field(None, description="why")


class ConversationAssigned(EventBase):
    """Someone is responsible now; empty fields clear."""

    type: Literal["conversation.assigned"]
    assigned_to: Name | None = Field(None, description="the agent responsible; absent clears")
    team: Name | None = Field(None, description="the team responsible; absent clears")


class ConversationRated(EventBase):
    """The user gave feedback: a rating, a comment or both."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["rating"], "properties": {"rating": {"type": "integer"}}},
                {"required": ["comment"], "properties": {"comment": {"type": "string", "minLength": 1}}},
            ]
        }
    )

    type: Literal["conversation.rated"]
    rating: Annotated[int, Strict(), Ge(1), Le(5)] | None = Field(None, description="1 (worst) to 5 (best)")
    comment: Text | None = Field(None, description="what the user wrote beside it")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.rating is None and self.comment is None:
            raise PydanticCustomError("rated_nothing", "a rating, a comment or both are needed")
        return self


class ConversationEnded(EventBase):
    """The runtime ended the conversation."""

    type: Literal["conversation.ended"]
    reason: Text | None = Field(None, description="why")


class ConversationErased(EventBase):
    """What was said up to `at` is to be forgotten. Belongs to the topic of the labels, so that the right is apart."""

    type: Literal["conversation.erased"]
    by: Name | None = Field(None, description="who asked for it")
    reason: Text | None = Field(None, description="why")


class MessageSent(EventBase):
    """Somebody said something."""

    type: Literal["message.sent"]
    role: Role = Field(description="who sent it")
    text: Text | None = Field(None, description="what was said")
    language: Name | None = Field(None, description="language, as a BCP 47 tag")
    intent: Intent | None = Field(None, description="what the runtime took it to mean")
    confidence: Number | None = Field(None, description="the assistant's confidence in its answer")
    sources: Count | None = Field(None, description="number of knowledge passages the answer rests on")
    topic: Name | None = Field(None, description="main subject, as of this message")
    subtopic: Name | None = Field(None, description="subject within the topic")
    fallback: Flag | None = Field(None, description="the runtime calls this message a fallback")
    is_question: Flag | None = Field(None, description="the runtime's own verdict on whether this is a question")


class MessageFallback(EventBase):
    """The runtime reports that it could not answer."""

    type: Literal["message.fallback"]
    message_id: Id | None = Field(None, description="the message.sent it is about; absent: this event itself")
    reason: FallbackReason | None = Field(None, description="why; absent: other")
    confidence: Number | None = Field(None, description="the confidence that was too low")


class LabelSet(EventBase):
    """A manager judged the conversation."""

    type: Literal["label.set"]
    label: Label = Field(description="the verdict")
    by: Name | None = Field(None, description="who judged")
    reason: Text | None = Field(None, description="why")
    correction: Text | None = Field(None, description="the answer that should have been given")
    message_id: Id | None = Field(None, description="the message.sent that the correction is about")
    seen_messages: Count | None = Field(None, description="how many messages the manager had before them")


class LabelCleared(EventBase):
    """A manager took the verdict back."""

    type: Literal["label.cleared"]
    by: Name | None = Field(None, description="who took it back")
    reason: Text | None = Field(None, description="why")


EVENT_MODELS: tuple[type[EventBase], ...] = (
    ConversationStarted,
    ConversationUpdated,
    ConversationEscalated,
    ConversationAssigned,
    ConversationRated,
    ConversationEnded,
    ConversationErased,
    MessageSent,
    MessageFallback,
    LabelSet,
    LabelCleared,
)

Event = Annotated[
    ConversationStarted
    | ConversationUpdated
    | ConversationEscalated
    | ConversationAssigned
    | ConversationRated
    | ConversationEnded
    | ConversationErased
    | MessageSent
    | MessageFallback
    | LabelSet
    | LabelCleared,
    Field(discriminator="type"),
]

EVENT: TypeAdapter[Event] = TypeAdapter(Event)
"""Reads one event straight from bytes: `EVENT.validate_json(payload)`."""


def event_type(model: type[EventBase]) -> str:
    """Name the `type` that a model stands for."""
    return str(model.model_fields["type"].annotation.__args__[0])  # type: ignore[union-attr]
