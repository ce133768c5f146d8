"""`afterword up` and `afterword demo`: the embedded stack from start to stop, and what is loaded into it."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from runtime import summary
from runtime.embedded import Embedded
from runtime.folder import Folder
from runtime.front import Front
from runtime.loader import lines, load
from runtime.metrics import PrometheusMetrics
from runtime.secret import secret_of
from runtime.service import Health, for_ever, served, stop_signal, tuning, unless_stopped
from runtime.settings import Settings
from runtime.sign_in import sign_in_of
from runtime.simulator import Simulation
from schemas.rules import Rules

_LIVE_RATE: Final = 2.0
"""Events a second of a simulation that goes on."""

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
    settings: Settings,
    rules: Rules,
    sources: Sequence[Source],
    *,
    exit_when_done: bool,
    console: Console,
    live: Simulation | None = None,
    filled: Callable[[], None] = lambda: None,
) -> int:
    """Run the embedded stack; gives the exit status. Raises Taken, Unavailable and what makes the worker fail.

    `live`: goes on in real time once the sources are stored; `filled` is called at that moment.
    """
    health, metrics = Health(), PrometheusMetrics()
    front = Front(health, metrics, alone=False)
    with Folder(settings.data) as folder:
        async with served(settings, front) as server:
            stop = stop_signal()
            stack = Embedded(
                folder,
                rules=rules,
                metrics=metrics,
                tuning=tuning(settings, default_assistant=EMBEDDED_ASSISTANT),
                partitions=settings.partitions,
            )
            public_url = settings.public_url or server.address
            sign_in = sign_in_of(settings, secret_of(folder), public_url, links=True)
            async with stack, stack.application(settings, sign_in, public_url) as opened:
                health.engine = stack.engine
                folder.announce(stack.running(os.getpid(), server.address))
                console.print(f"Afterword is up at {server.address}, its data in {settings.data}")
                console.print(f"Kafka for your producers, while it runs: {stack.broker.cluster.address}")
                with front.showing(opened):
                    done = await unless_stopped(_fill(stack, sources, exit_when_done, console), stop, stack.engine)
                    if done:
                        filled()
                    if done and not exit_when_done:
                        _invite(console, public_url + sign_in.new_link(), settings.data)
                        console.print("Ctrl-C stops it; what is stored stays.")
                        going_on = _trickle(stack, live) if live else for_ever()
                        await unless_stopped(going_on, stop, stack.engine)
                if not done or not exit_when_done:
                    console.print("Stopping: what was taken is being stored")
    return 0 if done or not exit_when_done else 130


def _invite(console: Console, link: str, data: Path) -> None:
    """Say where to go."""
    for line in (
        f"Open  {link}",
        f"It signs you in, once, within 15 minutes; `afterword link --data {data}` prints another.",
    ):
        console.print(line, highlight=False, soft_wrap=True)


async def _fill(stack: Embedded, sources: Sequence[Source], exit_when_done: bool, console: Console) -> None:
    """Load the sources, wait until they are stored, close what is due, and say what there is."""
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
    if sources or exit_when_done:
        await stack.engine.close_due()
        await _summarise(stack, summary.Pace(loaded, seconds, list(stack.engine.worker.progress.waits)))


async def _trickle(stack: Embedded, simulation: Simulation) -> None:
    """Send what the simulation goes on with, each event when it is due."""
    for due, _, payload in simulation.live(_LIVE_RATE):
        await asyncio.sleep((due - datetime.now(UTC)).total_seconds())
        await load(stack.producer, [payload], stack.partitions)


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
