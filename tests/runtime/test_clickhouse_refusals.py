"""Inserts over the embedded HTTP interface that the table does not take: the client must hear of it."""

from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from runtime.clickhouse_http import ClickHouseHttp


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    server = ClickHouseHttp(tmp_path / "data")
    server.start()
    client = clickhouse_connect.get_client(port=server.port, autogenerate_session_id=False)
    client.command("CREATE TABLE small (n UInt64, CONSTRAINT small CHECK n < 10) ENGINE = MergeTree ORDER BY n")
    yield client
    client.close()
    server.stop()


@pytest.mark.parametrize(
    ("row", "settings"),
    [
        pytest.param("100", {}, id="a constraint"),
        pytest.param("1", {"min_free_disk_bytes_to_perform_insert": 1 << 60}, id="no room on the disk"),
    ],
)
def test_an_insert_that_the_table_refuses_is_answered_with_the_error(
    client: Client, row: str, settings: dict[str, int]
) -> None:
    with pytest.raises(DatabaseError):
        client.raw_insert("small", ["n"], row.encode(), settings=settings, fmt="CSV")


def test_an_insert_of_nothing_into_a_table_that_is_not_there_is_answered_with_the_error(client: Client) -> None:
    with pytest.raises(DatabaseError, match="does not exist"):
        client.raw_insert("absent", ["n"], b"", fmt="CSV")
