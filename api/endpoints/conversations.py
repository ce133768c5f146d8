"""`GET /v1/conversations`: the list, and one conversation whole."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from api.access.identify import REFUSALS, Reader
from api.endpoints.convertors import TEXT
from api.parts import Given
from api.problems import Problem, refused
from api.queries.history import History, conversation
from api.queries.listing import list_page
from api.queries.selection import ListRequest
from schemas.conversation import ConversationRow
from schemas.events import ASSISTANT_PATTERN, MAX_CONVERSATION_ID

router = APIRouter(tags=["reading"])


class ConversationList(BaseModel):
    """One page of a list."""

    items: list[ConversationRow] = Field(description="the rows, in the order asked for")
    next: str | None = Field(description="the cursor of the next page; null on the last one")
    previous: str | None = Field(description="the cursor of the page before; null on the first one")
    first: int = Field(description="the number of the first row in the list, from 1; 0 when there are none")
    total: int = Field(description="how many rows the list has now")


@router.get(
    "/v1/conversations",
    summary="List conversations",
    response_description="one page",
    responses={
        **REFUSALS,
        400: refused("the cursor is broken, or of another sort"),
        422: refused("a parameter cannot be understood, or the question asks for too much"),
    },
)
async def list_conversations(
    parts: Given, principal: Reader, asked: Annotated[ListRequest, Query()]
) -> ConversationList:
    """Give the conversations that are selected: closed ones, when `state` says nothing else.

    Walk by `next` until it is null. A row that stays as it is comes exactly once, whatever comes and goes meanwhile.
    """
    page = await list_page(
        parts.queries, asked, asked.order, asked.cursor, asked.limit, principal.assistant, datetime.now(UTC)
    )
    return ConversationList(
        items=page.items, next=page.next, previous=page.previous, first=page.first, total=page.total
    )


@router.get(
    f"/v1/conversations/{{assistant}}/{{conversation_id:{TEXT}}}",
    summary="Read a conversation",
    response_description="its row, its messages, what the stream did, and its labels",
    responses={
        **REFUSALS,
        404: refused("there is no such conversation, or it is not yours"),
        422: refused("the address cannot be understood, or the question asks for too much"),
    },
)
async def read_conversation(
    parts: Given,
    principal: Reader,
    assistant: Annotated[str, Path(pattern=ASSISTANT_PATTERN, description="its assistant")],
    conversation_id: Annotated[
        str, Path(min_length=1, max_length=MAX_CONVERSATION_ID, description="its id, percent-encoded")
    ],
) -> History:
    """Give all that is known of a conversation."""
    history = await conversation(parts.queries, assistant, conversation_id, principal.assistant)
    if history is None:
        raise Problem(HTTPStatus.NOT_FOUND, "There is no such conversation, or it is not yours to see.")
    return history
