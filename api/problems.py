"""Errors as RFC 9457 describes them: what went wrong, in words, as `application/problem+json`."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

MEDIA_TYPE: Final = "application/problem+json"


class Fault(BaseModel):
    """One thing wrong with what was sent: where, and what."""

    where: str = Field(description="the parameter, or the place in the body such as `events.3.at`")
    what: str = Field(description="what is wrong with it and what would be right")


class ProblemDetails(BaseModel):
    """The body of every error (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field("about:blank", description="which kind of problem; `about:blank`: the status says it all")
    title: str = Field(description="the kind of problem in words")
    status: int = Field(description="the HTTP status")
    detail: str = Field("", description="what happened this time, and what to do")
    faults: list[Fault] = Field(default_factory=list, description="everything that is wrong with the request")


class Problem(Exception):  # noqa: N818  (an answer, not a failure of ours)
    """An answer other than the one asked for; endpoints raise it, the application writes it."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        title: str = "",
        faults: list[Fault] | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        """`more`: members of the body beside those of RFC 9457."""
        super().__init__(detail)
        self.status = status
        self.headers = dict(headers or {})
        self.details = ProblemDetails(
            title=title or status.phrase, status=int(status), detail=detail, faults=faults or [], **more
        )


def unavailable(detail: str, *, retry_after: int = 5, **more: Any) -> Problem:
    """Give the answer for a store or a broker that cannot be reached now. `retry_after`: seconds."""
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": str(retry_after)}, **more)


def refused(description: str, details: type[ProblemDetails] = ProblemDetails, *headers: str) -> dict[str, Any]:
    """Give what a problem's documentation says, for `responses=` of an endpoint."""
    schema = details.model_json_schema(mode="serialization")
    return {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": inlined(schema, schema.pop("$defs"))}},
        "headers": {name: {"schema": {"type": "string"}} for name in headers},
    }


def inlined(schema: Any, parts: dict[str, Any]) -> Any:
    """Put a schema's parts where it refers to them: within another document, `#/$defs` is elsewhere."""
    if isinstance(schema, dict):
        if (reference := schema.get("$ref")) is not None:
            rest = {name: value for name, value in schema.items() if name != "$ref"}
            return {**inlined(parts[reference.rpartition("/")[2]], parts), **rest}
        return {name: inlined(value, parts) for name, value in schema.items()}
    return [inlined(one, parts) for one in schema] if isinstance(schema, list) else schema
