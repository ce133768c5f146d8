"""`afterword up` and `afterword demo`: the embedded stack from start to stop, and what is loaded into it."""

import asyncio
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from runtime import summary
from runtime.embedded import Embedded
from runtime.folder import Folder
from runtime.loader import lines, load
from runtime.metrics import PrometheusMetrics
from runtime.service import Health, served, stop_signal, tuning, unless_stopped, until_stopped
from runtime.settings import Settings
from schemas.rules import Rules

EMBEDDED_ASSISTANT = "default"
"""The assistant of events that name none, in the embedded stack."""


@dataclass(frozen=True, slots=True)
class Source:
    """Events to load: what they are called, how many, and the events."""

    name: str
    count: int
    payloads: Iterable[bytes] = field(repr=False)

    @classmethod
    def file(cls, path: Path) -> "Source":
        """Count the events of a JSON Lines file."""
        return cls(path.name, sum(1 for _ in lines(path)), lines(path))


async def up(
    settings: Settings, rules: Rules, sources: Sequence[Source], *, exit_when_done: bool, console: Console
) -> int:
    """Run the embedded stack; gives the exit status. Raises Taken, Unavailable and what makes the worker fail."""
    health, metrics = Health(), PrometheusMetrics()
    with Folder(settings.data) as folder:
        async with served(settings, health, metrics) as server:
            stop = stop_signal()
            stack = Embedded(
                folder,
                rules=rules,
                metrics=metrics,
                tuning=tuning(settings, default_assistant=EMBEDDED_ASSISTANT),
                partitions=settings.partitions,
            )
            async with stack:
                health.engine = stack.engine
                folder.announce(stack.running(os.getpid(), server.address))
                console.print(f"Afterword is up at {server.address}, its data in {settings.data}")
                console.print(f"Kafka for your producers, while it runs: {stack.broker.cluster.address}")
                done = await unless_stopped(_fill(stack, sources, exit_when_done, console), stop, stack.engine)
                if done and not exit_when_done:
                    console.print("Ctrl-C stops it; what is stored stays.")
                    await until_stopped(stop, stack.engine)
                if not done or not exit_when_done:
                    console.print("Stopping: what was taken is being stored")
    return 0 if done or not exit_when_done else 130


async def _fill(stack: Embedded, sources: Sequence[Source], exit_when_done: bool, console: Console) -> None:
    """Load the sources, wait until they are stored and, before an exit, close what is due; then say what there is."""
    started, loaded, bad = time.monotonic(), 0, 0
    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not sources) as progress:
        stored = progress.add_task("stored", total=sum(source.count for source in sources))
        watching = asyncio.create_task(_watch(stack, progress, stored))
        try:
            for source in sources:
                bar = progress.add_task(f"loading {source.name}", total=source.count)

                def more(count: int, bar: TaskID = bar) -> None:
                    progress.advance(bar, count)

                result = await load(stack.producer, source.payloads, stack.partitions, more)
                loaded, bad = loaded + result.records, bad + result.bad
            await stack.engine.caught_up(loaded)
            progress.update(stored, completed=loaded)
        finally:
            watching.cancel()
    seconds = time.monotonic() - started
    if bad:
        console.print(f"[yellow]No events, by count of lines: {bad}; see `afterword dead-letters list`[/yellow]")
    if exit_when_done:
        await stack.engine.close_due()
    if sources or exit_when_done:
        await _summarise(stack, summary.Pace(loaded, seconds, list(stack.engine.worker.progress.waits)))


async def _watch(stack: Embedded, progress: Progress, stored: TaskID) -> None:
    while True:
        progress.update(stored, completed=stack.engine.worker.progress.records)
        await asyncio.sleep(0.1)


async def _summarise(stack: Embedded, pace: summary.Pace) -> None:
    """Print the summary to standard output: it is the result, not a remark."""
    out = Console()
    if not out.is_terminal:
        out = Console(width=120)
    client = stack.database.client()
    try:
        out.print(await asyncio.to_thread(summary.table, client))
    finally:
        client.close()
    for line in pace.lines():
        out.print(line, highlight=False)
