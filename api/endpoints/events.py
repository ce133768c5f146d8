"""`POST /v1/events`: events of runtimes that do not speak Kafka."""

import json
from http import HTTPStatus
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Request
from pydantic import Field

from api.access.identify import REFUSALS, Emitter
from api.endpoints.reading import JSON, NDJSON, media_type
from api.parts import Given
from api.problems import Problem, ProblemDetails, refused, unavailable
from api.writing.events import EventOutcome, EventsWritten, write_events
from schemas.documents import events_schema

MOST: Final = 1_000
"""Events that one request may bring."""
_SPACE: Final = b" \t\r\n"
_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode

router = APIRouter(tags=["writing"])


class EventsProblem(ProblemDetails):
    """A problem, and what became of each event where they were judged one by one."""

    accepted: int = 0
    rejected: int = 0
    events: list[EventOutcome] = Field(default_factory=list)


def _schema() -> dict[str, Any]:
    """The schema of the contract, with its parts where they can be referred to within the OpenAPI document."""
    here = "#/paths/~1v1~1events/post/requestBody/content/application~1json/schema"
    schema: dict[str, Any] = json.loads(events_schema().replace('"#/$defs/', f'"{here}/$defs/'))
    defs = schema.pop("$defs")
    for word in ("$schema", "$id"):
        del schema[word]
    one = {"$ref": f"{here}/$defs/Event"}
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": MOST}
    return {"anyOf": [one, many], "$defs": {**defs, "Event": schema}}


_BODY: Final = {
    "required": True,
    "description": f"One event, or up to {MOST:,} of them as an array or as lines; at most 1 MiB in all.",
    "content": {JSON: {"schema": _schema()}, NDJSON: {"schema": {"type": "string", "description": "one event a line"}}},
}


@router.post(
    "/v1/events",
    status_code=HTTPStatus.ACCEPTED,
    summary="Write events",
    response_description="every event that is valid is kept for good; the others are told with their reasons",
    responses={
        **REFUSALS,
        413: refused("the body is larger than 1 MiB"),
        415: refused("the body is of another kind"),
        422: refused("no event is valid (each is told with its reason), or there are too many or none", EventsProblem),
        503: refused("not every event was acknowledged in time: send all of them again", EventsProblem, "Retry-After"),
    },
    openapi_extra={"requestBody": _BODY},
)
async def write(request: Request, parts: Given, principal: Emitter) -> EventsWritten:
    """Write events of conversations, each of which is judged by itself.

    To send a request again, in part or whole, is always safe: the `id` of an event decides. An event without an
    `assistant` is one of the key's own assistant, or of the default one where there is one. Events of labels need the
    scope `labels:write` beside `events:write`, erasures need `erase`; their `by` is the key's name and cannot be sent.
    """
    written = await write_events(parts, principal, _payloads(await request.body(), media_type(request, [JSON, NDJSON])))
    more = written.model_dump(mode="json")
    if written.unavailable:
        raise unavailable(
            f"{written.unavailable} of {len(written.events)} events were not acknowledged in time. "
            "Send all of them again: those that are there already count once.",
            **more,
        )
    if not written.accepted:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"None of {len(written.events)} events is valid; `events` says why.",
            title="No event is valid",
            **more,
        )
    return written


def _payloads(body: bytes, kind: str) -> list[bytes]:
    """Divide a body into events. Raises Problem 422 when that cannot be done, or there are too many, or none."""
    if kind == NDJSON:
        payloads = [line for one in body.split(b"\n") if (line := one.strip(_SPACE))]
    elif (stripped := body.strip(_SPACE)).startswith(b"["):
        try:
            payloads = list(map(bytes, _raws(stripped)))
        except (msgspec.MsgspecError, RecursionError) as error:
            raise _unreadable(f"The body is no JSON array: {error}.") from error
    else:
        payloads = [stripped] if stripped else []
    if not payloads:
        raise _unreadable("There is no event in the body.")
    if len(payloads) > MOST:
        raise _unreadable(f"There are {len(payloads):,} events in the body, and at most {MOST:,} are taken at once.")
    return payloads


def _unreadable(detail: str) -> Problem:
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, title="The request cannot be understood")
