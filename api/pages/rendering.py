"""Pages from templates: everything is escaped; each page knows who asks, how fresh rows are, and what time it is."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from api.access.identify import identify
from api.access.principal import Principal
from api.pages import addresses, words
from api.parts import parts_of
from api.problems import Problem
from api.queries import freshness
from api.queries.languages import language_name
from api.queries.selection import Selection
from schemas.failures import TooMuch, Unavailable

HERE: Final = Path(__file__).parent
STATIC: Final = HERE / "static"
BOOST: Final = Markup(' hx-boost:inherited="true"')
"""On an element: htmx follows the links and forms in it, swaps what comes and pushes the address."""


async def render(
    request: Request,
    template: str,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> HTMLResponse:
    """Fill a template; `context`: what it needs beside what every page has (see `frame.html`)."""
    parts = parts_of(request)
    who = await _who(request)
    text = (
        _environment()
        .get_template(template)
        .render(
            {
                "who": who,
                "fresh": None if status >= HTTPStatus.INTERNAL_SERVER_ERROR else await _fresh(request, who),
                "version": parts.options.version,
                "now": datetime.now(UTC),
                "page": "",
                "everything": Selection(),
                "boost": BOOST if context.get("page") == "learning" else "",
                **context,
            }
        )
    )
    return HTMLResponse(text, status, {"Cache-Control": "no-store", **(headers or {})})


async def _who(request: Request) -> Principal | None:
    """Give who is signed in; an error page that comes before that is known is nobody's."""
    try:
        return await identify(request)
    except (Problem, Unavailable):
        return None


async def _fresh(request: Request, who: Principal | None) -> freshness.Freshness | None:
    """Say how fresh rows are, to those who may see rows; a page comes without when ClickHouse does not answer."""
    if who is None:
        return None
    try:
        return await freshness.freshness(parts_of(request).queries, who.assistant)
    except (Unavailable, TooMuch):
        return None


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        duration=words.duration,
        seconds=words.seconds,
        number=words.number,
        rate=words.rate,
        plural=words.plural,
        exact=words.exact,
        reason=words.reason,
        rule=words.rule,
        cause=words.cause,
        causes=words.causes,
        language=language_name,
        when=when,
        user=user,
    )
    environment.globals.update(static=static, addresses=addresses)
    return environment


def when(at: datetime | None, now: datetime, style: str = "moment", since: datetime | None = None) -> Markup:
    """Mark a time up: in UTC until `times.js` writes it in the reader's zone, the exact one in the title.

    `style`: `moment` (see `words.moment`), `clock` (hour and minute) or `date` (weekday and date).
    """
    if at is None:
        return escape(words.NOTHING)
    text = {"clock": f"{at:%H:%M}", "date": f"{at:%a} {at.day} {at:%b %Y}"}.get(style) or words.moment(at, now, since)
    beside = Markup(' data-since="{}"').format(since.isoformat(timespec="milliseconds")) if since else ""
    return Markup('<time datetime="{}" title="{}" data-style="{}"{}>{}</time>').format(
        at.isoformat(timespec="milliseconds"), words.exact(at), style, beside, text
    )


def user(text: str) -> Markup:
    """Set what a user chose apart: its direction cannot turn the text around it; its title has all of it."""
    return Markup('<bdi title="{0}">{0}</bdi>').format(text) if text else escape(words.NOTHING)


@cache
def static(name: str) -> str:
    """Give the address of a static file; a changed file has another one."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:10]
    return f"/static/{name}?v={digest}"
