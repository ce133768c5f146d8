"""`DELETE /v1/conversations/{assistant}/{id}`: what was said is to be forgotten."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.access.identify import REFUSALS, Eraser
from api.endpoints.convertors import TEXT
from api.endpoints.labels import IdempotencyKey
from api.parts import Given
from api.problems import ProblemDetails, refused, unavailable
from api.writing.erasures import MAX_REASON, ErasureResult, erase
from api.writing.outcome import Status
from schemas.events import ASSISTANT_PATTERN, MAX_CONVERSATION_ID

router = APIRouter(tags=["writing"])


class ErasureProblem(ProblemDetails):
    """A problem, and the erasure where it was sent."""

    erasure: ErasureResult | None = None


@router.delete(
    f"/v1/conversations/{{assistant}}/{{conversation_id:{TEXT}}}",
    status_code=HTTPStatus.ACCEPTED,
    summary="Erase a conversation",
    response_description="the erasure is kept for good; tables forget the conversation within moments",
    responses={
        **REFUSALS,
        403: refused("a right is missing, or the conversation is not yours"),
        422: refused("the request cannot be understood"),
        503: refused("the erasure was not acknowledged in time: send it again", ErasureProblem, "Retry-After"),
    },
)
async def delete(
    parts: Given,
    principal: Eraser,
    assistant: Annotated[str, Path(pattern=ASSISTANT_PATTERN, description="its assistant")],
    conversation_id: Annotated[
        str, Path(min_length=1, max_length=MAX_CONVERSATION_ID, description="its id, percent-encoded")
    ],
    reason: Annotated[str | None, Query(max_length=MAX_REASON, description="why")] = None,
    idempotency_key: IdempotencyKey = None,
) -> ErasureResult:
    """Forget what was said in a conversation up to now, its labels, ratings and dead letters too.

    Whether anything is known of it makes no difference: what is on its way is forgotten as well. What comes later
    begins anew. Kafka keeps its own copies until its retention ends.
    """
    result = await erase(parts, principal, assistant, conversation_id, reason, idempotency_key)
    if result.status is not Status.ACCEPTED:
        raise unavailable(
            "The erasure was not acknowledged in time. Send it again, with the same Idempotency-Key.",
            erasure=result.model_dump(mode="json"),
        )
    return result
