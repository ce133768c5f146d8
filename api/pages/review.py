"""Review: a walk through a list, one conversation after the other; labelling one goes on to the next."""

from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel

from api.access.identify import Judge, Visitor
from api.access.principal import Principal, Scope
from api.pages import addresses
from api.pages.conversation import LabelSent, give, no_conversation, restoring, shown, traits
from api.pages.place import Place
from api.pages.rendering import render
from api.parts import Given, Parts
from api.queries.conditions import in_words
from api.queries.history import conversation
from api.queries.selection import ListRequest, Section
from api.queries.sorting import Cursor, Direction
from api.queries.walk import Standing, Through, beside, standing
from schemas.facts import Key

router = APIRouter()

SKIP: Final = "skip"
AHEAD: Final = "Afterword-Ahead"
"""A header: the script asks for a step before anybody goes there, and wants the page and its address at once."""

EXPORTS: Final = {"openai": "Chat fine-tuning", "preference": "Preference pairs", "raw": "Raw messages"}

_LOOKED_AT: Final = 200
"""So many conversations that somebody else holds are passed over at most."""


def _place(request: Request) -> Place:
    return Place.of(request.query_params.multi_items())


async def _place_sent(request: Request) -> Place:
    """Read what a form says of its walk; the fields of the label are not part of it."""
    form = await request.form()
    fields = LabelSent.model_fields.keys() - {"of", "id"}
    return Place.of([(name, str(value)) for name, value in form.multi_items() if name not in fields])


At = Annotated[Place, Depends(_place)]
Sent = Annotated[Place, Depends(_place_sent)]


@router.get("/review")
async def page(request: Request, place: At, parts: Given, visitor: Visitor) -> Response:
    """Show the conversation at this place, or go on from it; at the end say what was done."""
    if place.key is not None and place.go is None:
        held = visitor.may(Scope.LABELS_WRITE) and await parts.leases.claim(visitor, [place.key]) is None
        return await _step(request, place, place.key, parts, visitor, held=held)
    found, passed = await _claim(parts, visitor, place)
    if found is not None:
        there = replace(place, key=found, go=None, passed=passed)
        if AHEAD in request.headers:
            return await _step(request, there, found, parts, visitor, held=False)
        return _lead_to(there.address())
    if place.go is not None and place.go.direction is Direction.BEFORE:
        return _lead_to(place.address(key=place.go.key, go=None))
    return await _end(request, place, parts, visitor, passed)


async def _claim(parts: Parts, visitor: Principal, place: Place) -> tuple[Key | None, int]:
    """Take the nearest conversation that nobody else reviews, and say how many were passed over.

    Who may not label takes nothing from those who may.
    """
    candidates = await beside(parts.queries, place.walk(visitor), place.go, _LOOKED_AT, visitor.assistant)
    if not visitor.may(Scope.LABELS_WRITE):
        return (candidates[0] if candidates else None), 0
    found = await parts.leases.claim(visitor, candidates) if candidates else None
    return found, len(candidates) if found is None else candidates.index(found)


def _lead_to(address: str) -> Response:
    return RedirectResponse(address, HTTPStatus.SEE_OTHER)


async def _step(request: Request, place: Place, key: Key, parts: Parts, visitor: Principal, *, held: bool) -> Response:
    """Show one conversation. `held`: whether somebody else reviews it."""
    history = await conversation(parts.queries, *key, visitor.assistant)
    if history is None:
        raise no_conversation(key)
    after, before = (Cursor.at(history.row, place.asked.order, way) for way in (Direction.AFTER, Direction.BEFORE))
    stands = await standing(parts.queries, place.walk(visitor), before, visitor.assistant)
    about = request.query_params.get("about")

    def better(message: str) -> str:
        return f"{place.address()}&{urlencode({'about': message})}#label"

    return await render(
        request,
        "review.html",
        page="review",
        selection=place.asked.selection,
        now=datetime.now(UTC),
        **_walk(place, stands),
        ended=False,
        **shown(history, better, about, visitor, parts.options.rules),
        traits=traits(history.row),
        held=held,
        action="/review",
        here=place.address(),
        hidden=[*place.pairs(), ("of", key[0]), ("id", key[1]), ("go", str(after))],
        walking=True,
        whole=place.address() + "&about=#label",
        next=place.address(go=after, passed=0),
        previous=place.address(go=before, passed=0) if stands.position > 1 else None,
        last=place.last,
        undoing=[*place.pairs(), *place.undoing()],
    )


