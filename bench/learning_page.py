"""`python -m bench.learning_page`: what pages of Learning take the server, on a million conversations.

The rows are made by ClickHouse itself and stand in a chDB folder, over a year; parts of past months are merged, as
ClickHouse does by itself after a day, those of this month are not. The application is the real one, asked with a
session, as a browser asks; what is measured is from the request to the last byte of the answer.
"""

import argparse
import asyncio
import statistics
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import httpx2

from bench.arguments import positive
from schemas.conversation import COLUMNS
from sinks.connection import Database
from sinks.migrate import migrate
from tests.signed_in import signed_in

CONVERSATIONS: Final = 1_000_000
TARGET_S: Final = 0.300
_INSERTS: Final = 20

ROWS: Final = {
    "assistant": "'shop'",
    "conversation_id": "concat('c-', hex(halfMD5(n)))",
    "opened_on": "toDate(started_at)",
    "started_at": "toDateTime64(now() - (n * 31 + a % 31) % (365 * 86400), 3, 'UTC')",
    "last_activity_at": "addMilliseconds(started_at, 20000 + b % 900000)",
    "closes_at": "addHours(last_activity_at, 4)",
    "closed": "true",
    "ended_at": "last_activity_at",
    "close_reason": "if(a % 2 = 0, 'ended', 'idle')",
    "duration_ms": "20000 + b % 900000",
    "reopened": "a % 25 = 0",
    "messages": "2 + a % 12",
    "user_messages": "1 + a % 6",
    "agent_messages": "if(b % 12 = 0, 2, 0)",
    "queries": "1 + a % 5",
    "rating": "if(b % 4 = 0, 1 + a % 5, NULL)",
    "feedback": "if(b % 16 = 0, concat('it took ', toString(a % 90), ' minutes'), '')",
    "has_feedback": "feedback != ''",
    "user_id": "concat('u-', toString(b % 200000))",
    "user_name": "concat('Sam ', char(65 + a % 26), '.')",
    "channel": "['web', 'whatsapp', 'app', 'voice'][1 + a % 4]",
    "device": "['desktop', 'mobile', 'tablet', ''][1 + b % 4]",
    "location": "concat('city ', toString(b % 60))",
    "language": "['en', 'es', 'de', 'fr'][1 + intDiv(a, 7) % 4]",
    "topic": "['orders', 'returns', 'shipping', 'payment', 'products', 'account'][1 + intDiv(b, 11) % 6]",
    "subtopic": "concat('part ', toString(intDiv(b, 77) % 24))",
    "attributes": "map('plan', ['guest', 'standard', 'plus'][1 + a % 3])",
    "escalated": "b % 12 = 0",
    "claimed": "b % 12 = 0",
    "assigned_to": "if(b % 12 = 0, concat('agent ', toString(a % 40)), '')",
    "team": "if(b % 12 = 0, 'support', '')",
    "fallbacks": "a % 9 = 0",
    "fallback_causes": "if(a % 9 = 0, [('e', 'low_confidence', 'low_confidence', 0.2)], [])",
    "label": "['', '', '', '', '', '', '', '', 'positive', 'negative'][1 + intDiv(a, 13) % 10]",
    "label_id": "if(label = '', '', concat('l-', toString(n)))",
    "labelled_by": "if(label = '', '', 'ana@example.org')",
    "labelled_at": "if(label = '', NULL, addDays(started_at, 1))",
    "version": "toUInt64(7) * 16777216 + 131072 + 3",
    "updated_at": "last_activity_at",
}
"""What is not named is empty. `a` and `b` are two hashes of the row's number `n`."""

PAGES: Final = {
    "all, the newest first": "/learning/all",
    "the last week": "/learning/all?range=week",
    "fallbacks, the longest first": "/learning/fallback?sort=-duration_ms",
    "English about returns, escalated and rated": "/learning/all?language=en&topic=returns&escalated=true&rated=true",
    "sorted by user, the thousandth row": "",  # its address holds a cursor
    "nobody is like that": "/learning/negative?client=nobody",
    "as JSON": "/v1/conversations",
}
DEEP: Final = "sorted by user, the thousandth row"


