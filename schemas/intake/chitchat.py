"""chitchat-dataset (PyPI, MIT) as events: 7,168 real conversations between two people, with times and ratings.

| dataset | event |
| --- | --- |
| the first speaker | the user: `user.id` is the sender, role `user` |
| the other speaker | the assistant, role `assistant` (3,150 conversations have a single speaker) |
| each message | `message.sent`, `seq` its place, `at` its own timestamp |
| before the first message | `conversation.started` at its time (`start` is in another zone, so it is not used) |
| ratings: witty, upbeat, interesting, 1 to 10 | `conversation.rated` at the last message's time: half their mean, up |

So a rating is 1 to 5: half of the mean of the three, rounded up.

Nothing is invented: no topics, no languages, no labels, no ends. A conversation is closed when it has fallen silent.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

ASSISTANT: Final = "chitchat"

_encode = msgspec.json.Encoder().encode


def events(conversation_id: str, conversation: Mapping[str, Any]) -> Iterator[bytes]:
    """Give the events of one conversation of the dataset, in order, as JSON."""
    messages = [one for turn in conversation["messages"] for one in turn]
    user = messages[0]["sender"]
    common = {"assistant": ASSISTANT, "conversation_id": conversation_id}

    def event(kind: str, seq: int, at: str, **fields: Any) -> bytes:
        return _encode({"type": kind, "id": f"{conversation_id}-{seq}", **common, "seq": seq, "at": at, **fields})

    yield event("conversation.started", 0, messages[0]["timestamp"], user={"id": user})
    for seq, one in enumerate(messages, 1):
        role = "user" if one["sender"] == user else "assistant"
        yield event("message.sent", seq, one["timestamp"], role=role, text=one["text"])
    ratings = conversation.get("ratings")
    if ratings:
        scores = list(ratings.values())
        rating = -(-sum(scores) // (2 * len(scores)))
        yield event("conversation.rated", len(messages) + 1, messages[-1]["timestamp"], rating=rating)


def all_events() -> Iterator[bytes]:
    """Give the events of the whole dataset, conversation by conversation."""
    import chitchat_dataset  # noqa: PLC0415  (39 MB of data that only a demo needs)

    dataset = chitchat_dataset.Dataset()
    for conversation_id, conversation in dataset.items():
        yield from events(conversation_id, conversation)
