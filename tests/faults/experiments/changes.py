"""What operators change while it runs: the number of partitions, the rules; and what a person has erased."""

import asyncio
import json
import tomllib

from schemas.conversation import Version
from schemas.rules import Rules
from schemas.topics import EVENTS, LABELS
from tests.builders import DAY, event, line
from tests.e2e.rows import of_the_oracle
from tests.faults.laboratory import Laboratory
from tests.faults.load import NOW, Load
from tests.faults.trial import Trial, experiment
from tests.faults.visitor import visiting
from tests.faults.watching import Versions, looking
from tests.waiting import until

NEWER = "revision = 3\n[default]\nidle_gap_minutes = 90\nfallback_threshold = 0.6\n"
_LATER_MS = int(NOW.timestamp() * 1000) + 90 * DAY


@experiment(15, in_short=False)
async def partitions_added(trial: Trial) -> None:
    """Both topics go from 4 to 8 partitions while they are read, one before the other."""
    lines = trial.load.arrivals
    part = len(lines) // 4
    async with trial.laboratory() as laboratory:
        workers = [await laboratory.worker() for _ in range(2)]
        await laboratory.produce(lines[:part])
        await laboratory.caught_up(60)
        async with laboratory.loading(lines[part : 2 * part], 20):
            await trial.broker.add_partitions(EVENTS.name, 8)
            why = [await worker.lacks("has 8 partitions") for worker in workers]
        assert "has 4" in why[0]
        before = await _taken(laboratory)
        await laboratory.produce(lines[2 * part : 3 * part])
        await asyncio.sleep(5)
        assert await _taken(laboratory) == before, "something was consumed while the topics differed"
        await trial.broker.add_partitions(LABELS.name, 8)
        for worker in workers:
            await worker.ready()
        await laboratory.divide(8)
        await laboratory.produce(lines[3 * part :])
        await laboratory.caught_up(90)
        moved = sum([await worker.metric("afterword_sent_home_total") for worker in workers])
        trial.note(f"while they differed nothing was taken; {moved:.0f} records brought home")
        homeless = "SELECT count() FROM dead_letters WHERE reason = 'no_home'"
        assert await laboratory.clickhouse.ask(homeless) == [(0,)], "records found no home"
        await trial.judge(laboratory)


async def _taken(laboratory: Laboratory) -> list[float]:
    return [await worker.metric("afterword_records_total") for worker in laboratory.workers]


@experiment(16, in_short=False)
async def erased(trial: Trial) -> None:
    """Erased conversations are gone from tables, pages and exports, also behind a late insert, and begin anew."""
    load = trial.load
    # Those that begin first: the insert that hangs is the first, and holds some of them.
    begun = {json.loads(one)["conversation_id"] for one in load.good[:2_000]}
    names = trial.random.sample(sorted(begun), 30)
    async with trial.laboratory() as laboratory:
        await laboratory.clickhouse.plan("hang", "INSERT INTO events")
        await laboratory.produce(load.good)
        zombie = await laboratory.worker()
        await until(laboratory.clickhouse.hanging, 60, "an insert to hang")
        await laboratory.killed(zombie)  # its insert is with the server, and will be done some time
        await laboratory.worker()
        await laboratory.caught_up(120)

        erasures = [_of(load.conversations[name][0], "conversation.erased", _LATER_MS) for name in names]
        await laboratory.produce(erasures)
        await laboratory.caught_up(60)
        assert await _left(laboratory, names) == (0, 0)
        await laboratory.clickhouse.mend()
        await until(lambda: _is_back(laboratory, names), 30, "the late insert to bring some of it back")
        back = await _left(laboratory, names)
        await until(lambda: _is_gone(laboratory, names), 120, "the sweep to erase it again")
        trial.note(f"{len(names)} conversations; a late insert brought {back[0]} facts back, and the sweep erased them")
        trial.note(await _seen(laboratory, load, names))

        later = [_of(load.conversations[name][0], "message.sent", _LATER_MS + DAY) for name in names]
        await laboratory.produce(later)
        await laboratory.caught_up(60)
        lines = [*load.good, *erasures, *later]
        kept = [*erasures, *later, *(one for one in load.good if json.loads(one)["conversation_id"] not in names)]
        wanted = await asyncio.to_thread(load.truth)
        wanted |= of_the_oracle([one for one in lines if json.loads(one)["conversation_id"] in names], _LATER_MS * 2)
        verdict = await laboratory.verdict_of(wanted, kept)
        trial.note(str(verdict).splitlines()[0])
        assert verdict.good, str(verdict)


