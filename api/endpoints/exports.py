"""`GET /v1/conversations.csv`, `.jsonl` and `.parquet`: a whole list as a file."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from api.access.identify import REFUSALS, Reader
from api.access.principal import Principal
from api.endpoints.reading import NOT_UNDERSTOOD
from api.parts import Given, Parts
from api.problems import refused
from api.queries.export import Format, export, file_name
from api.queries.selection import Selection
from api.queries.sorting import DEFAULT_SORT, SORTS, Sort
from schemas.failures import TooMuch, Unavailable

log = logging.getLogger(__name__)

CSV: Final = "text/csv; charset=utf-8"
JSON_LINES: Final = "application/jsonl"
PARQUET: Final = "application/vnd.apache.parquet"

_DISPOSITION: Final = {
    "Content-Disposition": {"description": "the name of the file", "schema": {"type": "string"}},
}

router = APIRouter(tags=["conversations"], responses={**REFUSALS, 422: refused(NOT_UNDERSTOOD)})


def _known_sort(given: str) -> str:
    try:
        return str(Sort.parse(given))
    except ValueError as error:
        raise PydanticCustomError("sort", "{why}", {"why": str(error)}) from error


class ExportRequest(Selection):
    """Which conversations, in which order: what a list takes but for the place in it."""

    sort: Annotated[str, AfterValidator(_known_sort), Field(json_schema_extra={"enum": list(SORTS)})] = Field(
        DEFAULT_SORT, description="a column, with `-` before it for the greatest first; rows without a value come last"
    )


Asked = Annotated[ExportRequest, Query()]


def written_as(media_type: str, description: str, schema: Mapping[str, Any], **headers: Any) -> dict[int | str, Any]:
    """Give what an endpoint that answers with a file says of its answer, for `responses=`."""
    return {
        200: {
            "description": description,
            "content": {media_type.partition(";")[0]: {"schema": schema}},
            "headers": _DISPOSITION | headers,
        }
    }


async def download(
    pieces: AsyncGenerator[bytes, None], name: str, media_type: str, headers: Mapping[str, str] | None = None
) -> StreamingResponse:
    """Answer with a file of this name, as its pieces come.

    Unavailable and TooMuch are raised as long as they can become an answer of their own; later they break off the
    connection.
    """
    try:
        first = await anext(pieces, b"")
    except BaseException:
        await pieces.aclose()
        raise

    async def whole() -> AsyncIterator[bytes]:
        async with aclosing(pieces):
            if first:
                yield first
            try:
                async for piece in pieces:
                    yield piece
            except (Unavailable, TooMuch) as error:
                log.warning("%s broke off: %s", name, error)
                raise

    return StreamingResponse(
        whole(),
        media_type=media_type,
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
            **(headers or {}),
        },
    )


@router.get(
    "/v1/conversations.csv",
    summary="A list as CSV",
    response_class=StreamingResponse,
    responses=written_as(CSV, "a line a conversation, below the names of the columns", {"type": "string"}),
)
async def csv(asked: Asked, principal: Reader, parts: Given) -> StreamingResponse:
    """All conversations of a list, for spreadsheets: RFC 4180, UTF-8, times in ISO 8601 (UTC), nested columns as JSON.

    A text that a spreadsheet could take for a formula (it begins with = + - @, a tab or a line break, behind quotes and
    blanks too) has an apostrophe before it; ids too. Take another format for the texts as they are. When it cannot be
    finished the connection breaks off, so that a part never looks like the whole.
    """
    return await _answer(asked, Format.CSV, CSV, principal, parts)


@router.get(
    "/v1/conversations.jsonl",
    summary="A list as JSON Lines",
    response_class=StreamingResponse,
    responses=written_as(
        JSON_LINES, "a JSON object a line, as in `items` of the list", {"$ref": "#/components/schemas/ConversationRow"}
    ),
)
async def jsonl(asked: Asked, principal: Reader, parts: Given) -> StreamingResponse:
    """All conversations of a list, a JSON object a line, with the names and shapes of `items`.

    When it cannot be finished the connection breaks off, so that a part never looks like the whole.
    """
    return await _answer(asked, Format.JSONL, JSON_LINES, principal, parts)


@router.get(
    "/v1/conversations.parquet",
    summary="A list as Parquet",
    response_class=StreamingResponse,
    responses=written_as(PARQUET, "a Parquet file, zstd", {"type": "string", "format": "binary"}),
)
async def parquet(asked: Asked, principal: Reader, parts: Given) -> StreamingResponse:
    """All conversations of a list, with their types: times in milliseconds UTC, attributes a map, causes a list.

    When it cannot be finished the connection breaks off, so that a part never looks like the whole.
    """
    return await _answer(asked, Format.PARQUET, PARQUET, principal, parts)


async def _answer(
    asked: ExportRequest, output: Format, media_type: str, principal: Principal, parts: Parts
) -> StreamingResponse:
    now = datetime.now(UTC)
    pieces = export(parts.queries, asked, Sort.parse(asked.sort), output, principal.assistant, now)
    return await download(pieces, file_name(asked, output, now), media_type)
