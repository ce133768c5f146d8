"""Kafka as the runtime uses it: addresses and credentials, topics, and a producer."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    IncompatibleBrokerVersion,
    KafkaError,
    TopicAlreadyExistsError,
    UnknownError,
    UnsupportedVersionError,
    for_code,
)
from aiokafka.structs import RecordMetadata

from schemas.failures import Unavailable
from schemas.topics import MAX_RECORD_BYTES, TOPICS

_LINGER_MS: Final = 5
_KNOWN_SECONDS: Final = 15.0
_REQUEST_SECONDS: Final = 40.0
_METADATA_MS: Final = 30_000
"""So long a producer relies on the number of partitions that it knows."""
_BATCH_BYTES: Final = 512 * 1024
_NO_PRODUCER_IDS: Final = (UnknownError, UnsupportedVersionError, IncompatibleBrokerVersion)
"""What a broker answers that knows no producer ids: Tansu the first of these."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Cluster:
    """How to reach Kafka. `idempotent`: whether the broker knows producer ids (Tansu does not)."""

    address: str
    security: str = "PLAINTEXT"
    mechanism: str = "PLAIN"
    username: str | None = None
    password: str | None = None
    ca_file: str | None = None
    idempotent: bool = True

    @property
    def brokers(self) -> str:
        """The address as Faust wants it."""
        return ";".join(f"kafka://{one}" for one in self.address.split(","))

    def client(self) -> dict[str, Any]:
        """Give the arguments that every aiokafka client takes."""
        options: dict[str, Any] = {"bootstrap_servers": self.address.split(","), "security_protocol": self.security}
        if self.security.endswith("SSL"):
            options["ssl_context"] = ssl.create_default_context(cafile=self.ca_file)
        if self.security.startswith("SASL"):
            options |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return options

    def credentials(self) -> Any:
        """Give the same as Faust wants it; None when there is nothing to prove."""
        import faust  # noqa: PLC0415  (half a second that most commands need not spend)

        if self.security.startswith("SASL"):
            return faust.SASLCredentials(
                username=self.username,
                password=self.password,
                mechanism=self.mechanism,
                ssl_context=ssl.create_default_context(cafile=self.ca_file) if self.security.endswith("SSL") else None,
            )
        if self.security == "SSL":
            return faust.SSLCredentials(ssl.create_default_context(cafile=self.ca_file))
        return None


def cluster_of(
    url: str,
    *,
    username: str | None = None,
    password: str | None = None,
    mechanism: str = "PLAIN",
    ca_file: str | None = None,
) -> Cluster:
    """Read kafka://host:port[,host:port…], or kafkas:// for TLS. Raises ValueError with what is wrong."""
    scheme, separator, hosts = url.partition("://")
    if not separator or scheme not in ("kafka", "kafkas") or not hosts:
        raise ValueError(f"{url!r} is no Kafka address: write kafka://host:9092, or kafkas://host:9093 for TLS")
    if "@" in hosts:
        raise ValueError(
            "a Kafka address holds no user and password: give them as AFTERWORD_KAFKA_USERNAME and _PASSWORD"
        )
    addresses = []
    for one in hosts.rstrip("/").split(","):
        parts = urlsplit(f"//{one}")
        if not parts.hostname:
            raise ValueError(f"{url!r}: a broker without a name")
        addresses.append(f"{parts.hostname}:{parts.port or 9092}")
    security = ("SASL_" if username else "") + ("SSL" if scheme == "kafkas" else "PLAINTEXT")
    return Cluster(",".join(addresses), security, mechanism, username, password, ca_file)


