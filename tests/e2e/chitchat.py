"""chitchat-dataset for the end-to-end tests: its events, a part of them, and the rows that the oracle gives them."""

import json
import time
import warnings
from collections.abc import Iterable
from functools import cache

from schemas.intake import chitchat
from tests.e2e.rows import Rows
from tests.e2e.truth import truth as truth_of

CONVERSATIONS = 7_168
MESSAGES = 258_145
CLOCK = int(time.time() * 1000)
"""Any time will do that is later than the dataset: all of it is closed."""


@cache
def lines() -> list[bytes]:
    """All events, conversation by conversation."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the package leaves its file to the garbage collector
        return list(chitchat.all_events())


def conversation_of(line: bytes) -> str:
    """The conversation that an event belongs to."""
    return str(json.loads(line)["conversation_id"])


def part(events: Iterable[bytes], number: int, of: int) -> list[bytes]:
    """The events of every so-manieth conversation, as `number` of `of` parts of about equal size."""
    places: dict[str, int] = {}
    return [line for line in events if places.setdefault(conversation_of(line), len(places)) % of == number]


def truth() -> Rows:
    """The oracle's rows of all of it."""
    return truth_of(lines(), "chitchat")