def fill(database: Database, conversations: int) -> None:
    """Make the tables and the rows."""
    migrate(database)
    client = database.client()
    names = [name for name in COLUMNS if name in ROWS]
    values = ", ".join(f"{ROWS[name]} AS {name}" for name in names)
    portion = -(-conversations // _INSERTS)
    for number in range(_INSERTS):
        client.command(
            f"INSERT INTO conversations ({', '.join(names)}) SELECT {', '.join(names)} FROM ("
            f"SELECT number AS n, halfMD5(number, 'a') AS a, halfMD5(number, 'b') AS b, {values} "
            f"FROM numbers({number * portion}, {min(portion, conversations - number * portion)}))",
            settings={"max_partitions_per_insert_block": 0},
        )
    months = client.query("SELECT DISTINCT toYYYYMM(opened_on) FROM conversations ORDER BY 1").result_rows
    for (month,) in months[:-1]:
        client.command(f"OPTIMIZE TABLE conversations PARTITION {month} FINAL")
    client.close()


class Taken(NamedTuple):
    """What one page took once: seconds, and seconds of CPU of all threads, which others on the machine change less."""

    wall: float
    cpu: float


async def measured(folder: Path, conversations: int, rounds: int) -> dict[str, list[Taken]]:
    """Give what each page took, round by round; the first round, in which all is cold, is left out."""
    database = Database.parse(f"chdb://{folder / 'clickhouse'}")
    fill(database, conversations)
    async with signed_in(database, folder) as browser:
        pages = PAGES | {DEEP: await _deep(browser)}
        taken: dict[str, list[Taken]] = {name: [] for name in pages}
        for turn in range(rounds + 1):
            for name, address in pages.items():
                began, spent = time.perf_counter(), time.process_time()
                answer = await browser.get(address)
                once = Taken(time.perf_counter() - began, time.process_time() - spent)
                assert answer.status_code == 200, answer.text
                if turn:
                    taken[name].append(once)
    return taken


async def _deep(browser: httpx2.AsyncClient) -> str:
    """Walk to the page that holds the thousandth row, and give its address."""
    address = "/v1/conversations?sort=user_name&limit=200"
    for _ in range(5):
        cursor = (await browser.get(address)).json()["next"]
        address = f"/v1/conversations?sort=user_name&limit=200&cursor={cursor}"
    return f"/learning/all?sort=user_name&cursor={cursor}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:>8.0f}"


def main() -> int:
    """Measure and print; gives 1 when the first page is over the target."""
    parser = argparse.ArgumentParser("bench.learning_page", description=__doc__)
    parser.add_argument("--conversations", type=positive, default=CONVERSATIONS, help=f"(default: {CONVERSATIONS:,})")
    parser.add_argument("--rounds", type=positive, default=15, help="of each page (default: 15)")
    options = parser.parse_args()
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        taken = asyncio.run(measured(Path(folder), options.conversations, options.rounds))
    print(f"Learning on {options.conversations:,} conversations, milliseconds, {datetime.now(UTC):%Y-%m-%d}:")
    print(f"{'page':<46}{'median':>8}{'max':>8}{'CPU':>8}")
    for name, all_of_it in taken.items():
        wall, cpu = [one.wall for one in all_of_it], [one.cpu for one in all_of_it]
        print(f"{name:<46}{_ms(statistics.median(wall))}{_ms(max(wall))}{_ms(statistics.median(cpu))}")
    first = statistics.median(one.wall for one in next(iter(taken.values())))
    print(f"target of the first: under {TARGET_S * 1e3:.0f}: {'met' if first < TARGET_S else 'MISSED'}")
    return first >= TARGET_S


if __name__ == "__main__":
    sys.exit(main())
