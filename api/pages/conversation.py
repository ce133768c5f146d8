"""Conversation: what was said and done, its label and the label's history, its facts, and how to erase it."""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse
from markupsafe import Markup, escape
from pydantic import BaseModel

from api.access.identify import Judge, Visitor, page_needs
from api.access.principal import Principal, Scope
from api.pages import addresses, words
from api.pages.corrections import Piece, difference
from api.pages.dialogue import cause_words, lines
from api.pages.rendering import render, user, when
from api.parts import Given, Parts
from api.problems import Problem, unavailable
from api.queries.history import History, LabelEvent, Message, conversation
from api.queries.languages import language_name
from api.queries.listing import Neighbours, neighbours
from api.queries.selection import ListRequest
from api.queries.staleness import messages_since
from api.writing.erasures import erase
from api.writing.labels import CLEAR, LabelCommand, label_conversations
from api.writing.outcome import Status
from schemas.conversation import ConversationRow, Version
from schemas.facts import Key
from schemas.rules import Rules

router = APIRouter()

Eraser = Annotated[Principal, Depends(page_needs(Scope.ERASE))]

_OWN: Final = ("of", "id", "saving", "about", "wrong", "erased")
"""The parameters of this page beside those of the list it belongs to."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address says: which conversation, of which list, and what just happened to it."""

    key: Key
    listed: ListRequest
    saving: str
    about: str | None
    wrong_id: bool
    erased: bool


def _asked(request: Request) -> Asked:
    """Read the address. An id may be any text, so it is taken as it is; a faulty list raises ValidationError."""
    own = dict.fromkeys(_OWN, "") | {name: value for name, value in request.query_params.multi_items() if name in _OWN}
    if not own["of"] or not own["id"]:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "The address of a conversation has `of` (its assistant) and `id`."
        )
    rest = [pair for pair in request.query_params.multi_items() if pair[0] not in _OWN]
    return Asked(
        (own["of"], own["id"]),
        ListRequest.from_items(rest),
        own["saving"],
        request.query_params.get("about"),
        bool(own["wrong"]),
        bool(own["erased"]),
    )


@router.get("/conversation")
async def page(request: Request, asked: Annotated[Asked, Depends(_asked)], parts: Given, visitor: Visitor) -> Response:
    """Show one conversation."""
    now = datetime.now(UTC)
    history = await conversation(parts.queries, *asked.key, visitor.assistant)
    if history is None:
        if asked.erased:
            return await render(
                request, "erased.html", page="learning", back=addresses.learning(asked.listed), pending=None
            )
        raise no_conversation(asked.key)
    if asked.erased:
        return await render(
            request,
            "erased.html",
            page="learning",
            back=addresses.learning(asked.listed),
            pending=_here(asked, ("erased", "1")),
        )
    around = await neighbours(
        parts.queries, asked.listed.selection, asked.listed.order, history.row, visitor.assistant, now
    )
    return await render(
        request,
        "conversation.html",
        page="learning",
        selection=asked.listed.selection,
        section=asked.listed.section,
        now=now,
        **_place(asked, around),
        **shown(
            history,
            lambda message: _here(asked, ("about", message)) + "#label",
            asked.about,
            visitor,
            parts.options.rules,
        ),
        **_label(history, asked, visitor),
        **_facts(history.row, now),
        stale=await _stale(parts, history.row),
        may_erase=visitor.may(Scope.ERASE),
        wrong_id=asked.wrong_id,
        erasing=[*_of(asked), ("once", secrets.token_urlsafe(12))],
    )


def no_conversation(key: Key) -> Problem:
    """Say that there is none of this id, or none that the reader may see: which of the two is not theirs to know."""
    return Problem(HTTPStatus.NOT_FOUND, f"There is no conversation {key[1]!r} of the assistant {key[0]!r}.")


def shown(
    history: History, better: Callable[[str], str], about: str | None, reader: Principal, rules: Rules | None
) -> dict[str, Any]:
    """Give what the dialogue and the label form show.

    `better`: the address where a message is corrected; `about`: the message that is, '' for none, None for the one that
    the label that counts is about; `rules`: those in force.
    """
    may_label = reader.may(Scope.LABELS_WRITE)
    label = current(history)
    if about is None:
        about = label.message_id if label else ""
    return {
        "row": history.row,
        "lines": lines(history.flow, _threshold(history.row, rules)),
        "cause_words": cause_words,
        "better": better if may_label else None,
        "about": _message(history, about),
        "current": label,
        "before": _before(label),
        "may_label": may_label,
        "once": secrets.token_urlsafe(12),
    }


