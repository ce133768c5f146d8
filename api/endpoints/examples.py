"""`GET /v1/examples.jsonl`: what a model can be trained on, and how a training job follows what changes."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BeforeValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from api.access.identify import REFUSALS, Reader
from api.endpoints.exports import JSON_LINES, download, written_as
from api.endpoints.reading import NOT_UNDERSTOOD
from api.parts import Given
from api.problems import refused
from api.queries.examples import BEGINNING, MAX_SINCE, ExampleFormat, Examples, Since, next_since
from api.queries.selection import Range, Selection, Value

NEXT_SINCE: Final = "Afterword-Next-Since"

_PLUS_READ_AS_SPACE: Final = re.compile(r"(T.*) (\d\d:?\d\d)$")

router = APIRouter(tags=["examples"], responses={**REFUSALS, 422: refused(NOT_UNDERSTOOD)})


def _with_plus(given: Any) -> Any:
    return _PLUS_READ_AS_SPACE.sub(r"\1+\2", given) if isinstance(given, str) else given


class ExampleRequest(Selection):
    """Which conversations, as what, and as of when or since when."""

    format: ExampleFormat = Field(
        ExampleFormat.OPENAI,
        description="openai: chat fine-tuning; preference: pairs of answers (DPO); raw: label, messages and row",
    )
    as_of: Annotated[AwareDatetime, BeforeValidator(_with_plus)] | None = Field(
        None, description="the labels and messages as they stood at this time; filters look at the rows as they are now"
    )
    since: Annotated[str, StringConstraints(max_length=MAX_SINCE)] | None = Field(
        None, description=f"{NEXT_SINCE} of the answer before, as it is; `{BEGINNING}` at the beginning"
    )

    labelled_by: Value | None = Field(None, description="with a label by this author only")
    labelled_since: Annotated[AwareDatetime, BeforeValidator(_with_plus)] | None = Field(
        None, description="with a label of this time or later only"
    )

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.since is None:
            return self
        if self.as_of is not None:
            raise PydanticCustomError(
                "since_as_of", "since follows what changes and as_of stands still: one of them at a time"
            )
        if self.range not in {None, Range.CUSTOM}:
            raise PydanticCustomError(
                "since_range",
                "a range that ends now loses conversations without any change, which since could not tell of: "
                "use range=custom with from",
            )
        return self


@router.get(
    "/v1/examples.jsonl",
    summary="Training examples",
    response_class=StreamingResponse,
    responses={
        **written_as(
            JSON_LINES,
            "an example a line",
            {"type": "object"},
            **{NEXT_SINCE: {"description": "give it as `since` next time", "schema": {"type": "string"}}},
        ),
        400: refused("`since` is no cursor of this export"),
    },
)
async def examples(asked: Annotated[ExampleRequest, Query()], principal: Reader, parts: Given) -> StreamingResponse:
    """Labelled conversations as examples, a JSON object a line, ordered by assistant and conversation_id.

    - `openai`: `{"messages": [{"role", "content"}, …]}`. A positive conversation up to its last answer; a negative one
      with a correction up to the corrected answer, and then the correction.
    - `preference`: `{"input": {"messages"}, "preferred_output", "non_preferred_output"}` of negative ones with a
      correction: what was said before, the correction, the answer that was given.
    - `raw`: `{"assistant", "conversation_id", "label", "messages", "row"}`.

    The corrected answer is the one that the label names, else the assistant's last one before the label. Human agents
    answer as `assistant`, `system` stays; messages without text are left out, and so are conversations without a
    user's message or without an answer.

    **Following.** Begin with `since=beginning`, keep the header `Afterword-Next-Since` of each answer that came whole,
    and give it as `since` next time: then come the conversations that changed, each at least once, and for those that
    give no example any more (label cleared or replaced, erased, outside the filters) `{"deleted": true, "assistant",
    "conversation_id"}`. With `since` lines of `openai` and `preference` have `metadata` with `assistant`,
    `conversation_id` and `label_id`; without it they have nothing that a fine-tuning service might refuse.

    When it cannot be finished the connection breaks off, so that a part never looks like the whole.
    """
    since = None if asked.since is None else Since.parse(asked.since)
    headers = {} if asked.as_of else {NEXT_SINCE: str(await next_since(parts.queries))}
    now = datetime.now(UTC)
    by, given_since = asked.labelled_by, asked.labelled_since
    wanted = Examples(asked, asked.format, principal.assistant, now, asked.as_of, since, by, given_since)
    name = f"examples-{asked.format}-{asked.as_of or now:%Y-%m-%d}.jsonl"
    return await download(wanted.lines(parts.queries), name, JSON_LINES, headers)