class KafkaProducer:
    """Produces single records and whole batches; what it answers is acknowledged by all replicas."""

    def __init__(self, cluster: Cluster, *, timeout: float = _REQUEST_SECONDS) -> None:
        """`timeout`: seconds after which a request, or a record without a producer id that still waits, has failed."""
        self._cluster = cluster
        self._timeout_ms = int(timeout * 1_000)
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect. Raises Unavailable when no broker answers."""
        try:
            await self._connect(idempotent=self._cluster.idempotent)
        except KafkaError as error:
            raise Unavailable(f"Kafka at {self._cluster.address} does not answer: {error}") from error

    async def _connect(self, *, idempotent: bool) -> None:
        self._producer = AIOKafkaProducer(
            **self._cluster.client(),
            acks="all",
            enable_idempotence=idempotent,
            linger_ms=_LINGER_MS,
            max_batch_size=_BATCH_BYTES,
            max_request_size=MAX_RECORD_BYTES + 65_536,
            request_timeout_ms=self._timeout_ms,
            metadata_max_age_ms=_METADATA_MS,
        )
        try:
            await self._producer.start()
        except _NO_PRODUCER_IDS as error:
            await self._producer.stop()
            if not idempotent:
                raise
            log.warning("Kafka gives no producer id (%r): a record may arrive twice, and counts once", error)
            await self._connect(idempotent=False)
        except BaseException:  # to be told to stop is one
            await self._producer.stop()
            raise

    async def stop(self) -> None:
        """Send what is waiting and disconnect."""
        if self._producer is not None:
            await self._producer.stop()

    def send(
        self,
        topic: str,
        partition: int,
        key: bytes,
        value: bytes,
        headers: list[tuple[str, bytes]],
        timestamp_ms: int,
    ) -> Awaitable[None]:
        """Send one record; the awaitable ends when Kafka has acknowledged it and raises Unavailable otherwise."""
        return asyncio.ensure_future(self._send(topic, partition, key, value, headers, timestamp_ms))

    async def _send(
        self,
        topic: str,
        partition: int,
        key: bytes,
        value: bytes,
        headers: list[tuple[str, bytes]],
        timestamp_ms: int,
    ) -> None:
        assert self._producer is not None
        try:
            await self._find(topic, partition)
            await self._producer.send_and_wait(
                topic, value, key, partition=partition, headers=headers, timestamp_ms=timestamp_ms
            )
        except KafkaError as error:
            raise Unavailable(f"Kafka did not take a record for {topic}: {error}") from error

    async def answers(self) -> bool:
        """Whether any broker answers now."""
        assert self._producer is not None
        return bool(await self._producer.client.force_metadata_update())

    async def partitions(self, topic: str) -> int:
        """Give the number of partitions of a topic, at most half a minute old. Raises Unavailable, soon or late."""
        assert self._producer is not None
        try:
            return len(await self._producer.partitions_for(topic))
        except KafkaError as error:
            raise Unavailable(f"Kafka does not tell the partitions of {topic}: {error}") from error

    async def submit(self, topic: str, partition: int, key: bytes, value: bytes) -> "asyncio.Future[RecordMetadata]":
        """Queue one record, as soon as there is room; the future gives its offset, or fails with a KafkaError.

        Raises Unavailable when it cannot even be queued.
        """
        assert self._producer is not None
        try:
            await self._find(topic, partition)
            queued: asyncio.Future[RecordMetadata] = await self._producer.send(topic, value, key, partition=partition)
        except KafkaError as error:
            raise Unavailable(f"Kafka did not take a record for {topic}: {error}") from error
        return queued

    async def _find(self, topic: str, partition: int) -> None:
        """Ask for a partition that is not known: topics are widened."""
        assert self._producer is not None
        if partition not in await self._producer.partitions_for(topic):
            await self._producer.client.force_metadata_update()
            if partition not in await self._producer.partitions_for(topic):
                raise Unavailable(f"Kafka knows no partition {partition} of {topic}")

    async def send_many(self, topic: str, partition: int, records: Iterable[tuple[bytes | None, bytes]]) -> int:
        """Send (key, value) pairs of one partition in as few batches as they fit; gives how many were acknowledged."""
        assert self._producer is not None
        count, acknowledged, batch = 0, [], self._producer.create_batch()
        try:
            await self._find(topic, partition)
            for key, value in records:
                if batch.append(key=key, value=value, timestamp=None) is None:
                    acknowledged.append(await self._producer.send_batch(batch, topic, partition=partition))
                    batch = self._producer.create_batch()
                    if batch.append(key=key, value=value, timestamp=None) is None:
                        await self._producer.send_and_wait(topic, value, key, partition=partition)
                count += 1
            if batch.record_count():
                acknowledged.append(await self._producer.send_batch(batch, topic, partition=partition))
            for one in acknowledged:
                await one
        except KafkaError as error:
            raise Unavailable(f"Kafka did not take records for {topic}: {error}") from error
        return count


async def create_topics(cluster: Cluster, partitions: int, replication: int) -> dict[str, str]:
    """Create the input topics where they are missing; gives for each what was done.

    Raises Unavailable when no broker answers, ValueError when the two have unequal numbers of partitions.
    """
    admin = AIOKafkaAdminClient(**cluster.client())
    try:
        await admin.start()
    except KafkaError as error:
        await admin.close()
        raise Unavailable(f"Kafka at {cluster.address} does not answer: {error}") from error
    try:
        done = {}
        for topic in TOPICS:
            wanted = NewTopic(topic.name, partitions, replication, topic_configs=dict(topic.config))
            try:
                response = await admin.create_topics([wanted])
                for name, code, *why in response.topic_errors:
                    if code:
                        raise for_code(code)(why[0] if why and why[0] else name)
                done[topic.name] = "created"
            except TopicAlreadyExistsError:
                done[topic.name] = "exists"
        counts = await _known_counts(cluster, admin)
        if len(set(counts.values())) > 1:
            raise ValueError(f"the input topics must have equal numbers of partitions, but have {counts}")
        return {name: f"{what}, {counts[name]} partitions" for name, what in done.items()}
    except KafkaError as error:
        raise Unavailable(f"Kafka at {cluster.address}: {error}") from error
    finally:
        await admin.close()


async def _known_counts(cluster: Cluster, admin: AIOKafkaAdminClient) -> Mapping[str, int]:
    """Give the counts once every topic is known: a broker learns of a new one a moment after it is created."""
    deadline = asyncio.get_running_loop().time() + _KNOWN_SECONDS
    while not all((counts := await partition_counts(cluster, admin)).values()):
        if asyncio.get_running_loop().time() > deadline:
            break
        await asyncio.sleep(0.1)
    return counts


async def partition_counts(cluster: Cluster, admin: AIOKafkaAdminClient | None = None) -> Mapping[str, int]:
    """Give the number of partitions of each input topic, 0 for one that does not exist. Raises Unavailable."""
    own = None
    if admin is None:
        own = admin = AIOKafkaAdminClient(**cluster.client())
        try:
            await own.start()
        except KafkaError as error:
            await own.close()
            raise Unavailable(f"Kafka at {cluster.address} does not answer: {error}") from error
    try:
        described = await admin.describe_topics([topic.name for topic in TOPICS])
        return {one["topic"]: len(one["partitions"]) if not one["error_code"] else 0 for one in described}
    finally:
        if own is not None:
            await own.close()