def _threshold(row: ConversationRow, rules: Rules | None) -> float | None:
    """Give what confidences were compared with, None when other rules were in force then."""
    if rules is None or Version.revisions(row.version)[1] != rules.revision:
        return None
    return rules.of(row.assistant).fallback_threshold


def _before(label: LabelEvent | None) -> dict[str, str]:
    """Give what an undo brings back, for the script."""
    names = ("label", "reason", "correction", "message_id")
    return {name: getattr(label, name) if label else "" for name in names}


def current(history: History) -> LabelEvent | None:
    """Give the label that counts, None where there is none or it was taken back."""
    return next((label for label in history.labels if label.current and label.label), None)


def _message(history: History, message_id: str) -> Message | None:
    return next((message for message in history.messages if message.id == message_id), None) if message_id else None


def _place(asked: Asked, around: Neighbours) -> dict[str, Any]:
    def beside(key: Key | None) -> str | None:
        return addresses.conversation(*key, asked.listed) if key else None

    return {
        "back": addresses.learning(asked.listed),
        "total": around.total,
        "position": around.position,
        "previous": beside(around.previous),
        "next": beside(around.next),
    }


def _label(history: History, asked: Asked, reader: Principal) -> dict[str, Any]:
    labels = history.labels
    latest = labels[0] if labels else None
    before = labels[1] if len(labels) > 1 else None
    return {
        "action": "/conversation/label",
        "hidden": _of(asked),
        "walking": False,
        "whole": _here(asked, ("about", "")) + "#label",
        "labels": [(label, _replaced(label, place, history)) for place, label in enumerate(labels)],
        "saving": asked.saving,
        "arrived": any(label.id == asked.saving for label in labels),
        "reload": _here(asked, ("saving", asked.saving)),
        "undo": None if latest is None else [*_of(asked), *restoring(before, history.row.messages)],
        "undo_words": "" if latest is None else _undo_words(before, reader),
    }


def restoring(before: LabelEvent | None, seen_messages: int) -> addresses.Pairs:
    """Give the fields of a form that brings the label back that was before; without one, none."""
    pairs = [("once", secrets.token_urlsafe(12)), ("seen_messages", str(seen_messages))]
    if before is None or not before.label:
        return [*pairs, ("verdict", "clear")]
    seen = before.seen_messages
    return [
        *([pairs[0], ("seen_messages", str(seen))] if seen is not None else pairs),
        ("verdict", before.label),
        ("reason", before.reason),
        ("correction", before.correction),
        ("message_id", before.message_id),
    ]


def _undo_words(before: LabelEvent | None, reader: Principal) -> str:
    if before is None or not before.label:
        return "back to no label"
    return f"back to {before.label} by {'you' if before.by == reader.name else before.by}"


def _replaced(label: LabelEvent, place: int, history: History) -> list[Piece]:
    """Say what a better answer replaced: the message it is about, else the better answer before it."""
    if not label.correction:
        return []
    about = _message(history, label.message_id)
    old = about.text if about else next((one.correction for one in history.labels[place + 1 :] if one.correction), "")
    return difference(old, label.correction)


async def _stale(parts: Parts, row: ConversationRow) -> str:
    if not row.label_stale:
        return ""
    since = (await messages_since(parts.queries, [row])).get((row.assistant, row.conversation_id))
    return f"{words.plural(since, 'message')} since" if since else "Messages came since"


def _of(asked: Asked) -> addresses.Pairs:
    return [("of", asked.key[0]), ("id", asked.key[1]), ("back", urlencode(asked.listed.items()))]


def _here(asked: Asked, *more: tuple[str, str]) -> str:
    address = addresses.conversation(*asked.key, asked.listed)
    return f"{address}&{urlencode(more)}" if more else address


def traits(row: ConversationRow) -> list[str]:
    """Give what characterises a conversation at a glance."""
    said = (row.assistant, row.channel, row.device, language_name(row.language) if row.language else "", row.location)
    return [trait for trait in said if trait]


def _facts(row: ConversationRow, now: datetime) -> dict[str, Any]:
    return {
        "traits": traits(row),
        "facts": list(_main_facts(row, now)),
        "columns": [
            (name, _value(getattr(row, name), now), field.description) for name, field in type(row).model_fields.items()
        ],
    }


