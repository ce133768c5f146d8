"""Bodies of requests, read strictly: what is no JSON, or not what was asked for, becomes a problem with words.

FastAPI reads bodies with Python's json, which takes NaN, halves of characters and numbers without end for JSON.
"""

from collections.abc import Collection
from http import HTTPStatus
from typing import Final, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from api.problems import Fault, Problem

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
NOT_UNDERSTOOD: Final = "a parameter cannot be understood, or the question asks for too much"
"""What 422 means where nothing is written."""

Model = TypeVar("Model", bound=BaseModel)

_SIGNED: Final = "this is who is signed in, or whose key it is: leave it out"
_EXTRA: Final = "there is no such member"


def media_type(request: Request, known: Collection[str]) -> str:
    """Give what kind of body this is. Raises Problem 415 when it is none of those known."""
    given = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if given not in known:
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"Send the body as {' or '.join(known)}, and say so in Content-Type.",
            headers={"Accept": ", ".join(known)},
        )
    return given


async def json_body(request: Request, model: type[Model]) -> Model:
    """Read a body as one model. Raises Problem 415, and 422 with everything that is wrong with it."""
    media_type(request, [JSON])
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        faults = [
            Fault(where=".".join(str(step) for step in one["loc"]), what=_words(one["type"], one["loc"], one["msg"]))
            for one in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        detail = "; ".join(f"{one.where}: {one.what}" if one.where else one.what for one in faults[:3])
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, detail, title="The request cannot be understood", faults=faults
        ) from error


def _words(kind: str, place: tuple[int | str, ...], message: str) -> str:
    if kind != "extra_forbidden":
        return message
    return _SIGNED if place == ("by",) else _EXTRA
