"""The oracle's rows of many events: made by all processors of the machine, and kept in .cache/.

The oracle takes two minutes of a processor for all of chitchat-dataset. So what it said is kept under a name that
changes with whatever could change the answer.
"""

import hashlib
import json
import os
import pickle
import time
import zlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from tests import oracle
from tests.e2e.rows import Rows, of_the_oracle
from tests.kafka import jars
from tests.processors.folding import PLAIN_RULES

CACHE: Final = jars.CACHE.parent / "e2e"


def truth(lines: Sequence[bytes], name: str) -> Rows:
    """The rows of these events; all their conversations are over, so that any present time gives the same.

    `name` is what the kept file begins with.
    """
    kept = CACHE / f"{name}-{_digest(lines)}.pickle"
    if not kept.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        parts = _parts(lines, os.cpu_count() or 1)
        with ProcessPoolExecutor(len(parts), mp_context=get_context("spawn")) as pool:
            found = list(pool.map(_truth_of, parts))
        new = kept.with_suffix(f".{os.getpid()}")
        new.write_bytes(pickle.dumps({key: row for rows in found for key, row in rows.items()}))
        new.replace(kept)
    rows: Rows = pickle.loads(kept.read_bytes())
    return rows


def _truth_of(lines: list[bytes]) -> Rows:
    return of_the_oracle(lines, int(time.time() * 1000))


def _parts(lines: Sequence[bytes], count: int) -> list[list[bytes]]:
    """Whole conversations, in so many parts of about equal size."""
    parts: list[list[bytes]] = [[] for _ in range(count)]
    for line in lines:
        parts[zlib.crc32(json.loads(line)["conversation_id"].encode()) % count].append(line)
    return parts


def _digest(lines: Sequence[bytes]) -> str:
    told = [Path(oracle.__file__).read_bytes(), json.dumps(PLAIN_RULES).encode(), *lines]
    told += [f"{name} {version(name)}".encode() for name in ("py3langid", "ua-parser")]
    return hashlib.sha256(b"\n".join(told)).hexdigest()[:16]