def _main_facts(row: ConversationRow, now: datetime) -> Iterable[tuple[str, Markup]]:
    yield "User", user(row.user_name)
    yield "User ID", user(row.user_id)
    yield "Rating", escape(words.NOTHING if row.rating is None else f"{row.rating} of 5")
    if row.feedback:
        yield "Comment", user(row.feedback)
    yield "Start", when(row.started_at, now)
    yield "End", when(row.ended_at, now) if row.ended_at else Markup("open; closes {}").format(when(row.closes_at, now))
    yield "Duration", escape(words.duration(row.duration_ms))
    yield "Sessions", escape(words.number(row.reopened + 1))
    yield "Queries", escape(words.number(row.queries))
    yield "Messages", escape(words.number(row.messages))
    if row.agent_messages:
        yield "Messages by agents", escape(words.number(row.agent_messages))
    yield "Fallbacks", escape(words.number(row.fallbacks))
    yield "Escalated", escape("yes" if row.escalated else "no")
    yield "Assigned to", user(row.assigned_to)
    yield "Team", user(row.team)
    yield "Topic", user(row.topic)
    yield "Subtopic", user(row.subtopic)
    yield "Channel", user(row.channel)
    yield "Device", user(row.device)
    yield "Language", escape(language_name(row.language) if row.language else words.NOTHING)
    yield "Location", user(row.location)
    yield "Rules", escape(f"revision {Version.revisions(row.version)[1]}")


def _value(value: object, now: datetime) -> Markup:
    """Write what a column holds, as it is."""
    if value is None or value == "":
        return escape(words.NOTHING)
    if isinstance(value, datetime):
        return when(value, now)
    if isinstance(value, bool):
        return escape(str(value).lower())
    if isinstance(value, dict):
        return escape(words.plural(len(value), "attribute")) if value else escape(words.NOTHING)
    if isinstance(value, list):
        return Markup(", ").join(user(cause_words(one)) for one in value) if value else escape(words.NOTHING)
    return user(str(value))


class Sent(BaseModel):
    """What every form of these pages says: of which conversation, in which list, and its once-only key."""

    of: str
    id: str
    back: str = ""
    once: str = ""

    @property
    def listed(self) -> ListRequest:
        """The list that the reader came from. Raises ValidationError."""
        return ListRequest.from_items(parse_qsl(self.back, keep_blank_values=True))


class LabelSent(Sent):
    """The label form. `verdict`: positive, negative or clear."""

    verdict: str
    reason: str = ""
    correction: str = ""
    message_id: str = ""
    seen_messages: int | None = None


class EraseSent(Sent):
    """The form that erases. `confirm`: the id, typed."""

    confirm: str = ""
    reason: str = ""


@router.post("/conversation/label")
async def label(sent: Annotated[LabelSent, Form()], parts: Given, judge: Judge) -> Response:
    """Label the conversation and show it again."""
    event_id = await give(sent, parts, judge)
    address = f"{addresses.conversation(sent.of, sent.id, sent.listed)}&{urlencode({'saving': event_id})}#status"
    return RedirectResponse(address, HTTPStatus.SEE_OTHER)


async def give(sent: LabelSent, parts: Parts, judge: Principal) -> str:
    """Write the label of a form; gives its event's id. Raises Problem 503 when the log did not take it in time."""
    clears = sent.verdict == CLEAR
    command = LabelCommand.model_validate(
        {
            "label": sent.verdict,
            "conversations": [
                {"assistant": sent.of, "conversation_id": sent.id, "seen_messages": sent.seen_messages},
            ],
            "reason": sent.reason,
            "correction": None if clears else sent.correction,
            "message_id": sent.message_id if sent.correction and not clears else None,
        }
    )
    result = await label_conversations(parts, judge, command, sent.once or None)
    if not result.taken:
        raise unavailable("The label was not taken. Go back and send it again: sending it twice is safe.")
    return result.labels[0].event_id


@router.post("/conversation/erase")
async def erase_it(sent: Annotated[EraseSent, Form()], parts: Given, eraser: Eraser) -> Response:
    """Erase the conversation when its id was typed rightly."""
    address = addresses.conversation(sent.of, sent.id, sent.listed)
    if sent.confirm.strip() != sent.id.strip():
        return RedirectResponse(f"{address}&wrong=1#erase", HTTPStatus.SEE_OTHER)
    result = await erase(parts, eraser, sent.of, sent.id, sent.reason or None, sent.once or None)
    if result.status is not Status.ACCEPTED:
        raise unavailable("The erasure was not taken. Go back and send it again: sending it twice is safe.")
    return RedirectResponse(f"{address}&erased=1", HTTPStatus.SEE_OTHER)
