"""Labels of managers: positive, negative or taken back, for one conversation or many at once."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal, Self

import msgspec
from annotated_types import MaxLen, MinLen
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, model_validator
from pydantic_core import PydanticCustomError

from api.access.principal import Principal
from api.parts import Parts
from api.problems import Fault, Problem
from api.queries.latest import labelled_at
from api.writing.ids import event_id
from api.writing.log import Outgoing
from api.writing.moments import MOMENTS, Moments, iso, moment
from api.writing.outcome import Status, status_of
from schemas.events import MAX_CONVERSATION_ID, MAX_NAME, AssistantName, Count, Id, Label, Text
from schemas.facts import Key
from schemas.topics import LABELS, MAX_RECORD_BYTES

MOST: Final = 1_000
"""Conversations that one request may label."""
CLEAR: Final = "clear"
_MOST_TEXT: Final = MAX_RECORD_BYTES - 32_768
"""Bytes that reason and correction may have together: the rest of a record is for all else that a label says."""
_MOST_BYTES: Final = 4 << 20
"""Bytes that they may have in all label events of one request, each of which repeats them."""
_WHAT: Final = "label"


def _absent(value: object) -> object:
    return None if value == "" else value


def _label(value: object) -> object:
    return None if value == CLEAR else value


MaybeText = Annotated[Text | None, BeforeValidator(_absent)]
MaybeId = Annotated[Id | None, BeforeValidator(_absent)]
ConversationId = Annotated[str, Strict(), MinLen(1), MaxLen(MAX_CONVERSATION_ID)]
Verdict = Annotated[Label | None, BeforeValidator(_label, json_schema_input_type=Label | Literal["clear"] | None)]


class Labelled(BaseModel):
    """A conversation to label."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    assistant: AssistantName = Field(description="its assistant")
    conversation_id: ConversationId = Field(description="its id")
    seen_messages: Count | None = Field(None, description="how many messages were there to be seen when this was said")

    @property
    def key(self) -> Key:
        """Which one it is."""
        return self.assistant, self.conversation_id


class LabelCommand(BaseModel):
    """One verdict on one conversation or many; who gives it is who is signed in, or whose key it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: Verdict = Field(description="the verdict; `clear` or null takes the one that there is back")
    conversations: Annotated[tuple[Labelled, ...], MinLen(1), MaxLen(MOST)] = Field(description="each of them once")
    reason: MaybeText = Field(None, description="why")
    correction: MaybeText = Field(None, description="the answer that should have been given; with a label only")
    message_id: MaybeId = Field(
        None, description="the message that the correction is about; with a correction, for one conversation only"
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if len({one.key for one in self.conversations}) < len(self.conversations):
            raise PydanticCustomError("named_twice", "each conversation may be named once only")
        if self.correction is not None and self.label is None:
            raise PydanticCustomError("correction_alone", "a correction goes with a label: positive or negative")
        if self.message_id is not None and (self.correction is None or len(self.conversations) > 1):
            raise PydanticCustomError("message_alone", "message_id goes with a correction of one conversation")
        texts = len(msgspec.json.encode((self.reason, self.correction)))
        if texts > _MOST_TEXT or texts * len(self.conversations) > _MOST_BYTES:
            raise PydanticCustomError("too_long", "reason and correction are too long for so many conversations")
        return self


class LabelOutcome(BaseModel):
    """What became of the label of one conversation."""

    assistant: str
    conversation_id: str
    event_id: str = Field(description="the id of the label event; the row's label_id once it is there")
    status: Status = Field(description="accepted: kept for good; unavailable: not acknowledged in time")
    at: datetime = Field(description="when it was given, as the event says; after the label that it replaces")
    known: bool | None = Field(
        description="whether it has a row; the label of one that has none waits for it; null: cannot be said now"
    )


class LabelResult(BaseModel):
    """What became of a command, conversation by conversation, in its order."""

    labels: list[LabelOutcome]

    @property
    def taken(self) -> bool:
        """Whether all of it was taken for certain."""
        return all(one.status is Status.ACCEPTED for one in self.labels)


async def label_conversations(
    parts: Parts,
    principal: Principal,
    command: LabelCommand,
    idempotency_key: str | None = None,
    moments: Moments = MOMENTS,
) -> LabelResult:
    """Write a label event for each conversation. Raises Problem 403, before any is written, when one is not theirs.

    Under one idempotency key the first label of a conversation counts: the same sent again, or another under the same
    key, changes nothing, and so brings no label back that was undone in the meantime.
    """
    _refuse_foreign(principal, command)
    keys = [one.key for one in command.conversations]
    before = await labelled_at(parts.queries, keys)
    events, outcomes = [], []
    for one in command.conversations:
        replaced = (before or {}).get(one.key)
        at = moments.next(one.key, replaced + 1 if replaced is not None else 0)
        name = event_id(principal, _WHAT, one.key, idempotency_key)
        events.append(Outgoing(LABELS, one.conversation_id, _event(command, one, name, at, principal)))
        known = None if before is None else one.key in before
        outcomes.append((one, name, at, known))
    taken = await parts.log.append(events)
    return LabelResult(
        labels=[
            LabelOutcome(
                assistant=one.assistant,
                conversation_id=one.conversation_id,
                event_id=name,
                status=status_of(there),
                at=moment(at),
                known=known,
            )
            for (one, name, at, known), there in zip(outcomes, taken, strict=True)
        ]
    )


def _refuse_foreign(principal: Principal, command: LabelCommand) -> None:
    faults = [
        Fault(where=f"conversations.{place}.assistant", what=f"only {principal.assistant} is yours")
        for place, one in enumerate(command.conversations)
        if not principal.sees(one.assistant)
    ]
    if faults:
        raise Problem(
            HTTPStatus.FORBIDDEN,
            f"{principal.name} may label conversations of {principal.assistant} only; none was labelled.",
            title="Not yours",
            faults=faults,
        )


def _event(command: LabelCommand, one: Labelled, name: str, at: int, principal: Principal) -> bytes:
    members: dict[str, Any] = {
        "id": name,
        "type": "label.cleared" if command.label is None else "label.set",
        "assistant": one.assistant,
        "conversation_id": one.conversation_id,
        "at": iso(at),
        "label": command.label,
        "by": principal.name[:MAX_NAME],
        "reason": command.reason,
        "correction": command.correction,
        "message_id": command.message_id,
        "seen_messages": None if command.label is None else one.seen_messages,
    }
    return msgspec.json.encode({name: value for name, value in members.items() if value is not None})
