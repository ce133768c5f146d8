"""Time: silence closes what is due, and neither a backlog nor a process that stood still closes anything early."""

import asyncio
import signal
import time
from pathlib import Path

from tests.builders import event, line
from tests.e2e.talk import Talk
from tests.faults.laboratory import Laboratory
from tests.faults.trial import Trial, experiment
from tests.waiting import until

GAP_S = 6.0
_EARLY = "SELECT DISTINCT conversation_id FROM conversations WHERE closed AND messages < {said:UInt32}"


def _rules(directory: Path, revision: int = 2, gap_s: float = GAP_S) -> str:
    file = directory / f"rules-{revision}.toml"
    file.write_text(f"revision = {revision}\n[default]\nidle_gap_minutes = {gap_s / 60}\n")
    return str(file)


async def _all_closed(laboratory: Laboratory, count: int) -> bool:
    ((closed,),) = await laboratory.clickhouse.ask("SELECT countIf(closed) FROM conversations FINAL")
    return bool(closed == count)


@experiment(11, in_short=False)
async def silence_and_backlog(trial: Trial) -> None:
    """The last conversation of a silent partition closes within the gap and 15 s; a backlog closes none early."""
    async with trial.laboratory(strays=False) as laboratory:
        # Every version of a row that is ever written stays to be looked at.
        await laboratory.clickhouse.command("SYSTEM STOP MERGES conversations")
        async with Talk(laboratory, 0.5) as talk:  # a backlog, longer than the gap, with nobody to read it
            await asyncio.sleep(3 * GAP_S)
        await laboratory.worker(rules=_rules(laboratory.directory), flush_facts="50", flush_interval_s="0.05")
        await until(lambda: _all_closed(laboratory, len(talk.names)), 60, "the backlog to be closed")
        assert await laboratory.clickhouse.ask(_EARLY, said=talk.said) == []

        said = int(time.time() * 1000)
        await laboratory.produce([line(event("message.sent", conversation_id="last", at=said, text="hello?"))])
        await until(lambda: _all_closed(laboratory, len(talk.names) + 1), 60, "the last conversation to be closed")
        seconds = time.time() - said / 1000
        trial.note(f"{talk.said} messages each of backlog, none closed early")
        trial.note(f"the last conversation closed {seconds:.1f} s after its message, with a gap of {GAP_S:.0f} s")
        assert GAP_S <= seconds < GAP_S + 15


@experiment(20, in_short=False)
async def stopped_longer_than_the_gap(trial: Trial) -> None:
    """A worker that stood still for longer than the idle gap closes nothing early when it goes on."""
    async with trial.laboratory(strays=False) as laboratory:
        worker = await laboratory.worker(rules=_rules(laboratory.directory), session_timeout_s="30")
        await laboratory.clickhouse.command("SYSTEM STOP MERGES conversations")
        async with Talk(laboratory, 1.0) as talk:
            await laboratory.until_facts(2 * len(talk.names))
            for _ in range(1 if trial.short else 3):
                stopped, before = time.monotonic(), talk.said
                worker.send(signal.SIGSTOP)
                await asyncio.sleep(1.5 * GAP_S)
                worker.send(signal.SIGCONT)
                trial.note(f"stopped {time.monotonic() - stopped:.1f} s, in which {talk.said - before} messages came")
                await asyncio.sleep(GAP_S / 2)
        await until(lambda: _all_closed(laboratory, len(talk.names)), 60, "the silent conversations to be closed")
        rows = (await laboratory.rows()).values()
        assert {(row["messages"], row["reopened"]) for row in rows} == {(talk.said, 0)}
        assert await laboratory.clickhouse.ask(_EARLY, said=talk.said) == []
        trial.note(f"{len(talk.names)} conversations of {talk.said} messages, none closed early")
