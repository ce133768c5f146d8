"""`afterword check`: looks at the set-up in the order in which its parts need each other, and says what to do."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

from rich.console import Console

from processors.rebuilding import Drift, drift
from runtime.addresses import cluster_from
from runtime.clickhouse_check import check_clickhouse
from runtime.finding import Finding, Verdict, any_wrong, note, ok, wrong
from runtime.folder import Folder, Running, Taken
from runtime.kafka import Cluster, cluster_of
from runtime.kafka_check import check_kafka
from runtime.place import Place
from runtime.rebuilding import KINDS, differences, opened, progress_over
from runtime.settings import Settings, variable
from runtime.words import counted
from schemas.failures import Unavailable
from schemas.rules import Rules, RulesError
from sinks.connection import Database

_COLOURS: Final = {Verdict.OK: "green", Verdict.NOTE: "yellow", Verdict.WRONG: "red"}
_STORES: Final = frozenset({"ClickHouse", "tables"})


async def check(settings: Settings, *, data: Path | None, rows: bool, console: Console) -> int:
    """Print the findings to standard output as they are made; gives the exit status."""
    out, status = Console(), 0
    async for finding in findings_of(settings, data=data, rows=rows, console=console):
        colour = _COLOURS[finding.verdict]
        out.print(finding.line(), style=colour, highlight=False, markup=False, soft_wrap=True)
        status = status or int(any_wrong([finding]))
    return status


async def findings_of(settings: Settings, *, data: Path | None, rows: bool, console: Console) -> AsyncIterator[Finding]:
    """Give the findings as they are made. With `rows` all facts are compared with their rows, at the end.

    A cluster is looked at when the settings name Kafka or ClickHouse and no data folder was given, else the folder.
    """
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it has to say becomes a finding
    yield ok("settings", "valid")
    try:
        rules = Rules.load(settings.rules)
    except RulesError as error:
        for line in error.lines:
            yield wrong("rules", line)
        return
    yield ok("rules", f"{settings.rules or 'as they come with Afterword'}, revision {rules.revision}")
    if data is None and (settings.kafka or settings.clickhouse):
        place, cluster, findings = _of_cluster(settings)
    else:
        place, cluster, findings = _of_folder(Folder(settings.data), settings)
    for finding in findings:
        yield finding
    if cluster is not None:
        for finding in await check_kafka(cluster, embedded=place is not None and place.folder is not None):
            yield finding
    if place is None:
        return
    findings = await asyncio.to_thread(check_clickhouse, place.database, rules)
    for finding in findings:
        yield finding
    if rows and not any_wrong(one for one in findings if one.what in _STORES):
        for finding in await asyncio.to_thread(check_rows, place, rules, console):
            yield finding


def _of_cluster(settings: Settings) -> tuple[Place | None, Cluster | None, list[Finding]]:
    """Name the parts of a cluster, and those that are not named."""
    cluster = cluster_from(settings) if settings.kafka else None
    place = Place(settings, Database.parse(settings.need("clickhouse"))) if settings.clickhouse else None
    absent = [variable(name) for name, part in (("kafka", cluster), ("clickhouse", place)) if part is None]
    return place, cluster, [wrong("settings", f"{one} is not set", "a cluster needs it") for one in absent]


def _of_folder(folder: Folder, settings: Settings) -> tuple[Place | None, Cluster | None, list[Finding]]:
    """Look at a data folder and at who has it."""
    start = f"`afterword up --data {settings.data}` starts it"
    try:
        running = folder.running()
    except Taken as error:
        return None, None, [note("data folder", str(error))]
    except OSError as error:
        return None, None, [wrong("data folder", f"{folder.path}: {error.strerror}", "choose another with --data")]
    findings = [_writable(folder.path), _whether_up(running, start)]
    try:
        place = Place(settings, folder.database(), folder.path, running)
    except FileNotFoundError:
        return None, None, [*findings, note("ClickHouse", "no data there yet", "`afterword demo` makes some")]
    return place, cluster_of(running.kafka) if running else None, findings


def _writable(path: Path) -> Finding:
    there = next(one for one in (path, *path.parents) if one.exists())
    if not there.is_dir():
        return wrong("data folder", f"{there} is not a folder", "choose another with --data")
    if not os.access(there, os.W_OK | os.X_OK):
        return wrong(
            "data folder", f"{there} may not be written", "let this user write there, or choose another with --data"
        )
    return ok("data folder", f"{path} is writable" if there == path else f"{path} can be made")


def _whether_up(running: Running | None, start: str) -> Finding:
    if running is None:
        return note("embedded stack", "not running", start)
    return ok("embedded stack", f"up as process {running.pid}, at {running.http}")


def check_rows(place: Place, rules: Rules, console: Console) -> list[Finding]:
    """Compare all facts with their rows; blocks.

    Facts are stored a moment before their rows. So where a worker may be writing, what was found wrong is looked at
    again after two flushes, and counts when it is wrong still.
    """
    try:
        with opened(place.database) as (client, reader, _):
            with progress_over(client, "comparing", console) as progress:
                found = drift(reader, rules, progress)
            if found.wrong and place.shared:
                time.sleep(2 * place.settings.flush_interval_s)
                with progress_over(client, "again", console) as progress:
                    found = _in_both(found, drift(reader, rules, progress))
    except Unavailable as error:
        return [wrong("rows", str(error))]
    compared = counted(found.conversations, "conversation")
    if not found and not found.unreadable:
        return [ok("rows", f"{compared} compared, every row says what its facts say")]
    mend = "`afterword rebuild --drifted` mends it"
    return [(wrong if found.wrong else note)("rows", f"{compared} compared", mend), *_of_drift(found)]


def _of_drift(found: Drift) -> Iterator[Finding]:
    for line in differences(found):
        harmless = line.startswith(("older", "unreadable"))
        yield (note if harmless else wrong)("rows", line)


def _in_both(first: Drift, second: Drift) -> Drift:
    """Keep of the second what the first knew too."""
    for kind in KINDS:
        known = set(getattr(first, kind))
        setattr(second, kind, [key for key in getattr(second, kind) if key in known])
    return second
