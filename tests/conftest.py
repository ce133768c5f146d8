"""What all tests share: Apache Kafka itself and a browser, where they can run, and plain words where they cannot."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from xdist.scheduler import LoadScopeScheduling

from tests.browser import chromium as browsers
from tests.kafka import jars
from tests.kafka.broker import KafkaBroker

# Not under AFTERWORD_: what the tests start refuses names there that are not its settings.
KAFKA_REQUIRED = os.environ.get("TESTS_REQUIRE_KAFKA", "") == "1"
BROWSER_REQUIRED = os.environ.get("TESTS_REQUIRE_BROWSER", "") == "1"

ROOT = Path(__file__).parent.parent
_MARKS = {"kafka_jars": "kafka", "chromium": "browser"}
# Those that start servers and wait for them: beside each other they would wait for longer than they allow.
_OF_SERVERS = ("e2e", "faults", "kafka")


def pytest_sessionstart() -> None:
    """Test nothing that was compiled from older sources."""
    for types in ROOT.glob("processors/*.pxd"):
        for made in types.parent.glob(f"{types.stem}.*.so"):
            if made.stat().st_mtime < max(types.stat().st_mtime, types.with_suffix(".py").stat().st_mtime):
                pytest.exit(f"{made.name} is older than its sources: run `make setup`", returncode=4)


def pytest_report_header() -> list[str]:
    """Say before the first test whether those on Apache Kafka and in a browser run."""
    return [
        _said(f"Apache Kafka {jars.version()}", jars.why_unavailable(), required=KAFKA_REQUIRED),
        _said(f"Chromium {browsers.version()}".rstrip(), browsers.why_unavailable(), required=BROWSER_REQUIRED),
    ]


def _said(name: str, reason: str, *, required: bool) -> str:
    if not reason:
        return f"{name}: its tests run"
    return f"{name}: its tests {'FAIL' if required else 'are skipped'}, {reason}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses Apache Kafka or a browser, so that `-m "not kafka"` leaves out exactly that.

    The tests of servers come first: of the two processes of `make test` one is busy with them nearly to the end.
    """
    for item in items:
        for fixture, mark in _MARKS.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)
    items.sort(key=lambda item: _lane(item.nodeid) != "servers")


class Lanes(LoadScopeScheduling):  # type: ignore[misc]
    """Gives the tests of servers to one process, those in a browser to one, and the others file by file."""

    def _split_scope(self, nodeid: str) -> str:
        return _lane(nodeid)


def _lane(nodeid: str) -> str:
    file = nodeid.partition("::")[0]
    folder = file.split("/")[1]
    return "servers" if folder in _OF_SERVERS else folder if folder == "browser" else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Lanes:
    """Share the tests out among the processes of `make test`."""
    return Lanes(config, log)


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


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where Chromium is; a test that asks for it is skipped where there is none, or fails where it must."""
    reason = browsers.why_unavailable()
    if reason and BROWSER_REQUIRED:
        pytest.fail(f"a browser is required here, but {reason}")
    if reason:
        pytest.skip(f"no browser: {reason}")
    return browsers.executable()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kafka(kafka_jars: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KafkaBroker]:
    """One Apache Kafka for all tests of a run.

    Topics belong to the test that names them; a test that breaks a broker starts one of its own.
    """
    async with KafkaBroker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker
    shutil.rmtree(broker.records)
