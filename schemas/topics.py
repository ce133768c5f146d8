"""The registry of topics: what flows where, under which key, kept how."""

from dataclasses import dataclass

from schemas.events import EVENT_MODELS, event_type

MAX_RECORD_BYTES = 1_048_576
HOPS_HEADER = "afterword-hops"
"""Header of a record that was sent home: how often, as ASCII digits."""
MAX_HOPS = 3


@dataclass(frozen=True, slots=True)
class Topic:
    """One input topic. Records are JSON events keyed by conversation id."""

    name: str
    description: str
    types: frozenset[str]
    config: tuple[tuple[str, str], ...] = (
        ("cleanup.policy", "delete"),
        ("retention.ms", str(7 * 24 * 3_600_000)),
        ("message.timestamp.type", "LogAppendTime"),
        ("max.message.bytes", str(MAX_RECORD_BYTES + 4_096)),
    )


_LABEL_TYPES = frozenset(
    event_type(model)
    for model in EVENT_MODELS
    if event_type(model).startswith("label.") or event_type(model) == "conversation.erased"
)

EVENTS = Topic(
    "assistant.events",
    "What happened in conversations, as the assistant's runtime saw it.",
    frozenset(event_type(model) for model in EVENT_MODELS) - _LABEL_TYPES,
)
LABELS = Topic(
    "manager.labels",
    "What managers said of conversations, and erasures: a right granted apart from the right to write events.",
    _LABEL_TYPES,
)
TOPICS = (EVENTS, LABELS)


def topic_of(kind: str) -> Topic:
    """Name the topic that a type of event belongs to. Raises KeyError for a type that does not exist."""
    for topic in TOPICS:
        if kind in topic.types:
            return topic
    raise KeyError(kind)
