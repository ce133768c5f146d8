"""Erasures: what was said in a conversation up to now is to be forgotten."""

from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

import msgspec
from pydantic import BaseModel, Field

from api.access.principal import Principal
from api.parts import Parts
from api.problems import Problem
from api.queries.latest import latest
from api.writing.ids import event_id
from api.writing.log import Outgoing
from api.writing.moments import MOMENTS, Moments, iso, moment
from api.writing.outcome import Status, status_of
from schemas.events import MAX_NAME
from schemas.topics import LABELS

MAX_REASON: Final = 2_000
_WHAT: Final = "erasure"


class ErasureResult(BaseModel):
    """What became of an erasure."""

    assistant: str
    conversation_id: str
    event_id: str = Field(description="the id of the erasure event")
    status: Status = Field(description="accepted: kept for good; unavailable: not acknowledged in time")
    at: datetime = Field(description="the cut: what happened at this time or before it is forgotten")


async def erase(
    parts: Parts,
    principal: Principal,
    assistant: str,
    conversation_id: str,
    reason: str | None = None,
    idempotency_key: str | None = None,
    moments: Moments = MOMENTS,
) -> ErasureResult:
    """Erase a conversation, whether or not anything of it is known: its events may be on their way.

    The cut is now, or the latest that is stored of it when a clock ran ahead. The same sent again under its idempotency
    key erases nothing that was said in between, as soon as the first is stored. Raises Problem: 403 when it is not
    theirs, 422 when the reason is too long.
    """
    if not principal.sees(assistant):
        detail = f"{principal.name} may erase conversations of {principal.assistant} only."
        raise Problem(HTTPStatus.FORBIDDEN, detail, title="Not yours")
    if reason is not None and len(reason) > MAX_REASON:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"reason: longer than {MAX_REASON:,} characters.")
    key = assistant, conversation_id
    name = event_id(principal, _WHAT, key, idempotency_key)
    stored = await latest(parts.queries, key, name)
    if stored is not None and stored.erased is not None:
        at = stored.erased
    else:
        at = moments.next(key, stored.fact if stored is not None else 0)
    members: dict[str, Any] = {
        "id": name,
        "type": "conversation.erased",
        "assistant": assistant,
        "conversation_id": conversation_id,
        "at": iso(at),
        "by": principal.name[:MAX_NAME],
        **({"reason": reason} if reason else {}),
    }
    (taken,) = await parts.log.append([Outgoing(LABELS, conversation_id, msgspec.json.encode(members))])
    return ErasureResult(
        assistant=assistant, conversation_id=conversation_id, event_id=name, status=status_of(taken), at=moment(at)
    )
