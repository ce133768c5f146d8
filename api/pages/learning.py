"""Learning: the list of conversations with its sections, ranges, filters, columns and exports."""

import asyncio
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import Field

from api.access.addresses import local
from api.access.identify import Judge, Visitor
from api.access.principal import Principal, Scope
from api.pages import addresses, columns, filters
from api.pages.filters import Active, Link
from api.pages.rendering import render
from api.pages.words import plural
from api.parts import Given, Parts
from api.problems import Problem
from api.queries.conditions import in_words
from api.queries.listing import Counts, Page, counts, overview
from api.queries.selection import ListRequest, Section, State, Values
from api.queries.staleness import messages_since
from api.writing.labels import LabelCommand, Labelled, label_conversations
from api.writing.outcome import Status
from schemas.conversation import ConversationRow
from schemas.facts import Key

router = APIRouter()

_SECTIONS: Final = {
    Section.ALL: "All",
    Section.POSITIVE: "Positive",
    Section.NEGATIVE: "Negative",
    Section.FALLBACK: "Fallback",
}
_EXPORTS: Final = {"csv": "CSV", "jsonl": "JSON lines", "parquet": "Parquet"}
_EXAMPLES: Final = {"openai": "Chat fine-tuning", "preference": "Preference pairs", "raw": "Raw messages"}
_NOTICE: Final = "afterword-notice"
_NOTICE_FORM: Final = re.compile(r"(positive|negative|clear)\.(\d{1,4})\.(\d{1,4})")
_DONE: Final = {"positive": "labelled positive", "negative": "labelled negative", "clear": "without a label now"}


class LearningRequest(ListRequest):
    """The state of the page, all of which stands in its address (the section as its path)."""

    columns: Values = Field((), description="the columns to show; absent: the usual ones")


@dataclass(frozen=True, slots=True)
class Header:
    """The head of a column: where a click on it leads, and how the table is sorted by it."""

    column: columns.Column
    address: str
    aria_sort: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the table. `key`: what its checkbox sends; `address`: of its conversation; `since`: its label's age."""

    row: ConversationRow
    key: str
    address: str
    since: str


@router.get("/")
async def home() -> Response:
    """Lead to the list."""
    return RedirectResponse("/learning/all", HTTPStatus.SEE_OTHER)


@router.get("/learning/{section}")
async def page(
    request: Request, section: Section, asked: Annotated[LearningRequest, Query()], parts: Given, reader: Visitor
) -> Response:
    """Show one page of one section."""
    state = asked.but(section=section)
    now = datetime.now(UTC)
    found, counted = await overview(parts.queries, state, state.order, state.cursor, state.limit, reader.assistant, now)
    if _is_first_run(state, counted):
        return await first_run(request, parts)
    on = filters.active(state)
    nothing = [] if found.items else await _without_each(parts, state, on, counted, reader, now)
    since = await messages_since(parts.queries, found.items)
    response = await render(
        request,
        "learning.html",
        **_view(state, counted, on, now),
        **_table(state, found, counted, since),
        **_actions(request, reader),
        nothing=nothing,
    )
    response.delete_cookie(_NOTICE, path="/learning")
    return response


@router.post("/learning/label")
async def label(
    parts: Given,
    judge: Judge,
    verdict: Annotated[Literal["positive", "negative", "clear"], Form(alias="label")],
    once: Annotated[str, Form(min_length=1, max_length=64)],
    of: Annotated[list[str] | None, Form()] = None,
    back: Annotated[str, Form()] = "",
) -> Response:
    """Give the chosen conversations a label, or take theirs back, and show the list again with what became of it.

    `of`: [assistant, conversation id, messages seen], as JSON; `once`: makes a second click the same decision.
    """
    chosen = [_labelled(one) for one in dict.fromkeys(of or [])]
    if not chosen:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "No conversation was selected: tick some rows first.")
    result = await label_conversations(
        parts, judge, LabelCommand(label=verdict, conversations=tuple(chosen)), f"{once}.{verdict}"
    )
    taken = sum(one.status is Status.ACCEPTED for one in result.labels)
    response = RedirectResponse(local(back), HTTPStatus.SEE_OTHER)
    response.set_cookie(
        _NOTICE,
        f"{verdict}.{taken}.{len(chosen) - taken}",
        max_age=60,
        path="/learning",
        httponly=True,
        samesite="lax",
        secure=parts.options.public_url.startswith("https://"),
    )
    return response


def _labelled(key: str) -> Labelled:
    try:
        assistant, conversation_id, messages = json.loads(key)
        return Labelled(assistant=assistant, conversation_id=conversation_id, seen_messages=messages)
    except (ValueError, TypeError) as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "A row that was selected cannot be read.") from error


