"""The stores that the contract is tested on: memory, chDB, and ClickHouse over HTTP."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from runtime.clickhouse_http import ClickHouseHttp
from schemas.store import Reader, Writer
from sinks.clickhouse_reader import ClickHouseReader
from sinks.clickhouse_writer import ClickHouseWriter
from sinks.connection import Database
from sinks.live_rows import live_rows
from sinks.memory import MemoryStore
from sinks.migrate import migrate
from tests.builders import AT, HOUR

TABLES = ("events", "conversations", "dead_letters", "frontiers")


@dataclass
class Clock:
    """What stamps rows when they are inserted; it stands where the builder of rows says."""

    now: int = AT + HOUR

    def __call__(self) -> int:
        return self.now


@dataclass(frozen=True)
class Stores:
    """A store as the worker sees it, its rows as they stand, and its clock."""

    writer: Writer
    reader: Reader
    rows: Callable[[], list[dict[str, Any]]]
    clock: Clock = field(default_factory=Clock)


@pytest.fixture(scope="package")
def chdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A migrated database in this process, one for all tests here: a process can hold one folder at a time."""
    database = Database.parse(f"chdb://{tmp_path_factory.mktemp('chdb')}/store")
    migrate(database)
    client = database.client()  # keeps the engine open between tests
    yield database
    client.close()


@pytest.fixture(scope="package")
def http(chdb: Database) -> Iterator[Database]:
    """The same database, over HTTP."""
    server = ClickHouseHttp(chdb.folder, "it's: a/secret")
    server.start()
    yield Database.parse(f"clickhouse://default:it%27s%3A%20a%2Fsecret@127.0.0.1:{server.port}/default")
    server.stop()


@pytest.fixture(params=["chdb", "http"])
def database(request: pytest.FixtureRequest) -> Database:
    """A migrated database with empty tables, by either way to ClickHouse."""
    database: Database = request.getfixturevalue(request.param)
    emptied(database)
    return database


@pytest.fixture(params=["memory", "chdb", "http"])
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    """An empty store of each kind."""
    clock = Clock()
    if request.param == "memory":
        store = MemoryStore(clock)
        yield Stores(store, store, store.rows, clock)
        return
    database: Database = request.getfixturevalue(request.param)
    emptied(database)
    writer, reader, client = ClickHouseWriter(database, clock), ClickHouseReader(database), database.client()
    yield Stores(writer, reader, lambda: live_rows(client), clock)
    for one in (writer, reader, client):
        one.close()


def emptied(database: Database) -> None:
    """Empty the tables."""
    client = database.client()
    for table in TABLES:
        client.command(f"TRUNCATE TABLE {table}")
    client.close()
