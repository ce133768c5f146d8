"""`GET /v1/stream`: the ids that changed, as server-sent events, so that pages can say "3 new"."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any, Final, Self

from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from api.access.identify import REFUSALS, Reader
from api.endpoints.reading import NOT_UNDERSTOOD
from api.parts import Given
from api.problems import refused, unavailable
from api.queries.changes import Kind, Notice, changes_of
from schemas.events import MAX_CONVERSATION_ID

MOST_LISTENERS: Final = 1_000
"""So many listen to one process at once."""

_RETRY_MS: Final = 1_000

router = APIRouter(tags=["conversations"], responses={**REFUSALS, 422: refused(NOT_UNDERSTOOD)})


class StreamRequest(BaseModel):
    """Which conversations to hear of; none given: of all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    assistant: Annotated[str, StringConstraints(max_length=64)] | None = Field(None, description="of this assistant")
    conversation_id: Annotated[str, StringConstraints(max_length=MAX_CONVERSATION_ID)] | None = Field(
        None, description="of this conversation only; its row as it stands comes first"
    )

    @model_validator(mode="before")
    @classmethod
    def _blanks_are_absent(cls, given: Any) -> Any:
        return {name: value for name, value in given.items() if value != ""} if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _names_whole(self) -> Self:
        if self.conversation_id is not None and self.assistant is None:
            raise PydanticCustomError("whose", "a conversation is named by its assistant and its id: give both")
        return self


def _place(given: Given) -> None:
    if changes_of(given.queries).listeners >= MOST_LISTENERS:
        raise unavailable("Too many are listening to this process. Try again in a moment.")


@router.get(
    "/v1/stream",
    summary="Changes as they come",
    response_class=EventSourceResponse,
    dependencies=[Depends(_place)],
)
async def stream(
    asked: Annotated[StreamRequest, Query()],
    principal: Reader,
    parts: Given,
    last_event_id: Annotated[str | None, Header(description="the last id that came; the browser sends it")] = None,
) -> AsyncIterator[ServerSentEvent]:
    """What changed, told within a second or so, as long as the connection stands.

    - `changed`: `{"conversations": [{"assistant", "conversation_id", "label_id", "label", "messages", "closed",
      "deleted", "updated_at"}, …]}`. Each change at least once.
    - `reload`: more changed than was told, or the listener was too slow or away too long: load everything anew.
    - `unavailable`: the database does not answer; changes are told as soon as it does, beginning with `reload`.

    A connection ends after a quarter of an hour; browsers come back by themselves, with `Last-Event-ID`, and hear what
    they missed.
    """
    key = None
    if asked.conversation_id is not None and asked.assistant is not None:
        key = asked.assistant, asked.conversation_id
    notices = changes_of(parts.queries).follow(principal.assistant, asked.assistant, key, last_event_id)
    async with aclosing(notices):
        async for notice in notices:
            yield _event(notice)


def _event(notice: Notice) -> ServerSentEvent:
    if notice.kind is Kind.ALIVE:
        return ServerSentEvent(comment="listening", id=notice.id, retry=_RETRY_MS)
    return ServerSentEvent(event=notice.kind.value, raw_data=notice.text or "{}", id=notice.id or None)