async def first_run(request: Request, parts: Parts) -> Response:
    """Show how the first conversation comes here: with this server's address, and times that are now."""
    now = datetime.now(UTC)
    return await render(
        request,
        "first_run.html",
        page="learning",
        url=parts.options.public_url,
        create=f"afterword keys create --scope events:write {parts.options.keys_at}".rstrip(),
        assistant=parts.options.default_assistant or "default",
        times=[f"{now - timedelta(seconds=s):%Y-%m-%dT%H:%M:%SZ}" for s in (30, 28, 10, 9)],
    )


def _is_first_run(state: LearningRequest, counted: Counts) -> bool:
    """Whether there is nothing at all: not because of a filter."""
    return (
        state.but(section=Section.ALL).selection.items() == []
        and counted.open == 0
        and not any(counted.sections.values())
    )


def _view(state: LearningRequest, counted: Counts, on: list[Active[LearningRequest]], now: datetime) -> dict[str, Any]:
    """Give what stands around the table, each link with the address it leads to."""
    top = state.but(cursor=None)
    return {
        "page": "learning",
        "now": now,
        "section": state.section,
        "state": state,
        "selection": state.selection,
        "here": addresses.learning(state),
        "switch": filters.assistants(top, counted.facets, addresses.learning),
        "tabs": [
            Link(words, addresses.learning(top.but(section=one)), state.section is one, counted.sections.get(one, 0))
            for one, words in _SECTIONS.items()
        ],
        "ranges": filters.ranges(top, addresses.learning),
        "sentence": in_words(state.selection),
        "active": [(one, addresses.learning(one.rest.but(cursor=None))) for one in on],
        "reset": addresses.learning(filters.reset(top)),
        "panel": filters.panel(state, counted.facets),
        "review": addresses.review(state),
    }


def _table(state: LearningRequest, found: Page, counted: Counts, since: Mapping[Key, int]) -> dict[str, Any]:
    """Give the table: its columns, rows, pages and files."""
    top = state.but(cursor=None)
    several = len(counted.facets.get("assistant", ())) > 1
    shown = columns.shown(state.columns, state.section, several=several)
    return {
        "heads": [
            Header(
                column,
                addresses.learning(top.but(sort=columns.next_sort(column, state.order))),
                columns.aria_sort(column, state.order),
            )
            for column in shown
        ],
        "choosable": [(column, column in shown) for column in columns.COLUMNS if column is not columns.ID],
        "usual_columns": addresses.learning(state.but(columns=())),
        "rows": [
            Entry(
                row,
                json.dumps([row.assistant, row.conversation_id, row.messages]),
                addresses.conversation(row.assistant, row.conversation_id, state),
                _since(since.get((row.assistant, row.conversation_id))),
            )
            for row in found.items
        ],
        "total": found.total,
        "span": f"{found.first:,}–{found.first + len(found.items) - 1:,} of {found.total:,}",  # noqa: RUF001
        "previous": addresses.learning(state.but(cursor=found.previous)) if found.previous else None,
        "next": addresses.learning(state.but(cursor=found.next)) if found.next else None,
        "exports": [(words, addresses.download(kind, state)) for kind, words in _EXPORTS.items()],
        "examples": [(words, addresses.examples(style, state)) for style, words in _EXAMPLES.items()],
    }


def _since(count: int | None) -> str:
    return "newer messages" if count is None else f"{plural(count, 'message')} since"


def _actions(request: Request, reader: Principal) -> dict[str, Any]:
    """Give what the reader may do here, and what they just did."""
    said = _NOTICE_FORM.fullmatch(request.cookies.get(_NOTICE, ""))
    notice = ""
    if said:
        what, taken, refused = said[1], int(said[2]), int(said[3])
        notice = f"{plural(taken, 'conversation')} {_DONE[what]}."
        if refused:
            notice += f" {plural(refused, 'conversation')} could not be labelled: try these again."
    return {
        "may_label": reader.may(Scope.LABELS_WRITE),
        "notice": notice,
        "notice_kind": "bad" if said and int(said[3]) else "good",
        "once": secrets.token_urlsafe(12),
    }


async def _without_each(
    parts: Parts,
    state: LearningRequest,
    on: list[Active[LearningRequest]],
    counted: Counts,
    reader: Principal,
    now: datetime,
) -> list[Link]:
    """Say of an empty list what each single filter hides: the list without it, those that show most first."""
    rest = [(f"{one.title}: {one.words}".removeprefix(": "), one.rest.but(cursor=None)) for one in on]
    if state.range is not None:
        rest.append(("the time range", state.but(cursor=None, range=None, from_=None, to=None)))
    if state.section is not Section.ALL:
        rest.append((f"the section {_SECTIONS[state.section]}", state.but(cursor=None, section=Section.ALL)))
    if state.state is State.CLOSED and counted.open:
        rest.append(("what is archived only", state.but(cursor=None, state=State.ALL)))
    found = await asyncio.gather(*(counts(parts.queries, other, reader.assistant, now) for _, other in rest))
    links = [
        Link(words, addresses.learning(other), current=False, count=one.total)
        for (words, other), one in zip(rest, found, strict=True)
        if one.total
    ]
    return sorted(links, key=lambda link: -(link.count or 0))
