"""One ClickHouse for all tests of the application: a process can hold one folder of chDB at a time."""

from collections.abc import Iterator

import pytest

from sinks.clickhouse_queries import ClickHouseQueries
from sinks.connection import Database
from sinks.migrate import migrate


@pytest.fixture(scope="package")
def chdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A migrated database in this process; what stands in it is whatever the tests before left."""
    database = Database.parse(f"chdb://{tmp_path_factory.mktemp('chdb')}/store")
    migrate(database)
    client = database.client()  # keeps the engine open between tests
    yield database
    client.close()


@pytest.fixture(scope="package")
def queries(chdb: Database) -> Iterator[ClickHouseQueries]:
    """Questions to it, as the application asks them."""
    queries = ClickHouseQueries(chdb)
    yield queries
    queries.close()


@pytest.fixture
def database(chdb: Database) -> Database:
    """The same database with empty tables."""
    emptied(chdb)
    return chdb


def emptied(database: Database) -> None:
    """Empty the tables."""
    client = database.client()
    for (table,) in client.query("SELECT name FROM system.tables WHERE database = currentDatabase()").result_rows:
        if table != "alembic_version":
            client.command(f"TRUNCATE TABLE `{table}`")
    client.close()