async def _end(request: Request, place: Place, parts: Parts, visitor: Principal, passed: int) -> Response:
    stands = await standing(parts.queries, place.walk(visitor), None, visitor.assistant)
    return await render(
        request,
        "review_end.html",
        page="review",
        selection=place.asked.selection,
        **_walk(place, stands),
        ended=True,
        here=place.address(),
        may_label=visitor.may(Scope.LABELS_WRITE),
        held_by_others=passed,
        again=addresses.review(place.asked),
        last=place.last,
        undoing=[*place.pairs(), *place.undoing()],
        exports=[
            (words, addresses.examples(style, _labelled(place.asked), visitor.name, place.since))
            for style, words in EXPORTS.items()
        ],
        export_words="Exactly those that you labelled in this review, with their labels as they stand.",
    )


def _labelled(asked: ListRequest) -> ListRequest:
    """Leave a section out that is of one label: what was judged otherwise on the way has left it."""
    return asked.but(section=Section.ALL) if asked.section in {Section.POSITIVE, Section.NEGATIVE} else asked


def _walk(place: Place, stands: Standing) -> dict[str, Any]:
    through = Through.ALL if place.through is Through.PENDING else Through.PENDING
    return {
        "place": place,
        "stands": stands,
        "sentence": in_words(place.asked.selection),
        "back": addresses.learning(place.asked),
        "pending": place.through is Through.PENDING,
        "instead": replace(
            place, through=through, since=datetime.now(UTC), skipped=0, key=None, go=None, last=None
        ).address(),
    }


@router.post("/review")
async def decide(sent: Annotated[LabelSent, Form()], place: Sent, parts: Given, judge: Judge) -> Response:
    """Label the conversation, or skip it, and go on."""
    key = sent.of, sent.id
    if sent.verdict == SKIP:
        await parts.leases.release(judge, key)
        return _lead_to(place.address(skipped=place.skipped + 1, last=(key, "")))
    # The lease is kept: until the row has the label, the conversation looks as if nobody had judged it.
    event = await give(sent, parts, judge)
    return _lead_to(place.address(last=(key, event)))


@router.post("/review/undo")
async def undo(place: Sent, parts: Given, judge: Judge) -> Response:
    """Undo what was done last, and go back to it."""
    if place.last is None:
        return _lead_to(place.address())
    key, event = place.last
    if not event:
        return _lead_to(place.address(key=key, go=None, last=None, skipped=max(0, place.skipped - 1)))
    history = await conversation(parts.queries, *key, judge.assistant)
    if history is None:
        raise no_conversation(key)
    labels = history.labels
    behind = next((number + 1 for number, label in enumerate(labels) if label.id == event), 0)
    before = labels[behind] if behind < len(labels) else None
    fields = restoring(before, history.row.messages)
    await give(LabelSent.model_validate({"of": key[0], "id": key[1], **dict(fields)}), parts, judge)
    return _lead_to(place.address(key=key, go=None, last=None))


class LeasesSent(BaseModel):
    """Which conversations a script speaks of: `of` and `id` of each, in the same order."""

    of: list[str]
    id: list[str]

    def named(self) -> list[Key]:
        """Give them."""
        return list(zip(self.of, self.id, strict=False))[:_LEASES_AT_ONCE]


_LEASES_AT_ONCE: Final = 3


@router.post("/review/renew")
async def renew(sent: Annotated[LeasesSent, Form()], parts: Given, judge: Judge) -> Response:
    """Hold on to what is on the screen; 409 when somebody else has it now."""
    kept = [await parts.leases.renew(judge, key) for key in sent.named()]
    return Response(status_code=HTTPStatus.NO_CONTENT if all(kept) else HTTPStatus.CONFLICT)


@router.post("/review/release")
async def release(sent: Annotated[LeasesSent, Form()], parts: Given, judge: Judge) -> Response:
    """Give back what was left."""
    for key in sent.named():
        await parts.leases.release(judge, key)
    return Response(status_code=HTTPStatus.NO_CONTENT)
