"""`GET /v1/facets`: what can be filtered by, and how many conversations each filter would show."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query

from api.access.identify import REFUSALS, Reader
from api.parts import Given
from api.problems import refused
from api.queries.listing import Counts, counts
from api.queries.selection import Selection

router = APIRouter(tags=["reading"])


@router.get(
    "/v1/facets",
    summary="Count by filter",
    response_description="counts of one moment",
    responses={
        **REFUSALS,
        422: refused("a parameter cannot be understood, or the question asks for too much"),
    },
)
async def read_facets(parts: Given, principal: Reader, asked: Annotated[Selection, Query()]) -> Counts:
    """Give the values of each filter under the filters that are set, and how many conversations each would show."""
    return await counts(parts.queries, asked, principal.assistant, datetime.now(UTC))
