"""chitchat-dataset for the end-to-end tests: its events, a part of them, and the rows that the oracle gives them.

The oracle takes two minutes of a processor for all of it. So what it said is kept in .cache/, under a name that changes
with whatever could change the answer.
"""

import hashlib
import json
import os
import pickle
import time
import warnings
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

from schemas.intake import chitchat
from tests import oracle
from tests.e2e.rows import Rows, of_the_oracle
from tests.kafka import jars
from tests.processors.folding import PLAIN_RULES

CONVERSATIONS = 7_168
MESSAGES = 258_145
CACHE = jars.CACHE.parent / "e2e"
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
    kept = CACHE / f"chitchat-{_name()}.pickle"
    if not kept.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        parts = os.cpu_count() or 1
        with ProcessPoolExecutor(parts, mp_context=get_context("spawn")) as pool:
            found = [one.result() for one in [pool.submit(_truth_of_part, number, parts) for number in range(parts)]]
        new = kept.with_suffix(f".{os.getpid()}")
        new.write_bytes(pickle.dumps({key: row for rows in found for key, row in rows.items()}))
        new.replace(kept)
    rows: Rows = pickle.loads(kept.read_bytes())
    return rows


def _truth_of_part(number: int, of: int) -> Rows:
    return of_the_oracle(part(lines(), number, of), CLOCK)


def _name() -> str:
    told = [Path(oracle.__file__).read_bytes(), json.dumps(PLAIN_RULES).encode(), *lines()]
    told += [f"{name} {version(name)}".encode() for name in ("py3langid", "ua-parser")]
    return hashlib.sha256(b"\n".join(told)).hexdigest()[:16]
