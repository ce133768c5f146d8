"""`POST /v1/labels`: what a manager thinks of conversations."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Header, Request
from pydantic import Field

from api.access.identify import REFUSALS, Labeller
from api.endpoints.reading import JSON, json_body
from api.parts import Given
from api.problems import ProblemDetails, refused, unavailable
from api.writing.labels import LabelCommand, LabelOutcome, LabelResult, label_conversations
from api.writing.outcome import Status

router = APIRouter(tags=["writing"])

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=128,
        description="Chosen anew for each decision; a request that is sent again keeps it. Under one key the first "
        "decision on a conversation counts, and another changes nothing.",
    ),
]


class LabelsProblem(ProblemDetails):
    """A problem, and what became of each label where they were sent."""

    labels: list[LabelOutcome] = Field(default_factory=list)


_HERE: Final = "#/paths/~1v1~1labels/post/requestBody/content/application~1json/schema/$defs/{model}"
_BODY: Final = {
    "required": True,
    "content": {JSON: {"schema": LabelCommand.model_json_schema(ref_template=_HERE)}},
}


@router.post(
    "/v1/labels",
    status_code=HTTPStatus.ACCEPTED,
    summary="Label conversations",
    response_description="every label is kept for good; rows have it within moments",
    responses={
        **REFUSALS,
        403: refused("a right is missing, or one of the conversations is not yours: none was labelled"),
        413: refused("the body is larger than 1 MiB"),
        415: refused("the body is of another kind"),
        422: refused("the command cannot be understood: none was labelled"),
        503: refused("not every label was acknowledged in time: send all of them again", LabelsProblem, "Retry-After"),
    },
    openapi_extra={"requestBody": _BODY},
)
async def label(
    request: Request, parts: Given, principal: Labeller, idempotency_key: IdempotencyKey = None
) -> LabelResult:
    """Give one verdict on one conversation or many, or take it back.

    A label comes after the one that it replaces, whatever the clocks say. Send an `Idempotency-Key`: then the same
    request can be sent again at any time, and brings no label back that was undone in the meantime.
    """
    result = await label_conversations(parts, principal, await json_body(request, LabelCommand), idempotency_key)
    missing = [one for one in result.labels if one.status is not Status.ACCEPTED]
    if missing:
        raise unavailable(
            f"{len(missing)} of {len(result.labels)} labels were not acknowledged in time. Send all of them again, "
            "with the same Idempotency-Key.",
            **result.model_dump(mode="json"),
        )
    return result
