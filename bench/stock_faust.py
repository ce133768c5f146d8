"""The same fold as one writes it with Faust as it comes: an agent, JSON values, a Table with its changelog.

First and last event, events, messages, fallbacks, distinct questions of each conversation. Left out is all that makes
the results dependable: duplicates, disorder, sessions, labels, erasures, dead letters, facts, and a database.
"""

import re
from pathlib import Path
from typing import Any

import faust

from bench.contender import Task, Watch, run, until_taken
from bench.producer import PART
from schemas.rules import AssistantRules, Rules

Event = dict[str, Any]
State = dict[str, Any]


class Fallbacks:
    """Says which message, if any, an event tells to be one that the assistant could not answer."""

    def __init__(self, rules: AssistantRules) -> None:
        self._threshold = rules.fallback_threshold
        self._intents = frozenset(rules.fallback_intents)
        phrases = {_plain(phrase) for language in rules.could_not_help.values() for phrase in language}
        self._could_not_help = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(phrases)))})\b")

    def message(self, event: Event) -> str | None:
        """Give the id of the message, None when it is not one."""
        if event["type"] == "message.fallback":
            return str(event.get("message_id", event["id"]))
        if event["type"] != "message.sent":
            return None
        tagged = event.get("fallback") or event.get("intent", {}).get("name") in self._intents
        if not tagged and event["role"] == "assistant":
            tagged = (
                event.get("confidence", 1) < self._threshold
                or event.get("sources") == 0
                or self._could_not_help.search(_plain(event["text"]))
            )
        return str(event["id"]) if tagged else None


def _plain(text: str) -> str:
    return re.sub(r"['\u2019]", "", text.casefold())


def _nothing() -> State:
    return {"first": "", "last": "", "events": 0, "messages": 0, "fallbacks": [], "questions": []}


def fold(state: State, event: Event, fallbacks: Fallbacks) -> State:
    """Give the state of a conversation after one more event."""
    at = event["at"]
    state["first"] = min(state["first"] or at, at)
    state["last"] = max(state["last"], at)
    state["events"] += 1
    if event["type"] == "message.sent" and event["role"] in {"user", "assistant"}:
        state["messages"] += 1
        question = event["text"].casefold().strip()
        if event["role"] == "user" and question not in state["questions"]:
            state["questions"].append(question)
    message = fallbacks.message(event)
    if message is not None and message not in state["fallbacks"]:
        state["fallbacks"].append(message)
    return state


async def contend(task: Task, watch: Watch) -> dict[str, int]:
    """Take the part of the input; the watch stops when the last event is in the Table."""
    app = faust.App(
        task.group,
        broker=f"kafka://{task.address}",
        store="memory://",
        datadir=Path(task.folder),
        topic_partitions=task.partitions,
        topic_replication_factor=1,
        consumer_auto_offset_reset="earliest",
        web_enabled=False,
    )
    events = app.topic(PART, key_type=str, key_serializer="raw", value_serializer="json")
    conversations = app.Table("conversations", default=_nothing, partitions=task.partitions, key_type=str)
    fallbacks = Fallbacks(Rules.load(None).default)
    taken = 0

    @app.agent(events)
    async def folded(stream: faust.StreamT[Event]) -> None:
        nonlocal taken
        async for conversation_id, event in stream.items():
            conversations[conversation_id] = fold(conversations[conversation_id], event, fallbacks)
            taken += 1

    await app.start()
    await until_taken(lambda: taken, 1)
    watch.start()
    await until_taken(lambda: taken, task.known.events)
    watch.stop()
    states = list(conversations.values())
    await app.stop()
    return {
        "events": sum(state["events"] for state in states),
        "conversations": len(states),
        "messages": sum(state["messages"] for state in states),
        "fallbacks": sum(len(state["fallbacks"]) for state in states),
    }


if __name__ == "__main__":
    run(contend)
