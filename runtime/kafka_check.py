"""What `afterword check` asks Kafka: whether it answers, and whether the input topics are as the workers need them."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from runtime.finding import Finding, note, ok, wrong
from runtime.kafka import Cluster, partition_counts
from schemas.failures import Unavailable
from schemas.topics import TOPICS, Topic

_SECONDS: Final = 15.0
_CREATE: Final = "create them with `afterword topics create`"
_REACH: Final = "see that it runs, that AFTERWORD_KAFKA is right, and login and TLS too"


async def check_kafka(cluster: Cluster, *, embedded: bool) -> list[Finding]:
    """Look at Kafka and the input topics. The embedded broker has no settings of topics to look at."""
    try:
        async with asyncio.timeout(_SECONDS), _admin(cluster) as admin:
            found = await partition_counts(cluster, admin)
            counts = {topic.name: found.get(topic.name, 0) for topic in TOPICS}
            settings = {} if embedded else await _settings(admin, [name for name, count in counts.items() if count])
    except TimeoutError:
        return [wrong("Kafka", f"no answer from {cluster.address} within {_SECONDS:.0f} s", _REACH)]
    except Unavailable as error:
        return [wrong("Kafka", str(error), _REACH)]
    except KafkaError as error:
        return [
            wrong("Kafka", f"{cluster.address} answers, but not this: {error}", "see that the user may describe topics")
        ]
    findings = [ok("Kafka", f"answers at {cluster.address}"), *_of_counts(counts)]
    for topic in TOPICS:
        if topic.name in settings:
            findings += _of_settings(topic, settings[topic.name])
    return findings


@asynccontextmanager
async def _admin(cluster: Cluster) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**cluster.client())
    try:
        try:
            await admin.start()
        except KafkaError as error:
            raise Unavailable(f"{cluster.address} does not answer: {error}") from error
        yield admin
    finally:
        await admin.close()


async def _settings(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    """Give the settings of topics by name."""
    if not names:
        return {}
    found = {}
    for response in await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names]):
        for _, _, _, name, entries in response.resources:
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


def _of_counts(counts: Mapping[str, int]) -> Iterator[Finding]:
    missing = [name for name, count in counts.items() if not count]
    if missing:
        yield wrong("topics", f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing", _CREATE)
    elif len(set(counts.values())) > 1:
        said = ", ".join(f"{name} has {count} partitions" for name, count in counts.items())
        widest = max(counts.values())
        yield wrong("topics", said, f"the workers need equal numbers: widen the smaller one to {widest}")
    else:
        (count,) = set(counts.values())
        yield ok("topics", f"{' and '.join(counts)} are there, with {count} partitions each")


def _of_settings(topic: Topic, settings: Mapping[str, str]) -> Iterator[Finding]:
    """Compare a topic's settings with those that it is created with."""
    wanted = dict(topic.config)
    largest, needed = int(settings.get("max.message.bytes", 0)), int(wanted["max.message.bytes"])
    if largest < needed:
        yield wrong(
            topic.name,
            f"max.message.bytes is {largest}, records of 1 MiB need {needed}",
            _set(topic, "max.message.bytes"),
        )
    if (policy := settings.get("cleanup.policy")) != wanted["cleanup.policy"]:
        yield wrong(topic.name, f"cleanup.policy is {policy}, which drops events by key", _set(topic, "cleanup.policy"))
    if (times := settings.get("message.timestamp.type")) != wanted["message.timestamp.type"]:
        said = f"message.timestamp.type is {times}: a producer's clock decides which events come from the future"
        yield note(topic.name, said, _set(topic, "message.timestamp.type"))
    kept = int(settings.get("retention.ms", -1))
    if 0 <= kept < int(wanted["retention.ms"]):
        said = f"retention.ms is {kept}: after {kept / 3_600_000:g} h without a worker, events are lost"
        yield note(topic.name, said, _set(topic, "retention.ms"))


def _set(topic: Topic, name: str) -> str:
    value = dict(topic.config)[name]
    return f"kafka-configs.sh --alter --topic {topic.name} --add-config {name}={value}"
