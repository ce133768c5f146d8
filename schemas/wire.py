"""The events, as they are read from records: msgspec structs derived from the models of `schemas.events`.

msgspec decodes a record in 0.4 to 0.75 µs where pydantic takes 2.5 to 7 (measured on 327-byte events). It is the fast
path, not the contract: what it refuses is given to the models, which explain the refusal or, where they are the more
lenient ('' for a number counts as absent), accept. So a record is accepted exactly when the models accept it.
"""

import re
import types
import typing
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, Union

import msgspec
from annotated_types import Ge, Le, MaxLen
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from schemas.events import ASSISTANT_PATTERN, EARLIEST_AT, EVENT, EVENT_MODELS, EventBase, epoch_ms, event_type
from schemas.failures import Invalid, Reason


class WireEvent(msgspec.Struct):
    """What all wire events have; the fields themselves are derived from the models.

    `kind` is the event's type; `role` and `text` stand on every class so that columns are built without asking.
    """

    kind: typing.ClassVar[str] = ""
    role: typing.ClassVar[str] = ""
    text: typing.ClassVar[str | None] = ""

    if typing.TYPE_CHECKING:  # the derived fields, for readers and type checkers

        def __getattr__(self, name: str) -> Any: ...


def _says_something(struct: Any) -> None:
    if struct.rating is None and not struct.comment:
        raise ValueError("a rating, a comment or both are needed")


_FIRST = ("assistant", "conversation_id", "id", "seq", "at")

_CHECKS: dict[str, Callable[[Any], None]] = {"conversation.rated": _says_something}


