"""What an event means to the fold under the rules of its assistant: a small tuple, the *effect*.

An effect is a pure function of the event and the rules. It begins with the moment (at, seq, id) and a code; what
follows depends on the code. Effects are what a cached conversation keeps of its facts, packed; see
`processors.conversation`.
"""

from collections.abc import Callable
from typing import Any, Final

from xxhash import xxh3_64_intdigest

from processors.fallbacks import Fallbacks
from processors.questions import Questions
from schemas.rules import AssistantRules
from schemas.wire import WIRE, WireEvent

Effect = tuple[Any, ...]
Tag = tuple[str, str, float | None]
"""(rule, reason, confidence): one reason why a message is a fallback."""

USER: Final = 0
ASSISTANT: Final = 1
AGENT: Final = 2
SYSTEM: Final = 3
REPORTED: Final = 4
PROFILE: Final = 5
ESCALATED: Final = 6
ASSIGNED: Final = 7
RATED: Final = 8
ENDED: Final = 9
LABELLED: Final = 10
CLEARED: Final = 11
ERASED: Final = 12

_ROLES: Final = {"user": USER, "assistant": ASSISTANT, "agent": AGENT, "system": SYSTEM}
_DETECTION_TEXT: Final = 100
"""Characters of a text that the language detector may see; 40 letters are enough for it."""

_MESSAGE: Final = WIRE["message.sent"]


class Effects:
    """Reads events of one assistant under its rules."""

    def __init__(self, rules: AssistantRules) -> None:
        self.gap: int = rules.idle_gap_ms
        self._threshold = rules.fallback_threshold
        self._question_key = Questions(rules).key
        fallbacks = Fallbacks(rules)
        self._could_not_help = fallbacks.could_not_help
        self._is_fallback_intent = fallbacks.is_fallback_intent
        self._by_kind: dict[str, Callable[[WireEvent, int], Effect]] = {
            "conversation.erased": lambda event, at: (at, event.seq or 0, event.id, ERASED),
            "message.fallback": _reported,
            "conversation.started": _profile,
            "conversation.updated": _profile,
            "conversation.escalated": lambda event, at: (at, event.seq or 0, event.id, ESCALATED),
            "conversation.assigned": _assigned,
            "conversation.rated": _rated,
            "conversation.ended": lambda event, at: (at, event.seq or 0, event.id, ENDED),
            "label.set": _labelled,
            "label.cleared": _cleared,
        }

    def of(self, event: WireEvent, at: int) -> Effect:
        """Give the effect of an event.

        That of an erasure stands for it only: it decides which facts count (see `Conversation.of`). The last item of a
        user's message is its text, where it may be needed to detect the language.
        """
        if event.__class__ is not _MESSAGE:
            return self._by_kind[event.kind](event, at)
        role = event.role
        language, topic, subtopic = event.language, event.topic, event.subtopic
        said = (language or "", topic or "", subtopic or "") if language or topic or subtopic else None
        if role == "user":
            key = self._question_key(event.text or "", event.id, event.is_question)
            question = xxh3_64_intdigest(key.encode()) if key else None
            tags = self._tags(event) if event.fallback or event.intent else None
            if event.text and not language:
                return (at, event.seq or 0, event.id, USER, said, tags, question, event.text[:_DETECTION_TEXT])
            return (at, event.seq or 0, event.id, USER, said, tags, question)
        if role == "assistant":
            return (at, event.seq or 0, event.id, ASSISTANT, said, self._assistant_tags(event))
        tags = self._tags(event) if event.fallback or event.intent else None
        return (at, event.seq or 0, event.id, _ROLES[role], said, tags)

    def _tags(self, event: WireEvent) -> list[Tag] | None:
        """Tags that a message of any role can have."""
        tags: list[Tag] = []
        if event.fallback:
            tags.append(("flagged", "other", event.confidence))
        intent = event.intent
        if intent and intent.name and self._is_fallback_intent(intent.name):
            tags.append(("intent", "not_understood", intent.confidence))
        return tags or None

    def _assistant_tags(self, event: WireEvent) -> list[Tag] | None:
        confidence, text = event.confidence, event.text
        low = confidence is not None and confidence < self._threshold
        pattern = self._could_not_help(text) if text else False
        if not (low or pattern or event.sources == 0 or event.fallback or event.intent):
            return None
        tags = self._tags(event) or []
        if low:
            tags.append(("low_confidence", "low_confidence", confidence))
        if event.sources == 0:
            tags.append(("no_sources", "no_knowledge", confidence))
        if pattern:
            tags.append(("pattern", "not_understood", confidence))
        return tags or None


def _reported(event: WireEvent, at: int) -> Effect:
    message = event.message_id or event.id
    return (at, event.seq or 0, event.id, REPORTED, message, event.reason or "other", event.confidence)


def _profile(event: WireEvent, at: int) -> Effect:
    user = event.user
    attributes = event.attributes
    return (
        at,
        event.seq or 0,
        event.id,
        PROFILE,
        (user.id or "") if user else "",
        (user.name or "") if user else "",
        event.channel or "",
        event.device or "",
        event.user_agent or "",
        event.location or event.country or "",
        event.language or "",
        event.topic or "",
        event.subtopic or "",
        {name: _as_text(value) for name, value in attributes.items() if value is not None and value != ""}
        if attributes
        else None,
    )


def _as_text(value: str | float | bool) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


def _assigned(event: WireEvent, at: int) -> Effect:
    return (at, event.seq or 0, event.id, ASSIGNED, event.assigned_to or "", event.team or "")


def _rated(event: WireEvent, at: int) -> Effect:
    return (at, event.seq or 0, event.id, RATED, event.rating, event.comment or "")


def _labelled(event: WireEvent, at: int) -> Effect:
    return (
        at,
        event.seq or 0,
        event.id,
        LABELLED,
        event.label,
        event.correction or "",
        event.by or "",
        event.reason or "",
        event.seen_messages,
    )


def _cleared(event: WireEvent, at: int) -> Effect:
    return (at, event.seq or 0, event.id, CLEARED, event.by or "", event.reason or "")
