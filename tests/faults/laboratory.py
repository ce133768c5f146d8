"""The laboratory of one experiment: Kafka and ClickHouse behind proxies, workers, a load, and a verdict at the end."""

import asyncio
import json
import subprocess
import time
import zlib
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from runtime import crashing
from runtime.kafka import Cluster as Address
from runtime.kafka import create_topics
from schemas.partitioning import home_partition
from schemas.topics import EVENTS, TOPICS
from sinks.connection import Database
from tests.e2e.cluster import ClickHouse, Cluster, WorkerProcess
from tests.e2e.rows import Rows, of_the_oracle
from tests.faults.load import Load
from tests.faults.proxy import Proxy
from tests.faults.verdict import Verdict, judge
from tests.kafka.broker import KafkaBroker, free_ports
from tests.waiting import until


class FaultyClickHouse(ClickHouse):
    """ClickHouse as of tests/faults/clickhouse_server.py, and the proxy before it, by which workers come."""

    module = "tests.faults.clickhouse_server"

    def __init__(self, folder: Path, log: Path) -> None:
        super().__init__(folder, log)
        (self._control,) = free_ports(1)

    def _arguments(self) -> list[str]:
        return [*super()._arguments(), "--control", str(self._control)]

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._child is not None
        return self._child.pid

    async def plan(self, fault: str, of: str, *, passing: int = 0, times: int = 1) -> None:
        """Let statements that match `of` go wrong: see tests/faults/clickhouse_server.py."""
        await self._tell({"fault": fault, "of": of, "passing": passing, "times": times})

    async def mend(self) -> None:
        """Forget all plans, and let go what hangs."""
        await self._tell({"mend": True})

    async def met(self, beginning: str) -> int:
        """How many statements began like this since it was started."""
        met = await self._tell({})
        return sum(count for words, count in met.items() if words.startswith(beginning))

    async def hanging(self) -> int:
        """How many statements were ever made to hang."""
        return await self.met("hanging")

    async def _tell(self, order: dict[str, Any]) -> dict[str, int]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._control)
        try:
            writer.write(json.dumps(order).encode() + b"\n")
            told: dict[str, int] = json.loads(await reader.readline())
            return told
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def named(self, database: str) -> Database:
        """Another database of the same server."""
        return Database.parse(self.url.removesuffix("default") + database)

    async def remember(self) -> None:
        """Keep the tables as they are now in database `before`, from which stale reads are answered."""
        await self.command("CREATE DATABASE IF NOT EXISTS before")
        for table in ("events", "conversations", "frontiers"):
            await self.command(f"DROP TABLE IF EXISTS before.{table}")
            await self.command(f"CREATE TABLE before.{table} AS {table}")
            await self.command(f"INSERT INTO before.{table} SELECT * FROM {table}")


