"""Whether an event may be written: valid by the contract, and within the rights of who sends it."""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from api.access.principal import Principal, Scope
from api.writing.log import Outgoing
from schemas.events import FUTURE_TOLERANCE, MAX_ID, MAX_NAME, ahead
from schemas.failures import Invalid, Reason
from schemas.topics import LABELS, MAX_RECORD_BYTES, topic_of
from schemas.wire import WireEvent, decode

FORBIDDEN: Final = "forbidden"
"""The reason that a dead letter cannot have: who sends this may not."""

_ERASED: Final = "conversation.erased"


class _Named(msgspec.Struct):
    id: str = ""


_named = msgspec.json.Decoder(_Named).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass(frozen=True, slots=True)
class Admitted:
    """An event as it goes to Kafka."""

    id: str
    outgoing: Outgoing


@dataclass(frozen=True, slots=True)
class Refusal:
    """An event that cannot be written. `id`: as far as it could be read; `reason`: a dead letter's, or `forbidden`."""

    id: str | None
    reason: str
    detail: str


def admit(payload: bytes, principal: Principal, default_assistant: str | None, now: int) -> Admitted | Refusal:
    """Judge one event: a JSON value without space around it. `now`: epoch ms.

    Its own bytes are what is written, unless something is to be added: the assistant when it names none, and who
    labels or erases. Then its members are written one behind the other, so that equal payloads stay equal.
    """
    try:
        return _judged(payload, principal, default_assistant, now)
    except Invalid as invalid:
        return Refusal(_id_in(payload), invalid.reason, invalid.detail)


def _judged(payload: bytes, principal: Principal, default_assistant: str | None, now: int) -> Admitted | Refusal:
    event, at = decode(payload)
    if at > now + FUTURE_TOLERANCE:
        raise Invalid(Reason.FUTURE_TIME, f"at is {ahead(at, now)} from now")
    assistant = event.assistant or principal.assistant or default_assistant
    if not assistant:
        raise Invalid(Reason.INVALID, "assistant: absent, and no default is configured")
    if forbidden := _why_forbidden(event, assistant, principal):
        return Refusal(event.id, FORBIDDEN, forbidden)
    value = _completed(payload, event, assistant, principal)
    return Admitted(event.id, Outgoing(topic_of(event.kind), event.conversation_id, value))


def _why_forbidden(event: WireEvent, assistant: str, principal: Principal) -> str:
    if not principal.sees(assistant):
        return f"assistant: {principal.name} may write for {principal.assistant} only"
    scope = Scope.EVENTS_WRITE
    if event.kind in LABELS.types:
        scope = Scope.ERASE if event.kind == _ERASED else Scope.LABELS_WRITE
    return "" if principal.may(scope) else f"type: {event.kind} needs the scope {scope}"


def _completed(payload: bytes, event: WireEvent, assistant: str, principal: Principal) -> bytes:
    added: dict[str, Any] = {} if event.assistant else {"assistant": assistant}
    if event.kind in LABELS.types:
        if event.by:
            raise Invalid(Reason.INVALID, "by: this is whose key it is; leave it out")
        added["by"] = principal.name[:MAX_NAME]
    if added:
        try:
            payload = msgspec.json.encode({**_members(payload), **added})
        except (msgspec.MsgspecError, RecursionError) as error:
            raise Invalid(Reason.MALFORMED, str(error)) from error
    if len(payload) > MAX_RECORD_BYTES:
        raise Invalid(Reason.INVALID, f"event: longer than {MAX_RECORD_BYTES:,} bytes with what is added to it")
    return payload


def _id_in(payload: bytes) -> str | None:
    """Read as much of a refused event as its sender needs to find it again."""
    try:
        return _named(payload).id[:MAX_ID] or None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