def _of(first: bytes, kind: str, at: int) -> bytes:
    """An event of the same conversation."""
    told = json.loads(first)
    name = told["conversation_id"]
    return line(event(kind, id=f"{name}-{kind}", assistant=told["assistant"], conversation_id=name, at=at))


async def _left(laboratory: Laboratory, names: list[str]) -> tuple[int, int]:
    """How many facts other than erasures, and how many rows, are left of these conversations."""
    facts = (
        "SELECT count() FROM events WHERE conversation_id IN {names:Array(String)} AND type != 'conversation.erased'"
    )
    rows = "SELECT count() FROM conversations WHERE conversation_id IN {names:Array(String)} AND NOT is_deleted"
    ((some,),) = await laboratory.clickhouse.ask(facts, names=names)
    ((others,),) = await laboratory.clickhouse.ask(rows, names=names)
    return some, others


async def _seen(laboratory: Laboratory, load: Load, names: list[str]) -> str:
    """Look for erased conversations in pages and exports, where others are found; gives what was looked at."""
    other = next(name for name, lines in load.conversations.items() if name not in names and _has_row(lines))
    async with visiting(laboratory) as visitor:
        for name in [*names, other]:
            assistant = json.loads(load.conversations[name][0])["assistant"]
            wanted = 200 if name == other else 404
            page, told = await visitor.page(assistant, name), await visitor.told(assistant, name)
            assert (page[0], told[0]) == (wanted, wanted), (name, page[1], told[1])
        exports = await visitor.exports()
    for kind, text in exports.items():
        assert [name for name in names if name in text] == [], f"erased, and in {kind}"
    assert other in exports["conversations.csv"]
    return f"none of them on its page, in its JSON, or in {', '.join(exports)}"


def _has_row(lines: list[bytes]) -> bool:
    return any(b'"message.sent"' in one for one in lines)


async def _is_back(laboratory: Laboratory, names: list[str]) -> bool:
    return (await _left(laboratory, names))[0] > 0


async def _is_gone(laboratory: Laboratory, names: list[str]) -> bool:
    return await _left(laboratory, names) == (0, 0)


@experiment(18, in_short=False)
async def rules_rolled_out(trial: Trial) -> None:
    """Newer rules come amid a load, workers of both at work: no fact is missing; a rebuild brings all to the newest."""
    load = trial.load
    async with trial.laboratory() as laboratory:
        file = laboratory.directory / "newer.toml"
        file.write_text(NEWER)
        older = [await laboratory.worker() for _ in range(2)]
        facts = Versions(laboratory, Version.facts)
        async with looking(facts.look):
            async with laboratory.loading(load.arrivals, 30):
                await asyncio.sleep(4)
                newer = laboratory.start_worker(rules=str(file))
                await older.pop().stop()
                await newer.ready()
                await asyncio.sleep(6)  # one of each at work
                laboratory.start_worker(rules=str(file))
                await older.pop().stop()
            await laboratory.caught_up(60)
        assert facts.back == [], "rows came to know fewer facts"
        assert newer.status is None

        count = (
            "SELECT count() FROM conversations FINAL WHERE bitAnd(bitShiftRight(version, 1), 65535) = {rules:UInt64}"
        )
        ((old,),) = await laboratory.clickhouse.ask(count, rules=1)
        said = await laboratory.command("rebuild", "--drifted", rules=str(file))
        trial.note(f"{old} rows under the older rules when all was stored; {said.splitlines()[-1]}")
        assert await laboratory.clickhouse.ask(count, rules=1) == [(0,)]
        plain = tomllib.loads(Rules.load(file).describe())
        wanted = await asyncio.to_thread(of_the_oracle, load.good, _LATER_MS * 2, plain)
        verdict = await laboratory.verdict_of(wanted, load.good, [*load.mendable, *load.broken])
        trial.note(str(verdict).splitlines()[0])
        assert verdict.good, str(verdict)