class Laboratory(Cluster):
    """A cluster whose workers reach Kafka by `kafka` and ClickHouse by `store`, both proxies."""

    clickhouse: FaultyClickHouse

    def __init__(self, broker: KafkaBroker, directory: Path, *, partitions: int = 4, strays: bool = True) -> None:
        """`strays`: whether one event in a hundred is produced without a key, in some partition.

        Such a record is not below the clock of its home before it has come there.
        """
        directory.mkdir(parents=True, exist_ok=True)
        server = FaultyClickHouse(directory / "clickhouse", directory / "clickhouse.log")
        super().__init__(Address(broker.address), directory, partitions=partitions, clickhouse=server)
        self.broker = broker
        self.kafka = Proxy(broker.behind_port, broker.proxy_port)
        self.store = Proxy(server.port)
        self.group = f"laboratory-{time.time_ns()}"
        self._strays = strays
        self._stack = AsyncExitStack()

    @property
    def settings(self) -> dict[str, str]:
        """The environment of the workers."""
        return {
            **super().settings,
            "AFTERWORD_KAFKA": f"kafka://127.0.0.1:{self.kafka.port}",
            "AFTERWORD_CLICKHOUSE": f"clickhouse://127.0.0.1:{self.store.port}/default",
        }

    async def __aenter__(self) -> Self:
        await self.broker.delete_topics(*(topic.name for topic in TOPICS))
        await create_topics(self.address, self.partitions, 1)
        await self._stack.enter_async_context(self.kafka)
        await self._stack.enter_async_context(self.store)
        return await super().__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.clickhouse.mend()
        except OSError:
            pass  # it was killed
        finally:
            await super().__aexit__(kind, error, trace)
            await self._stack.aclose()

    def start_crashing_worker(self, point: str, passing: int = 0, **settings: str) -> WorkerProcess:
        """Start a worker that ends itself at a crash point, when it has gone past it so many times."""
        return self._start(settings, {crashing.VARIABLE: f"{point}:{passing}"})

    async def crashed(self, worker: WorkerProcess, deadline_s: float = 60) -> None:
        """Wait until a worker has ended at its crash point."""
        status = await worker.ended(deadline_s)
        assert status == crashing.STATUS, worker.words()
        self.workers.remove(worker)

    async def killed(self, worker: WorkerProcess) -> None:
        """End a worker as kill -9 does, and forget it."""
        await worker.kill()
        self.workers.remove(worker)

    async def produce(self, lines: Iterable[bytes]) -> int:
        """Produce records, each at home but the strays."""
        straying: list[bytes] = []
        others: list[bytes] = []
        for line in lines:
            number = zlib.crc32(line)
            of_labels = b'"label.' in line or b'"conversation.erased"' in line
            astray = self._strays and number % 100 == 0 and not of_labels
            (straying if astray else others).append(line)
        produced = await super().produce(others)
        for line in straying:
            produced += await self.send_many(EVENTS.name, (zlib.crc32(line) >> 8) % self.partitions, [(None, line)])
        return produced

    async def send_many(self, topic: str, partition: int, records: Iterable[tuple[bytes | None, bytes]]) -> int:
        """Produce (key, value) pairs to a partition; gives how many."""
        return await self._producer.send_many(topic, partition, records)

    def home(self, conversation_id: str) -> int:
        """The partition of a conversation."""
        return home_partition(conversation_id, self.partitions)

    def settings_on(self, database: str) -> dict[str, str]:
        """Settings for commands and workers that use another database of the same server."""
        return {"clickhouse": f"clickhouse://127.0.0.1:{self.store.port}/{database}"}

    @asynccontextmanager
    async def loading(self, lines: Sequence[bytes], over_s: float) -> AsyncIterator[None]:
        """Produce records evenly over a time, beside what the block does; what is left at its end at once."""
        block_ended = asyncio.Event()

        async def trickle() -> None:
            done, begun = 0, time.monotonic()
            while done < len(lines) and not block_ended.is_set():
                due = min(len(lines), int(len(lines) * (time.monotonic() - begun) / over_s) + 1)
                await self.produce(lines[done:due])
                done = due
                with suppress(TimeoutError):
                    await asyncio.wait_for(block_ended.wait(), 0.1)
            await self.produce(lines[done:])

        trickling = asyncio.create_task(trickle())
        try:
            yield
            block_ended.set()
            await trickling
        finally:
            trickling.cancel()
            await asyncio.gather(trickling, return_exceptions=True)

    async def caught_up(self, deadline_s: float) -> float:
        """Wait until all that was produced is stored and committed; gives the seconds that took."""
        begun = time.monotonic()
        await self.stored(deadline_s)
        return time.monotonic() - begun

    async def verdict(self, load: Load, lines: Sequence[bytes] | None = None, database: str = "default") -> Verdict:
        """What stands in ClickHouse, compared with the load, or with these records, of which the load knows the bad."""
        poison = {*load.mendable, *load.broken}
        if lines is None:
            wanted, facts, letters = await asyncio.to_thread(load.truth), load.good, list(poison)
        else:
            facts = [one for one in dict.fromkeys(lines) if one not in poison]
            letters = [one for one in dict.fromkeys(lines) if one in poison]
            wanted = await asyncio.to_thread(of_the_oracle, facts, int(time.time() * 1000))
        return await self.verdict_of(wanted, facts, letters, database)

    async def verdict_of(
        self, wanted: Rows, facts: Iterable[bytes], letters: Iterable[bytes] = (), database: str = "default"
    ) -> Verdict:
        """What stands in ClickHouse, compared with these rows, payloads of facts and values of dead letters."""
        await self.closed(wanted, database=database)
        return await asyncio.to_thread(judge, self.clickhouse.named(database), wanted, facts, letters)

    async def closed(self, wanted: Rows, deadline_s: float = 60, *, database: str = "default") -> None:
        """Wait until as many conversations are closed as should be; what is wrong then the verdict says."""
        count = sum(row["closed"] for row in wanted.values())

        async def as_many() -> bool:
            ((closed,),) = await self.clickhouse.ask(f"SELECT countIf(closed) FROM {database}.conversations FINAL")
            return bool(closed >= count)

        with suppress(AssertionError):
            await until(as_many, deadline_s, "as many conversations to be closed as the oracle says")


def resident_mib(worker: WorkerProcess) -> float:
    """The resident memory of a worker."""
    told = subprocess.run(["ps", "-o", "rss=", "-p", str(worker.pid)], capture_output=True, text=True, check=True)
    return int(told.stdout) / 1024
