"""`afterword rebuild`: all facts folded again, with a progress bar, and in words what was found and written."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from clickhouse_connect.driver.client import Client
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from processors.conversation import FOLD_REVISION
from processors.rebuilding import Drift, rebuild
from runtime.words import counted, visible
from schemas.facts import Key
from schemas.rules import Rules
from sinks.clickhouse_errors import answers
from sinks.clickhouse_reader import ClickHouseReader
from sinks.clickhouse_writer import ClickHouseWriter
from sinks.connection import Database

KINDS: Final = {
    "missing": "no row, although there are facts",
    "behind": "the row was made from fewer facts than there are",
    "ahead": "the row was made from more facts than there are",
    "doubled": "two rows stand under different days",
    "orphaned": "a row, but no fact",
    "older": "the row was made under older rules or an older version; not wrong, only old",
}
"""How facts and row of a conversation can disagree, as `processors.rebuilding.Drift` names it."""

FIRST: Final = 10
"""So many conversations of a kind are named."""

_RULES_OF: Final = "bitAnd(bitShiftRight(version, 1), 65535)"
_NEWER: Final = f"SELECT countIf({_RULES_OF} > {{rules:UInt64}}), max({_RULES_OF}) FROM conversations FINAL"


def rebuild_all(database: Database, rules: Rules, *, drifted: bool, console: Console) -> list[str]:
    """Fold everything again and write the rows, or with `drifted` those that disagree; blocks.

    Gives in lines what was found and written. Raises Unavailable; ValueError when newer rules made some of the rows,
    because what is written under older ones would not count.
    """
    with opened(database) as (client, reader, writer):
        refuse_older_rules(client, rules)
        with progress_over(client, "conversations", console) as progress:
            found = rebuild(
                reader,
                writer,
                rules,
                drifted=drifted,
                now=int(datetime.now(UTC).timestamp() * 1_000),
                progress=progress,
            )
    folded = counted(found.conversations, "conversation")
    lines = [f"{folded} folded again under rules revision {rules.revision}, fold revision {FOLD_REVISION}"]
    lines += differences(found) or ["every row said what its facts say"]
    written = counted(found.written, "row written", "rows written")
    lines.append(
        f"{written}, {counted(len(found.orphaned), 'row')} without facts deleted" if found.orphaned else written
    )
    return lines


def differences(found: Drift) -> list[str]:
    """Say which rows disagree with their facts, kind by kind, the first of each by name."""
    lines = []
    for kind, meaning in KINDS.items():
        keys: list[Key] = getattr(found, kind)
        if keys:
            named = ", ".join(visible(f"{assistant}/{conversation}") for assistant, conversation in keys[:FIRST])
            more = ", …" if len(keys) > FIRST else ""
            lines.append(f"{kind}: {counted(len(keys), 'conversation')} ({meaning}): {named}{more}")
    if found.unreadable:
        lines.append(f"unreadable: {counted(found.unreadable, 'fact')} that this version cannot read were left out")
    return lines


def newer_rules(client: Client, rules: Rules) -> tuple[int, int]:
    """Give how many rows were made under newer rules than these, and the newest revision of any row."""
    ((count, newest),) = client.query(_NEWER, parameters={"rules": rules.revision}).result_rows
    return count, newest


def refuse_older_rules(client: Client, rules: Rules) -> None:
    """Raise ValueError when rows were made under newer rules than these."""
    count, newest = newer_rules(client, rules)
    if count:
        raise ValueError(
            f"newer rules, up to revision {newest}, made {counted(count, 'row')}; these are revision {rules.revision}: "
            "name the newer file in AFTERWORD_RULES, or raise the revision in this one"
        )


@contextmanager
def opened(database: Database) -> Iterator[tuple[Client, ClickHouseReader, ClickHouseWriter]]:
    """Open a database for queries, for reading and for writing, each on a client of its own."""
    reader, writer = ClickHouseReader(database), ClickHouseWriter(database)
    client = database.client()
    try:
        with answers(database.where):
            yield client, reader, writer
    finally:
        writer.close()
        reader.close()
        client.close()


@contextmanager
def progress_over(client: Client, what: str, console: Console) -> Iterator[Callable[[int], None]]:
    """Show a progress bar over all conversations that have facts; their number is a good guess, so the end is fast."""
    ((about,),) = client.query("SELECT uniq(assistant, conversation_id) FROM events").result_rows
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(what, total=about)
        yield lambda count: progress.advance(bar, count)
        done = progress.tasks[bar].completed
        progress.update(bar, total=done, completed=done)
