"""`GET /v1/statistics`: the rates, over time and by dimension."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from api.access.identify import REFUSALS, Reader
from api.parts import Given
from api.problems import refused
from api.queries.selection import Selection
from api.queries.statistics import BucketSize, Statistics, statistics

router = APIRouter(tags=["reading"])


class StatisticsRequest(Selection):
    """Which conversations, and how finely."""

    bucket: BucketSize = Field(BucketSize.DAY, description="how long the stretches of `over_time` are")


@router.get(
    "/v1/statistics",
    summary="Measure conversations",
    response_description="rates with numerator and denominator",
    responses={
        **REFUSALS,
        422: refused("a parameter cannot be understood, or the question asks for too much"),
    },
)
async def read_statistics(parts: Given, principal: Reader, asked: Annotated[StatisticsRequest, Query()]) -> Statistics:
    """Measure what is selected of the closed conversations in which the user said something; `state` does not count."""
    return await statistics(parts.queries, asked, principal.assistant, datetime.now(UTC), asked.bucket)
