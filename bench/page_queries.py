"""`python -m bench.page_queries`: what the queries behind the pages take on ten million conversations.

Each is asked as the application asks it, by the functions of `api.queries` with their own SQL on a pool of readers, and
some whole pages through the application. `--writing` does the same while inserts of 20,000 events a second go into
both tables, which is the store's part of a worker's work; its own part, the fold, takes no place here. The tables are
made once and kept (`--keep`): see `bench.page_rows`.
"""

import argparse
import asyncio
import json
import statistics as figures
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import httpx2

from api.queries.changes import Kind, changes_of
from api.queries.freshness import _ask as ask_freshness
from api.queries.history import conversation
from api.queries.listing import counts as count
from api.queries.listing import list_page, neighbours, overview
from api.queries.selection import Selection
from api.queries.sorting import Cursor, Direction, Sort
from api.queries.statistics import BucketSize, statistics
from bench import machine
from bench.arguments import positive
from bench.page_rows import EVERY, Made, stored, write_messages, write_rows
from schemas.conversation import ConversationRow
from sinks.clickhouse_queries import ClickHouseQueries
from sinks.connection import Database
from tests.signed_in import signed_in

CONVERSATIONS: Final = 10_000_000
ROUNDS: Final = 20
TARGETS: Final = {"query": (0.100, 0.250), "detail": (0.050, 0.250), "page": (0.300, 0.500)}
"""Seconds, of 95 and of 99 in a hundred."""
EVENTS_A_SECOND: Final = 20_000
_EVENTS_A_CONVERSATION: Final = 5
_NOTHING: Final = "nothing"
_KEPT: Final = Path(__file__).parent.parent / ".cache" / "bench"

Asked = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Question:
    """One question: what it is called, which targets hold for it, and how it is asked."""

    name: str
    kind: str
    ask: Asked


