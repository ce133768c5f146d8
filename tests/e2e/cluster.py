"""A cluster as an operator runs it: Kafka, ClickHouse, `afterword worker` processes; and what a test asks of it."""

import asyncio
import http.client
import itertools
import json
import re
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from clickhouse_connect.driver.client import Client

from runtime.kafka import Cluster as Address
from runtime.kafka import KafkaProducer
from runtime.loader import load
from schemas.topics import TOPICS
from sinks.connection import Database
from sinks.live_rows import live_rows
from sinks.migrate import migrate
from tests.e2e import rows
from tests.e2e.children import Child
from tests.e2e.rows import Rows
from tests.kafka.broker import free_ports
from tests.waiting import until

SESSION_S = 6
"""Brokers admit no shorter session: after so long the partitions of a killed worker go to others."""
START_S = 60
STORE_S = 240

_numbers = itertools.count(1)


class ClickHouse:
    """A ClickHouse server on one folder and one port, that may be killed and started again."""

    module = "tests.e2e.clickhouse_server"

    def __init__(self, folder: Path, log: Path) -> None:
        self.folder = folder
        (self.port,) = free_ports(1)
        self.url = f"clickhouse://127.0.0.1:{self.port}/default"
        self._log = log
        self._child: Child | None = None

    @property
    def database(self) -> Database:
        """Where clients find it."""
        return Database.parse(self.url)

    async def start(self) -> None:
        """Start it, and return once it answers."""
        child = self._child = Child("ClickHouse", self._log, self.module, *self._arguments())
        await until(lambda: self._answers(child), START_S, "ClickHouse to answer")

    def _arguments(self) -> list[str]:
        return ["--path", str(self.folder), "--port", str(self.port)]

    def _answers(self, child: Child) -> bool:
        assert child.status is None, child.words()
        answer = get(self.port, "/ping")
        return answer is not None and answer[0] == 200

    async def kill(self) -> None:
        """End it as a power cut would."""
        assert self._child is not None
        await self._child.kill()

    async def stop(self) -> None:
        """End it in order."""
        if self._child is not None:
            await self._child.stop()

    async def ask(self, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """The rows that a query gives."""
        return await asyncio.to_thread(self._asked, query, parameters)

    def _asked(self, query: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        client = self.database.client()
        try:
            return [tuple(row) for row in client.query(query, parameters=parameters).result_rows]
        finally:
            client.close()

    async def command(self, statement: str) -> None:
        """Run a statement that gives no rows."""
        client = await asyncio.to_thread(self.database.client)
        try:
            await asyncio.to_thread(client.command, statement)
        finally:
            client.close()

    async def facts(self) -> int:
        """How many facts are stored, each counted once."""
        return await asyncio.to_thread(facts_in, self.database)

    async def rows(self) -> Rows:
        """All rows that are not deleted, in the form of the oracle."""
        return await asyncio.to_thread(self._rows)

    def _rows(self) -> Rows:
        client: Client = self.database.client()
        try:
            return rows.of_the_table(live_rows(client))
        finally:
            client.close()


class WorkerProcess(Child):
    """`afterword worker`, and its probes."""

    def __init__(self, name: str, log: Path, settings: Mapping[str, str]) -> None:
        (self.port,) = free_ports(1)
        super().__init__(name, log, "runtime.cli", "worker", settings={**settings, "AFTERWORD_PORT": str(self.port)})

    async def readiness(self) -> tuple[bool, list[str]]:
        """What /readyz answers: whether it is ready, and what it lacks. Not ready, lacking nothing: no answer yet."""
        told = await self._readyz()
        return told["ready"], told["reasons"]

    async def notes(self, words: str) -> str:
        """What /readyz notes in these words although it is ready, '' when it does not."""
        return next((note for note in (await self._readyz())["notes"] if words in note), "")

    async def _readyz(self) -> dict[str, Any]:
        answer = await asyncio.to_thread(get, self.port, "/readyz")
        if answer is None:
            assert self.status is None, f"{self.name} ended with {self.status}"
            return {"ready": False, "reasons": [], "notes": []}
        told: dict[str, Any] = json.loads(answer[1])
        return told

    async def ready(self) -> None:
        """Wait until it has partitions and consumes."""

        async def is_ready() -> bool:
            return (await self.readiness())[0]

        await until(is_ready, START_S, f"{self.name} to be ready")

    async def answers(self) -> None:
        """Wait until it says whether it is ready."""

        async def said() -> bool:
            ready, lacks = await self.readiness()
            return ready or bool(lacks)

        await until(said, START_S, f"{self.name} to answer")

    async def lacks(self, words: str) -> str:
        """Wait until /readyz says that it lacks something in these words; gives the whole sentence."""

        async def said() -> str:
            return next((reason for reason in (await self.readiness())[1] if words in reason), "")

        return await until(said, START_S, f"/readyz of {self.name} to say {words!r}")

    async def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        answer = await asyncio.to_thread(get, self.port, "/metrics")
        assert answer is not None, f"{self.name} does not answer, its status is {self.status}"
        numbers = re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", answer[1], re.MULTILINE)
        assert numbers, f"no {name} in {answer[1]}"
        return sum(map(float, numbers))


class Cluster:
    """`async with Cluster(address, directory) as cluster`: ClickHouse and the tables are there, and no worker yet."""

    def __init__(
        self,
        address: Address,
        directory: Path,
        *,
        partitions: int = 4,
        tables: bool = True,
        clickhouse: ClickHouse | None = None,
    ) -> None:
        """`tables`: whether they are made; a test that makes them itself says False. `clickhouse`: a special one."""
        self.address = address
        self.partitions = partitions
        self.directory = directory
        self.group = f"afterword-{next(_numbers)}"
        self.clickhouse = clickhouse or ClickHouse(directory / "clickhouse", directory / "clickhouse.log")
        self.workers: list[WorkerProcess] = []
        self.produced: list[bytes] = []
        """All good events that were produced through `produce`."""
        self._tables = tables
        self._started = 0
        self._producer = KafkaProducer(address)

    @property
    def settings(self) -> dict[str, str]:
        """The environment of the command line."""
        return {
            "AFTERWORD_KAFKA": f"kafka://{self.address.address}",
            "AFTERWORD_CLICKHOUSE": self.clickhouse.url,
            "AFTERWORD_GROUP": self.group,
            "AFTERWORD_SESSION_TIMEOUT_S": str(SESSION_S),
        }

    async def __aenter__(self) -> Self:
        await self.clickhouse.start()
        if self._tables:
            await asyncio.to_thread(migrate, self.clickhouse.database)
        await self._producer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(worker.stop() for worker in self.workers))
        for worker in self.workers:
            sys.stdout.write(worker.words())  # shown when the test has failed
        await self._producer.stop()
        await self.clickhouse.stop()

    async def command(self, *arguments: str, **settings: str) -> str:
        """Run `afterword …` to its end, which must be good; gives what it printed. `settings` as of `start_worker`."""
        name = f"afterword {' '.join(arguments)}"
        log = self.directory / f"command-{next(_numbers)}.log"
        child = Child(name, log, "runtime.cli", *arguments, settings={**self.settings, **_variables(settings)})
        try:
            assert await child.ended(START_S) == 0, child.words()
        finally:
            await child.stop()
        return child.printed()

    def start_worker(self, **settings: str) -> WorkerProcess:
        """Start a worker; `settings` are names without AFTERWORD_, in small letters."""
        return self._start(settings, {})

    def _start(self, settings: Mapping[str, str], environment: Mapping[str, str]) -> WorkerProcess:
        self._started += 1
        name = f"worker {self._started}"
        log = self.directory / f"{name.replace(' ', '-')}.log"
        worker = WorkerProcess(name, log, {**self.settings, **_variables(settings), **environment})
        self.workers.append(worker)
        return worker

    async def worker(self, **settings: str) -> WorkerProcess:
        """Start a worker, and return once it is ready."""
        worker = self.start_worker(**settings)
        await worker.ready()
        return worker

    async def produce(self, lines: Iterable[bytes]) -> int:
        """Produce good events, each where a good producer puts it; gives how many, all acknowledged."""
        events = list(lines)
        self.produced += events
        return (await load(self._producer, events, self.partitions)).records

    async def divide(self, partitions: int) -> None:
        """Produce to so many partitions from now on: the topics were widened."""
        self.partitions = partitions
        await self._producer.stop()  # it would ask for the number of partitions again only after minutes
        self._producer = KafkaProducer(self.address)
        await self._producer.start()

    @asynccontextmanager
    async def producing(self, lines: Sequence[bytes]) -> AsyncIterator[None]:
        """Produce good events beside what the block does, more and more slowly, and the rest at once when it ends."""
        block_ended = asyncio.Event()

        async def trickle() -> None:
            start = 0
            while not block_ended.is_set() and start < len(lines):
                size = max(1, (len(lines) - start) // 200)
                await self.produce(lines[start : start + size])
                start += size
                with suppress(TimeoutError):
                    await asyncio.wait_for(block_ended.wait(), 0.05)
            assert block_ended.is_set(), "all was produced before the block had ended: it met no load"
            await self.produce(lines[start:])

        trickling = asyncio.create_task(trickle())
        try:
            yield
        finally:
            block_ended.set()
            await trickling

    async def until_facts(self, count: int) -> None:
        """Wait until so many facts are stored."""

        async def enough() -> bool:
            return await self.clickhouse.facts() >= count

        await until(enough, STORE_S, f"{count} facts to be stored")

    async def put(
        self, topic: str, partition: int, value: bytes, *, key: bytes | None = None, timestamp_ms: int | None = None
    ) -> None:
        """Produce one record of whatever kind, wherever the test wants it."""
        async with self.plain_producer() as producer:
            await producer.send_and_wait(topic, value, key, partition=partition, timestamp_ms=timestamp_ms)

    @asynccontextmanager
    async def plain_producer(self, **options: Any) -> AsyncIterator[Any]:
        """A producer of aiokafka's own."""
        producer = AIOKafkaProducer(**self.address.client(), max_request_size=2 << 20, **options)
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()

    async def places(self) -> list[TopicPartition]:
        """All partitions of both topics."""
        return [TopicPartition(topic.name, number) for topic in TOPICS for number in range(self.partitions)]

    async def progress(self) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        """By partition: the committed offset (0: none), and the end of the log as a fetch sees it.

        The embedded broker is wrong about the end when it is asked outright.
        """
        places = await self.places()
        consumer = AIOKafkaConsumer(
            **self.address.client(), group_id=self.group, enable_auto_commit=False, fetch_max_wait_ms=20
        )
        await consumer.start()
        try:
            committed = {place: await consumer.committed(place) or 0 for place in places}
            consumer.assign(places)
            for place, offset in committed.items():
                consumer.seek(place, offset)
            deadline = asyncio.get_running_loop().time() + 20
            while any(consumer.highwater(place) is None for place in places):
                assert asyncio.get_running_loop().time() < deadline, "the broker does not answer fetches"
                await consumer.getmany(timeout_ms=50)
            return committed, {place: consumer.highwater(place) or 0 for place in places}
        finally:
            await consumer.stop()

    async def stored(self, deadline_s: float = STORE_S) -> None:
        """Wait until everything that is in both topics is stored and committed."""

        async def behind() -> bool:
            for worker in self.workers:
                assert worker.status is None or worker.status <= 0, f"{worker.name} ended with {worker.status}"
            committed, ends = await self.progress()
            return committed == ends

        await until(behind, deadline_s, "all records to be stored and committed")

    async def rows(self) -> Rows:
        """All rows that are not deleted, in the form of the oracle."""
        return await self.clickhouse.rows()

    async def settled(self, wanted: Rows, deadline_s: float = 60) -> None:
        """Wait until the rows are these: idle closes follow some seconds after what they close is stored."""

        counts = [(len(wanted), sum(row["closed"] for row in wanted.values()))]

        async def as_many() -> bool:
            return await self.clickhouse.ask("SELECT count(), countIf(closed) FROM conversations FINAL") == counts

        with suppress(AssertionError):  # what is wrong is told better below
            await until(as_many, deadline_s, "as many rows, and as many of them closed, as the oracle has")
        found = await self.rows()
        assert not rows.differences(found, wanted)
        assert rows.digest(found) == rows.digest(wanted)


def _variables(settings: Mapping[str, str]) -> dict[str, str]:
    return {f"AFTERWORD_{key.upper()}": value for key, value in settings.items()}


def facts_in(database: Database) -> int:
    """How many facts a database holds, each counted once."""
    client = database.client()
    try:
        ((count,),) = client.query("SELECT count() FROM events FINAL").result_rows
        return int(count)
    finally:
        client.close()


def get(port: int, path: str) -> tuple[int, str] | None:
    """Status and text of an answer, None when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
