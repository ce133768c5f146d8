"""Apache Kafka itself, for tests and benches: one KRaft node on free ports of this machine."""

import asyncio
import base64
import random
import shutil
import signal
import socket
import subprocess
import uuid
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from string import Template
from types import TracebackType
from typing import Any, Self

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.errors import KafkaConnectionError, for_code

from tests.kafka import jars
from tests.waiting import until

# Below the range that systems take source ports from (Linux from 32,768, others above): a client that dials a stopped
# broker in that range can be given the broker's own port, connect to itself, and keep the broker from coming back.
PORTS = range(20_000, 32_000)


class KafkaBroker:
    """One node over one directory; stopped or killed, it starts again on the same ports with the same records.

    `directory` gets server.properties, records/, broker.log (Kafka's own) and console.log (errors alone).
    Who comes in at `behind_port` is sent to `proxy_port`: a proxy that listens there and leads here sees all of it.
    Nothing here belongs to an event loop: it may be started in one and used in another. Start it with `async with`,
    or `start()` and in the end `stop()`. Raises jars.FetchError when its jars cannot be had.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self.records = self.directory / "records"
        self.log = self.directory / "broker.log"
        self.console = self.directory / "console.log"
        self.port, self.controller_port, self.behind_port, self.proxy_port = free_ports(4)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def _meta(self) -> Path:
        """Where Kafka keeps whose records these are; it is there once they are laid out."""
        return self.records / "meta.properties"

    @property
    def address(self) -> str:
        """Host and port, as clients' bootstrap_servers want them."""
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self, deadline_s: float = 90) -> None:
        """Run the node, and return once it answers and leads every partition that it has."""
        assert self.process is None, "the broker runs already"
        classes = await asyncio.to_thread(jars.fetched)
        await asyncio.to_thread(self._format, classes)
        self.process = self._spawned(classes)
        try:
            await until(self._accepts, deadline_s, f"Apache Kafka to accept connections at {self.address}")
            await until(self._leads, deadline_s, "Apache Kafka to lead its partitions")
        except BaseException as failure:
            failure.add_note(self._last_words())
            await self.kill()
            raise

    async def stop(self, deadline_s: float = 30) -> None:
        """End it as an operator would; kill it when that takes over `deadline_s`. Nothing when it does not run."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            await self._ended(deadline_s)
        except AssertionError:
            await self.kill()

    async def kill(self) -> None:
        """End it as a power cut would, but for what the kernel still writes. Nothing when it does not run."""
        if self.process is not None:
            self.process.kill()
            await self._ended(10)

    async def create_topic(self, name: str, partitions: int, **config: str) -> None:
        """Create a topic, led when this returns; `config` is Kafka's, as in message_timestamp_type="LogAppendTime"."""
        settings = {key.replace("_", "."): value for key, value in config.items()}
        async with self._admin() as admin:
            response = await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=settings)])
        refuse(response)
        await self._led(name, partitions)

    async def add_partitions(self, name: str, total: int) -> None:
        """Widen a topic to `total` partitions, all led when this returns."""
        async with self._admin() as admin:
            response = await admin.create_partitions({name: NewPartitions(total)})
        refuse(response)
        await self._led(name, total)

    async def delete_topics(self, *names: str) -> None:
        """Delete topics as far as they are there; returns once they are gone."""
        there = [name for name in names if name in await self.partitions()]
        if not there:
            return
        async with self._admin() as admin:
            await admin.delete_topics(there)

        async def gone() -> bool:
            return not set(names) & set(await self.partitions())

        await until(gone, 30, f"{there} to be deleted")

    async def partitions(self) -> dict[str, dict[int, int]]:
        """Every topic's partitions, and the node that leads each: 1, or -1 while it is not led."""
        async with self._admin() as admin:
            topics = await admin.describe_topics()
        return {
            topic["topic"]: {partition["partition"]: partition["leader"] for partition in topic["partitions"]}
            for topic in topics
        }

    async def _led(self, name: str, total: int) -> None:
        async def led() -> bool:
            leaders = (await self.partitions()).get(name, {})
            return len(leaders) == total and all(leader >= 0 for leader in leaders.values())

        await until(led, 30, f"{total} led partitions of {name}")

    async def _leads(self) -> bool:
        """It is this node that answers, its registration is in force, and every partition of it led.

        A node that came back from a kill needs a while for that; another program's broker may have taken the port.
        """
        self._assert_running()
        try:
            async with self._admin() as admin:
                cluster = await admin.describe_cluster()
            topics = await self.partitions()
        except KafkaConnectionError:
            return False
        ours = f"cluster.id={cluster['cluster_id']}" in self._meta.read_text().split()
        led = all(leader >= 0 for leaders in topics.values() for leader in leaders.values())
        return ours and bool(cluster["brokers"]) and led

    def _accepts(self) -> bool:
        self._assert_running()
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _assert_running(self) -> None:
        assert self.process is not None
        code = self.process.poll()
        assert code is None, f"Apache Kafka ended with {code} instead of starting"

    async def _ended(self, deadline_s: float) -> None:
        process = self.process
        assert process is not None
        await until(lambda: process.poll() is not None, deadline_s, f"Apache Kafka ({process.pid}) to end")
        self.process = None

    def _format(self, classes: Path) -> None:
        """Write the configuration, and lay out the records' directory when this is the first start in it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        template = Template((jars.HERE / "server.properties").read_text())
        properties = self.directory / "server.properties"
        properties.write_text(
            template.substitute(
                broker=self.port,
                controller=self.controller_port,
                behind=self.behind_port,
                proxy=self.proxy_port,
                records=self.records,
            )
        )
        if self._meta.exists():
            return
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        command = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", f"--config={properties}"]
        done = subprocess.run(
            self._java(classes, *command), capture_output=True, text=True, check=False, cwd=self.directory, timeout=90
        )
        assert done.returncode == 0, f"the storage of Apache Kafka could not be formatted:\n{done.stdout}{done.stderr}"

    def _spawned(self, classes: Path) -> subprocess.Popen[bytes]:
        """The node as a process in a session of its own, so that a Ctrl-C for the tests does not reach it."""
        with self.console.open("ab") as console:
            return subprocess.Popen(
                self._java(classes, "kafka.Kafka", str(self.directory / "server.properties")),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _java(self, classes: Path, *command: str) -> list[str]:
        java = shutil.which("java")
        assert java is not None, jars.why_unavailable()
        logging = [f"-Dlog4j2.configurationFile={jars.HERE / 'log4j2.properties'}", f"-Dkafka.log={self.log}"]
        return [java, "-Xms256m", "-Xmx1g", "-XX:+ExitOnOutOfMemoryError", *logging, "-cp", f"{classes}/*", *command]

    def _last_words(self) -> str:
        said = self.console.read_text(errors="replace")[-4000:]
        log = self.log.read_text(errors="replace")[-1000:] if self.log.exists() else ""
        return f"{self.console}:\n{said}\nthe end of {self.log}:\n{log}"

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[Any]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address, request_timeout_ms=10_000)
        try:
            await admin.start()
            yield admin
        finally:
            await admin.close()


def refuse(response: Any) -> None:
    """Raise Kafka's own error when the broker refused a topic: its answer says so, aiokafka does not."""
    for name, code, *rest in response.topic_errors:
        if code:
            raise for_code(code)(f"{name}: {rest[0] if rest else ''}")


def free_ports(count: int) -> list[int]:
    """Ports of PORTS on which nothing listens now."""
    candidates = iter(random.sample(PORTS, len(PORTS)))
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            port = next(candidates)
            probe = held.enter_context(socket.socket())
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(port)
    return found