@dataclass(frozen=True, slots=True)
class Taken:
    """What a question took, in seconds, round by round, and what ClickHouse read for it once.

    `first`: when it was asked before anything of it was known.
    """

    kind: str
    first: float
    seconds: list[float]
    cpu: float
    read_rows: int
    read_bytes: int

    def at(self, share: float) -> float:
        """Give the time within which this share of the rounds was answered."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    @property
    def met(self) -> bool:
        """Whether both targets are met."""
        p95, p99 = TARGETS[self.kind]
        return self.at(0.95) <= p95 and self.at(0.99) <= p99


def questions(queries: ClickHouseQueries, made: Made, deep: ConversationRow) -> Iterator[Question]:
    """Give all that is asked of the queries. `deep`: a row in the middle of the year."""
    now = made.at

    def listed(query: str, sort: str = "-started_at", limit: int = 50, place: Cursor | None = None) -> Asked:
        cursor = None if place is None else str(place)
        return lambda: list_page(queries, _selection(query), Sort.parse(sort), cursor, limit, None, now)

    def counted(query: str) -> Asked:
        return lambda: count(queries, _selection(query), None, now)

    def measured(query: str, bucket: BucketSize) -> Asked:
        return lambda: statistics(queries, _selection(query), None, now, bucket)

    def after(sort: str) -> Cursor:
        return Cursor.at(deep, Sort.parse(sort), Direction.AFTER, 5_000_000)

    async def followed() -> None:
        async for notice in changes_of(queries).follow(None, key=(deep.assistant, deep.conversation_id)):
            if notice.kind is Kind.CHANGED:
                return

    three = "range=year&language=en&topic=returns&rated=true"
    asked: dict[str, Asked] = {
        "list: all": listed(""),
        "list: the last 24 hours": listed("range=24h"),
        "list: the last week": listed("range=week"),
        "list: the last month": listed("range=month"),
        "list: the last year": listed("range=year"),
        "list: three days of spring": listed("range=custom&from=2026-04-07&to=2026-04-09"),
        "list: negative, year": listed("section=negative&range=year"),
        "list: fallback, year, the longest first": listed("section=fallback&range=year", "-duration_ms"),
        "list: open": listed("state=open"),
        "list: English, returns, rated, year": listed(three),
        "list: of one client": listed("client=u-4711"),
        "list: an assistant's, by rating": listed("assistant=bank&range=year", "rating"),
        "list: month, by client": listed("range=month", "user_name"),
        "list: amid the year, the next page": listed("", place=after("-started_at")),
        "list: by duration, the next page": listed("", "-duration_ms", place=after("-duration_ms")),
        "search: a frequent word, year": listed("range=year&q=word3"),
        "search: two words, month": listed("range=month&q=word3+word40"),
        "search: a rare word": listed("q=word2900"),
        "counts: the last week": counted("range=week"),
        "counts: the last month": counted("range=month"),
        "counts: all": counted(""),
        "counts: English, returns, rated, year": counted(three),
        "statistics: week by hours": measured("range=week", BucketSize.HOUR),
        "statistics: month by days": measured("range=month", BucketSize.DAY),
        "statistics: year by weeks": measured("range=year", BucketSize.WEEK),
        "statistics: English, returns, year": measured("range=year&language=en&topic=returns", BucketSize.WEEK),
        "export-like: page of 200 with counts, month": lambda: overview(
            queries, _selection("range=month"), Sort.parse("-started_at"), None, 200, None, now
        ),
        "neighbours: of a conversation, all": lambda: neighbours(
            queries, _selection(""), Sort.parse("-started_at"), deep, None, now
        ),
        "neighbours: of a conversation, week": lambda: neighbours(
            queries, _selection("range=week"), Sort.parse("-started_at"), deep, None, now
        ),
        "freshness": lambda: ask_freshness(queries, None),
        "changes: of one conversation, the first": followed,
    }
    for name, ask in asked.items():
        yield Question(name, "query", ask)
    yield Question(
        "detail: a conversation", "detail", lambda: conversation(queries, deep.assistant, deep.conversation_id, None)
    )


def _selection(query: str) -> Selection:
    return Selection.from_items(parse_qsl(query))


PAGES: Final = {
    "page: Learning": "/learning/all",
    "page: Learning, the last week": "/learning/all?range=week",
    "page: Learning, the last month, negative": "/learning/negative?range=month",
    "page: Statistics, the last month": "/statistics?range=month",
}


async def _row_amid(queries: ClickHouseQueries, made: Made) -> ConversationRow:
    """Give a row of half a year ago whose messages are stored."""
    number = made.conversations // 2 // EVERY * EVERY
    (found,) = await queries.rows("SELECT concat('c-', hex(halfMD5(toUInt64({n:UInt64}))))", {"n": number})
    for assistant in ("shop", "bank", "travel"):
        history = await conversation(queries, assistant, found[0], None)
        if history is not None:
            assert history.messages, "its messages are not stored"
            return history.row
    raise AssertionError("the tables are not those of this bench")


async def measured(
    database: Database, made: Made, rounds: int, only: str, writing: bool, pages: bool
) -> tuple[dict[str, Taken], int]:
    """Ask everything so often, and give what it took, and how many events were written meanwhile."""
    queries = ClickHouseQueries(database)
    client = database.client()
    taken: dict[str, Taken] = {}
    deep = await _row_amid(queries, made)
    assert database.folder is not None
    async with signed_in(database, database.folder.parent) as browser:
        asked = list(questions(queries, made, deep))
        asked += [Question(name, "page", _page(browser, address)) for name, address in PAGES.items() if pages]
        with _written(database, made, writing) as written:
            for question in asked:
                if only not in question.name:
                    continue
                began = time.perf_counter()
                await question.ask()
                first = time.perf_counter() - began
                before = _selected(client)
                seconds, spent = [], time.process_time()
                for _ in range(rounds):
                    began = time.perf_counter()
                    await question.ask()
                    seconds.append(time.perf_counter() - began)
                cpu = (time.process_time() - spent) / rounds
                rows, size = ((b - a) // rounds for a, b in zip(before, _selected(client), strict=True))
                taken[question.name] = one = Taken(question.kind, first, seconds, cpu, rows, size)
                print(_line(question.name, one), flush=True)
    queries.close()
    client.close()
    return taken, written[0]


def _page(browser: httpx2.AsyncClient, address: str) -> Asked:
    async def ask() -> None:
        answer = await browser.get(address)
        assert answer.status_code == 200, answer.text

    return ask


def _selected(client: Any) -> tuple[int, int]:
    """Give what ClickHouse read from tables so far: rows and bytes. What others ask in between counts too."""
    found = dict(
        client.query(
            "SELECT event, value FROM system.events WHERE event IN ('SelectedRows', 'SelectedBytes')"
        ).result_rows
    )
    return found.get("SelectedRows", 0), found.get("SelectedBytes", 0)


@contextmanager
def _written(database: Database, made: Made, writing: bool) -> Iterator[list[int]]:
    """Insert a second's events each second, as a worker's flush does: facts, then the rows that they touched."""
    written, stop = [0], threading.Event()

    def write() -> None:
        client = database.client()
        each = EVENTS_A_SECOND // _EVENTS_A_CONVERSATION
        second = 0
        while not stop.is_set():
            began = time.monotonic()
            # New ones, today's; facts are five each, and a row is written twice: while it lives, and closed.
            first = made.conversations - (1 + second % 50) * each
            numbers = f"numbers({first}, {each})"
            write_messages(client, made, numbers)
            version = f"(toUInt64(9) + {second}) * 16777216 + 131072 + 3"
            write_rows(client, made, numbers, version=version)
            write_rows(client, made, numbers, version=f"{version} + 1")
            written[0] += EVENTS_A_SECOND
            second += 1
            stop.wait(1 - (time.monotonic() - began))
        client.close()

    thread = threading.Thread(target=write) if writing else None
    if thread:
        thread.start()
    try:
        yield written
    finally:
        stop.set()
        if thread:
            thread.join()


HEAD: Final = (
    "| query | first ms | median ms | p95 ms | p99 ms | CPU ms | rows read | MiB read | |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def _line(name: str, one: Taken) -> str:
    spans = " | ".join(
        f"{seconds * 1e3:.0f}"
        for seconds in (one.first, figures.median(one.seconds), one.at(0.95), one.at(0.99), one.cpu)
    )
    said = "" if one.met else "over"
    return f"| {name} | {spans} | {one.read_rows:,} | {one.read_bytes / 2**20:,.1f} | {said} |"


def main() -> int:
    """Measure and print; gives 1 when something is over its target."""
    parser = argparse.ArgumentParser("bench.page_queries", description=__doc__)
    parser.add_argument("--conversations", type=positive, default=CONVERSATIONS, help=f"(default: {CONVERSATIONS:,})")
    parser.add_argument("--rounds", type=positive, default=ROUNDS, help=f"of each question (default: {ROUNDS})")
    parser.add_argument("--only", default="", help="what the names of questions have to contain")
    parser.add_argument("--writing", action="store_true", help=f"while {EVENTS_A_SECOND:,} events/s are written")
    parser.add_argument("--no-pages", action="store_true", help="leave the whole pages out")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--keep", type=Path, help="where the tables stand, made when they do not")
    options = parser.parse_args()
    folder = options.keep or _KEPT / f"pages-{options.conversations}"
    database, made = stored(folder, options.conversations)
    load, began = machine.load(), time.monotonic()
    print(HEAD, flush=True)
    taken, written = asyncio.run(
        measured(database, made, options.rounds, options.only, options.writing, not options.no_pages)
    )
    rate = written / (time.monotonic() - began)
    print(f"\n{made.conversations:,} conversations; load average {load:.1f} before, {machine.load():.1f} after", end="")
    print(f"; {rate:,.0f} events/s written meanwhile" if options.writing else "")
    if options.json:
        options.json.write_text(json.dumps({name: asdict(one) for name, one in taken.items()}, indent=1))
    return int(not all(one.met for one in taken.values()))


if __name__ == "__main__":
    sys.exit(main())
