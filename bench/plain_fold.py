"""The fold as one writes it by hand, on dicts from JSON: what the contenders that are not Afterword do with an event.

First and last event, events, messages, fallbacks, distinct questions of each conversation. Left out is all that makes
the results dependable: duplicates, disorder, sessions, labels, erasures, dead letters, facts, and a database.
"""

import re
from collections.abc import Iterable
from typing import Any

from schemas.rules import AssistantRules

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


def nothing() -> State:
    """Give the state of a conversation before its first event."""
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


def totals(states: Iterable[State]) -> dict[str, int]:
    """Sum up the conversations, by the names of `Totals`. Its questions are texts in lower case: not compared."""
    counted = {"events": 0, "conversations": 0, "messages": 0, "fallbacks": 0}
    for state in states:
        counted["events"] += state["events"]
        counted["conversations"] += 1
        counted["messages"] += state["messages"]
        counted["fallbacks"] += len(state["fallbacks"])
    return counted
