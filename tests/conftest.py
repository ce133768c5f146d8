"""What all tests share: Apache Kafka itself, where it can run, and plain words where it cannot."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.kafka import jars
from tests.kafka.broker import KafkaBroker

# Taken out of the environment: what the tests start refuses names under AFTERWORD_ that are not its settings.
KAFKA_REQUIRED = os.environ.pop("AFTERWORD_TEST_REQUIRE_KAFKA", "") == "1"


def pytest_report_header() -> str:
    """Say before the first test whether those on Apache Kafka run."""
    reason = jars.why_unavailable()
    if not reason:
        return f"Apache Kafka {jars.version()}: its tests run"
    return f"Apache Kafka {jars.version()}: its tests {'FAIL' if KAFKA_REQUIRED else 'are skipped'}, {reason}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses Apache Kafka, so that `-m "not kafka"` leaves out exactly that."""
    for item in items:
        if "kafka_jars" in getattr(item, "fixturenames", ()):
            item.add_marker("kafka")


@pytest.fixture(scope="session")
def kafka_jars() -> Path:
    """The jars of Apache Kafka; a test that asks for them is skipped where it cannot run, or fails where it must."""
    reason = jars.why_unavailable()
    if not reason:
        try:
            return jars.fetched()
        except jars.FetchError as failure:
            reason = f"its jars could not be fetched: {failure}"
    if KAFKA_REQUIRED:
        pytest.fail(f"Apache Kafka is required here, but {reason}")
    pytest.skip(f"no Apache Kafka: {reason}")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kafka(kafka_jars: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KafkaBroker]:
    """One Apache Kafka for all tests of a run.

    Topics belong to the test that names them; a test that breaks a broker starts one of its own.
    """
    async with KafkaBroker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker
    shutil.rmtree(broker.records)
