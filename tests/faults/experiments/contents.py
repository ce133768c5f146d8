"""What is produced: poison, any order, and everything once more."""

import asyncio
import time
from random import Random

from schemas.topics import EVENTS
from tests.builders import AT, DAY, event, line
from tests.faults.load import MENDED
from tests.faults.trial import Trial, experiment
from tests.waiting import until


@experiment(7, in_short=False)
async def poison_mended(trial: Trial) -> None:
    """One record in a hundred is poison: each is a dead letter once, and after a fix requeue brings them home."""
    load = trial.load
    async with trial.laboratory() as laboratory:
        worker = await laboratory.worker()
        await laboratory.produce(load.arrivals)
        await laboratory.caught_up(90)
        await trial.judge(laboratory)
        await worker.stop()
        laboratory.workers.remove(worker)

        await laboratory.worker(default_assistant=MENDED)
        said = await laboratory.command("dead-letters", "requeue", "--yes")
        await laboratory.caught_up(60)
        trial.note(said.splitlines()[0])
        wanted = await asyncio.to_thread(load.truth_when_mended)
        verdict = await laboratory.verdict_of(wanted, [*load.good, *load.mendable], load.broken)
        trial.note(str(verdict).splitlines()[0])
        assert verdict.good, str(verdict)


@experiment(7, in_short=False)
async def poison_only(trial: Trial) -> None:
    """A partition in which all is poison: the alarm says so, and events in the others keep their latency."""
    async with trial.laboratory() as laboratory:
        worker = await laboratory.worker()
        names = [f"c-{number}" for number in range(200) if laboratory.home(f"c-{number}") != 0]
        waits: dict[str, list[float]] = {"before": [], "beside the poison": []}
        stop = asyncio.Event()

        async def spoil() -> None:
            number = 0
            while not stop.is_set():
                bad = [(None, b"broken %d" % (number + one)) for one in range(500)]
                number += await laboratory.send_many(EVENTS.name, 0, bad)
                await asyncio.sleep(0.1)

        async def probe(when: str, number: int) -> None:
            name = f"{names[number]}"
            begun = time.monotonic()
            await laboratory.produce([line(event("message.sent", conversation_id=name, at=AT + number))])

            async def there() -> bool:
                query = "SELECT count() FROM conversations WHERE conversation_id = {name:String}"
                return await laboratory.clickhouse.ask(query, name=name) != [(0,)]

            await until(there, 30, f"the row of {name}")
            waits[when].append(time.monotonic() - begun)

        for number in range(15):
            await probe("before", number)
        spoiling = asyncio.create_task(spoil())
        try:
            await until(lambda: worker.notes("partition 0 were bad"), 60, "/readyz to tell of the poison")
            for number in range(15, 45):
                await probe("beside the poison", number)
        finally:
            stop.set()
            await spoiling
        await laboratory.caught_up(60)
        middle = {when: sorted(times)[len(times) // 2] for when, times in waits.items()}
        trial.note("; ".join(f"event to row {when}: {seconds:.2f} s in the middle" for when, seconds in middle.items()))
        ((letters,),) = await laboratory.clickhouse.ask("SELECT count() FROM dead_letters FINAL")
        trial.note(f"{letters} dead letters")
        assert middle["beside the poison"] < middle["before"] + 1.0


@experiment(9, in_short=False)
async def any_order(trial: Trial) -> None:
    """Labels and messages of the same conversations in 200 orders across both topics."""
    seeds = 20 if trial.short else 200
    produced: list[bytes] = []
    async with trial.laboratory() as laboratory:
        for _ in range(2):
            await laboratory.worker()
        for seed in range(seeds):
            random = Random(f"{trial.seed} {seed}")
            lines = [one for number in range(6) for one in _talk(f"s-{seed}-{number}", number)]
            random.shuffle(lines)
            produced += lines
            while lines:
                some = [lines.pop() for _ in range(min(len(lines), random.choice((1, 3, 20))))]
                await laboratory.produce(some)
        await laboratory.caught_up(60)
        trial.note(f"{seeds} orders of 6 conversations")
        await trial.judge(laboratory, produced)


def _talk(name: str, kind: int) -> list[bytes]:
    """A conversation with labels before, amid and after it, an end, a return and ratings."""
    at = AT - 30 * DAY
    times = iter(range(at, at + 100 * 60_000, 60_000))

    def said(type_: str, **fields: object) -> bytes:
        at = next(times)
        return line(event(type_, id=f"{name}-{at}", conversation_id=name, at=at, **fields))

    lines = [
        said("label.set", label="negative", by="a"),
        said("conversation.started", channel="web", user={"id": "u", "name": "Ann"}),
        said("message.sent", role="user", text="Where is my order?", topic="orders"),
        said("label.set", label="positive", by="b", seen_messages=1),
        said("message.sent", role="assistant", text="I did not understand", confidence=0.1),
        said("message.fallback", reason="no_knowledge"),
        said("conversation.ended", reason="left"),
        said("message.sent", role="user", text="Still there?", topic="returns"),
        said("conversation.rated", rating=2, comment="slow"),
        said("conversation.assigned", assigned_to="dana", team="one"),
        said("label.cleared" if kind % 2 else "label.set", by="c"),
    ]
    return lines if kind % 3 else [*lines, *lines[2:5]]


@experiment(10, in_short=False)
async def rebuilt_and_replayed(trial: Trial) -> None:
    """A rebuild from the facts into a fresh database gives the same rows, and so does a replay of the topics."""
    async with trial.laboratory() as laboratory:
        worker = await laboratory.worker()
        await laboratory.produce(trial.load.arrivals)
        await laboratory.caught_up(120)
        await trial.judge(laboratory)
        await worker.stop()

        replayed = laboratory.settings_on("replayed")
        await laboratory.command("migrate", **replayed)
        begun = time.monotonic()
        other = await laboratory.worker(**replayed, group=f"{laboratory.group}-replayed")
        laboratory.group += "-replayed"
        await laboratory.caught_up(120)
        trial.note(f"replayed in {time.monotonic() - begun:.0f} s:")
        await trial.judge(laboratory, database="replayed")
        await other.stop()

        rebuilt = laboratory.settings_on("rebuilt")
        await laboratory.command("migrate", **rebuilt)
        await laboratory.clickhouse.command("INSERT INTO rebuilt.events SELECT * FROM default.events")
        await laboratory.clickhouse.command("INSERT INTO rebuilt.dead_letters SELECT * FROM default.dead_letters")
        trial.note((await laboratory.command("rebuild", **rebuilt)).splitlines()[-1] + ":")
        await laboratory.worker(**rebuilt)  # whose clock closes what is due
        await trial.judge(laboratory, database="rebuilt")
