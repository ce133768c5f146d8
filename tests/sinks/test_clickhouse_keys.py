"""API keys in ClickHouse, by either way to it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from api.access.principal import Scope
from runtime.keys import create, revoke
from schemas.api_keys import ApiKey
from schemas.failures import Unavailable
from sinks.clickhouse_keys import ClickHouseKeys
from sinks.connection import Database

AT = datetime(2026, 11, 2, 9, 12, 3, 456_000, tzinfo=UTC)
LATER = datetime(2026, 11, 3, tzinfo=UTC)
HOSTILE = 'it\'s \\ "{x}" \x00 \n größe 🗝'
ONE = ApiKey("one", bytes(range(32)), HOSTILE, ("erase", "read"), "shop", AT)
TWO = ApiKey("two", b"\x00" * 32, "", (), None, LATER)


@pytest.fixture
def keys(database: Database) -> Iterator[ClickHouseKeys]:
    client = database.client()
    client.command("TRUNCATE TABLE api_keys")
    client.close()
    keys = ClickHouseKeys(database)
    yield keys
    keys.close()


def test_keys_are_read_as_they_were_made_the_oldest_first(keys: ClickHouseKeys) -> None:
    assert keys.read() == []
    keys.create(TWO)
    keys.create(ONE)
    assert keys.read() == [ONE, TWO]


def test_a_revocation_counts_once_and_for_ever(keys: ClickHouseKeys, database: Database) -> None:
    keys.create(ONE)
    keys.create(TWO)
    keys.revoke("one", LATER)
    keys.revoke("one", AT)
    keys.revoke("nobody", AT)
    assert keys.read() == [replace(ONE, revoked_at=LATER), TWO]
    keys.create(ONE)
    client = database.client()
    client.command("OPTIMIZE TABLE api_keys FINAL")
    client.close()
    assert keys.read() == [replace(ONE, revoked_at=LATER), TWO]


def test_a_key_is_revoked_by_its_id_or_by_itself_and_once_only(keys: ClickHouseKeys) -> None:
    text, key = create(keys, [Scope.READ], name="dashboard", assistant=None)
    other, other_key = create(keys, [Scope.ERASE], name="", assistant="shop")
    assert revoke(keys, key.id).id == key.id
    assert revoke(keys, other).id == other_key.id
    for given in (key.id, text):
        with pytest.raises(ValueError, match=rf"^key {key.id} was revoked already, at 20"):
            revoke(keys, given)
    with pytest.raises(ValueError, match=r"^there is no key nobody\N{SYMBOL FOR ESCAPE}: `afterword keys list` shows"):
        revoke(keys, "nobody\x1b")


def test_a_server_that_does_not_answer_is_unavailable() -> None:
    keys = ClickHouseKeys(Database.parse("clickhouse://127.0.0.1:1"))
    with pytest.raises(Unavailable, match="is it running"):
        keys.read()
