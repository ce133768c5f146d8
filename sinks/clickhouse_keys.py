"""API keys in ClickHouse: made, revoked, and read whole, for there are few."""

from datetime import UTC, datetime
from typing import Any, Final

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from schemas.api_keys import ApiKey
from sinks.clickhouse_errors import answers
from sinks.connection import SETTINGS, Database

ANSWER_SECONDS: Final = 10

_COLUMNS: Final = "id, hex(digest), name, scopes, assistant, created_at, revoked_at"

_KEYS: Final = f"SELECT {_COLUMNS} FROM api_keys FINAL ORDER BY api_keys.created_at, id"

_CREATE: Final = """
    INSERT INTO api_keys (id, digest, name, scopes, assistant, created_at)
    SELECT {id:String}, unhex({digest:String}), {name:String}, {scopes:Array(String)}, {assistant:String},
        fromUnixTimestamp64Milli({created_at:Int64}, 'UTC')
"""

_REVOKE: Final = """
    INSERT INTO api_keys (id, digest, name, scopes, assistant, created_at, revoked_at)
    SELECT id, digest, name, scopes, assistant, created_at, fromUnixTimestamp64Milli({at:Int64}, 'UTC')
    FROM api_keys FINAL WHERE id = {id:String} AND revoked_at IS NULL
"""


class ClickHouseKeys:
    """The keys of a database, on one client of its own, which it opens at the first call. For one thread at a time.

    Every method raises Unavailable when ClickHouse does not answer or has no such table yet.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._where = database.where
        self._opened: Client | None = None

    def close(self) -> None:
        """Close the client."""
        client, self._opened = self._opened, None
        if client is not None:
            client.close()

    def read(self) -> list[ApiKey]:
        """Give every key that was ever made, revoked ones too, the oldest first."""
        with answers(self._where):
            return [_key(row) for row in self._client.query(_KEYS).result_rows]

    def create(self, key: ApiKey) -> None:
        """Store a new key; its id must be new. It can be read when this returns."""
        bound = {
            "id": key.id,
            "digest": key.digest.hex(),
            "name": key.name,
            "scopes": list(key.scopes),
            "assistant": key.assistant or "",
            "created_at": _milliseconds(key.created_at),
        }
        with answers(self._where):
            self._client.command(_CREATE, parameters=bound)

    def revoke(self, key_id: str, at: datetime) -> None:
        """Revoke a key; one that is revoked already stays as it is, and one that there is not changes nothing."""
        with answers(self._where):
            self._client.command(_REVOKE, parameters={"id": key_id, "at": _milliseconds(at)})

    @property
    def _client(self) -> Client:
        if self._opened is None:
            self._opened = _open(self._database)
        return self._opened


def _open(database: Database) -> Client:
    """Open a client that is not patient: requests wait for what it reads, and a process that stops does too."""
    if database.in_process:
        return database.client()
    with answers(database.where):
        arguments = database.arguments() | {"send_receive_timeout": ANSWER_SECONDS}
        return clickhouse_connect.get_client(**arguments, settings=dict(SETTINGS))


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1_000)


def _key(row: Any) -> ApiKey:
    key_id, digest, name, scopes, assistant, created_at, revoked_at = row
    return ApiKey(
        id=key_id,
        digest=bytes.fromhex(digest),
        name=name,
        scopes=tuple(scopes),
        assistant=assistant or None,
        created_at=_utc(created_at),
        revoked_at=None if revoked_at is None else _utc(revoked_at),
    )


def _utc(at: datetime) -> datetime:
    """Clients give a UTC column without its zone."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