def _wire_type(annotation: Any, metadata: Sequence[Any]) -> Any:
    """Translate a model field's type into msgspec's, with its bounds."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        base, *more = typing.get_args(annotation)
        return _wire_type(base, [*metadata, *more])
    if origin in (Union, types.UnionType):
        return Union[tuple(_wire_type(one, metadata) for one in typing.get_args(annotation))]  # noqa: UP007  (computed)
    if origin is dict:
        key, value = typing.get_args(annotation)
        return dict[_wire_type(key, ()), _wire_type(value, ())]  # type: ignore[misc]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _struct(annotation, {})
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return Literal[tuple(one.value for one in annotation)]
    bounds: dict[str, Any] = {}
    for one in metadata:
        if isinstance(one, MaxLen):
            bounds["max_length"] = one.max_length
        elif isinstance(one, Ge):
            bounds["ge"] = one.ge
        elif isinstance(one, Le):
            bounds["le"] = one.le
    return Annotated[annotation, msgspec.Meta(**bounds)] if bounds and annotation in (str, int) else annotation


def _struct(model: type[BaseModel], namespace: dict[str, Any], tag: str | None = None) -> type[msgspec.Struct]:
    """Derive the struct of a model; absent optional fields are None.

    The fields that every event has come first, in the order in which producers tend to write them: msgspec looks for
    each name from where it found the last one.
    """
    fields: list[Any] = []
    for name, field in model.model_fields.items():
        if name == "type":
            continue
        if name == "at":
            fields.append((name, datetime | int | float))
        elif field.is_required():
            wire = _wire_type(field.annotation, field.metadata)
            if field.annotation is str:  # '' counts as absent, and absent is missing here
                base, meta = typing.get_args(wire)
                wire = Annotated[base, msgspec.Meta(min_length=1, max_length=meta.max_length)]
            fields.append((name, wire))
        else:
            fields.append((name, _wire_type(field.annotation, field.metadata), None))
    places = {name: place for place, name in enumerate(_FIRST)}
    return msgspec.defstruct(
        model.__name__,
        sorted(fields, key=lambda field: places.get(field[0], len(places))),
        bases=(WireEvent,) if tag else None,
        namespace=namespace,
        tag=tag,
        tag_field="type" if tag else None,
        kw_only=True,
        gc=False,
    )


def _event_struct(model: type[EventBase]) -> type[WireEvent]:
    tag = event_type(model)
    namespace: dict[str, Any] = {"kind": tag, "__doc__": model.__doc__, "__module__": __name__}
    if tag in _CHECKS:
        namespace["__post_init__"] = _CHECKS[tag]
    return typing.cast("type[WireEvent]", _struct(model, namespace, tag))


WIRE: dict[str, type[WireEvent]] = {event_type(model): _event_struct(model) for model in EVENT_MODELS}
"""The struct of each type."""

_ASSISTANT = re.compile(ASSISTANT_PATTERN.removesuffix("$") + r"\Z").match
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_UNION: Any = Union[tuple(WIRE.values())]  # noqa: UP007  (computed)
_decode: Callable[[bytes], WireEvent] = msgspec.json.Decoder(_UNION).decode

_assistants: set[str | None] = set()
"""Names that were found to be right: asked of each event, the pattern would cost a third of its decoding."""


def _is_assistant(name: str) -> bool:
    if _ASSISTANT(name) is None:
        return False
    if len(_assistants) < _ASSISTANTS_KNOWN:
        _assistants.add(name)
    return True


_ASSISTANTS_KNOWN = 10_000
_SHORT = 400
"""A payload of no more bytes cannot reach the limits of `_is_tame`."""


def _is_tame(payload: bytes) -> bool:
    """Whether from_json's limits, 200 levels and 4,300 digits, cannot matter, so that the fast path may decide.

    Inside fields that it skips, msgspec knows no limit but what is left of Python's stack: without this, one caller
    could accept what another cannot read again.
    """
    # replace looks for brackets four times as fast as count
    if len(payload) - len(payload.replace(b"[", b"").replace(b"{", b"")) > 200:
        return False
    return len(payload) <= 4_300 or len(payload) - len(payload.translate(None, b"0123456789")) <= 4_300


def decode(payload: bytes) -> tuple[WireEvent, int]:
    """Read one event and its `at` in epoch milliseconds.

    Raises Invalid with the reason and a sentence for a person. Never joined with its neighbours: a broken record must
    not complete another's JSON.
    """
    try:
        if not payload.isascii():
            payload.decode()  # msgspec does not look inside fields that it skips
        if len(payload) > _SHORT and not _is_tame(payload):
            return _by_contract(payload)
        event = _decode(payload)
        if event.assistant and event.assistant not in _assistants and not _is_assistant(event.assistant):
            return _by_contract(payload)
        at = epoch_ms(event.at)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _by_contract(payload)
    return (event, at) if at >= EARLIEST_AT else _by_contract(payload)


def _milliseconds(times: Sequence[datetime | float]) -> list[int]:
    return [(at - _EPOCH) // _MILLISECOND if at.__class__ is datetime and at.tzinfo else epoch_ms(at) for at in times]


def decode_all(
    payloads: list[bytes], milliseconds: Callable[[Sequence[datetime | float]], list[int]] = _milliseconds
) -> tuple[list[WireEvent], list[int]] | None:
    """Read a whole batch, or None when any record of it needs a look of its own (see `decode`).

    `milliseconds` says the same as `epoch_ms`, of many times.
    """
    try:
        for payload in payloads:
            if not payload.isascii():
                payload.decode()
            if len(payload) > _SHORT and not _is_tame(payload):
                return None
        events = list(map(_decode, payloads))
        strange = {event.assistant for event in events} - _assistants
        if strange and not all(not name or _is_assistant(name) for name in strange):
            return None
        times = milliseconds([event.at for event in events])
    except (msgspec.MsgspecError, ValueError, RecursionError, TypeError, AttributeError):
        return None
    return (events, times) if not times or min(times) >= EARLIEST_AT else None


def _by_contract(payload: bytes) -> tuple[WireEvent, int]:
    """Let the models decide: they accept (and the struct is made from what they read) or say what is wrong."""
    if not payload:
        raise Invalid(Reason.EMPTY, "the record has no value")
    try:
        given = from_json(payload, allow_inf_nan=False)
    except ValueError as error:
        raise Invalid(Reason.MALFORMED, _line(str(error))) from error
    if not isinstance(given, dict):
        raise Invalid(Reason.MALFORMED, f"one JSON object is needed, not a {type(given).__name__}")
    try:
        event = EVENT.validate_python(given)
    except ValidationError as error:
        raise _explained(error) from error
    except RecursionError as error:
        raise Invalid(Reason.MALFORMED, "nested too deeply") from error
    fields = event.model_dump(exclude={"type"}, mode="json", exclude_none=True)
    return msgspec.convert(fields, WIRE[event.type]), event.at


def _explained(error: ValidationError) -> Invalid:
    reason, lines = Reason.INVALID, []
    for one in error.errors(include_url=False, include_context=False, include_input=False):
        if one["type"] in ("union_tag_invalid", "union_tag_not_found"):
            return Invalid(Reason.UNKNOWN_TYPE, _line(one["msg"]))
        if one["type"] == "at_out_of_range":
            reason = Reason.OUT_OF_RANGE
        # the first step of the path is the type itself
        lines.append(f"{'.'.join(str(step) for step in one['loc'][1:]) or 'event'}: {one['msg']}")
    return Invalid(reason, _line("; ".join(lines)))


def _line(text: str) -> str:
    """Make one line that a terminal may show: what was sent stands in it, control characters too."""
    return "".join(one if one.isprintable() else "\ufffd" for one in " ".join(text.split())[:500])
