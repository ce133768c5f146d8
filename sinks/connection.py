"""From a URL to clients of ClickHouse: a server over HTTP, or chDB in this process with its data in a folder."""

import fcntl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ProgrammingError

from schemas.failures import Unavailable
from sinks.clickhouse_errors import answers, first_line

FORMS = "chdb:///a/folder, clickhouse://user:password@host:8123/database or clickhouses://… for TLS"

SETTINGS: dict[str, int] = {
    "async_insert": 0,  # on by default in 26.x: an insert must be stored when it returns
    "max_partitions_per_insert_block": 0,  # no limit: one flush may hold events of many months
    "do_not_merge_across_partitions_select_final": 1,  # safe: the partition follows from the sort key
    "max_query_size": 1 << 24,
    "min_free_disk_bytes_to_perform_insert": 256 << 20,  # docs/decisions/0012: chDB cuts files short on a full disk
}

CONNECT_SECONDS = 5
ANSWER_SECONDS = 300
"""A mutation over a large table may take minutes."""


@dataclass(frozen=True, slots=True)
class Database:
    """One database that clients can be opened for; made from a URL by `parse`."""

    where: str
    """The address without user and password, for messages."""
    folder: Path | None = None
    host: str = ""
    port: int = 0
    tls: bool = False
    name: str = "default"
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> "Database":
        """Read a URL; raises ValueError that says what is wrong with it and never shows a password."""
        scheme, found, rest = url.partition("://")
        if not found:
            raise ValueError(f"the address of ClickHouse is not a URL: it must look like {FORMS}")
        if scheme == "chdb":
            if not rest.strip("/") or "?" in rest:
                raise ValueError(f"a chdb address names a folder, without '?': {FORMS}")
            folder = Path(rest).absolute()
            return cls(where=f"chdb://{folder}", folder=folder)
        if scheme not in {"clickhouse", "clickhouses"}:
            raise ValueError(f"{scheme}:// is not an address of ClickHouse: it must look like {FORMS}")
        tls = scheme == "clickhouses"
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or (8443 if tls else 8123)
        except ValueError as error:
            raise ValueError(
                f"the address of ClickHouse has a wrong host or port: it must look like {FORMS}"
            ) from error
        if not host or parts.query or parts.fragment or "/" in parts.path.strip("/"):
            raise ValueError(f"the address of ClickHouse must look like {FORMS}, with nothing behind the database")
        name = unquote(parts.path.strip("/")) or "default"
        return cls(
            where=f"{scheme}://{host}:{port}/{name}",
            host=host,
            port=port,
            tls=tls,
            name=name,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
        )

    @property
    def in_process(self) -> bool:
        """Whether this is chDB: one process per folder, no network between."""
        return self.folder is not None

    def arguments(self) -> dict[str, Any]:
        """Give the arguments that clickhouse-connect wants, for a client or its DB-API."""
        if self.folder is not None:
            return {"interface": "chdb", "path": str(self.folder)}
        return {
            "interface": "https" if self.tls else "http",
            "host": self.host,
            "port": self.port,
            "username": self.user or "default",
            "password": self.password,
            "database": self.name,
            "compress": "lz4",
            "connect_timeout": CONNECT_SECONDS,
            "send_receive_timeout": ANSWER_SECONDS,
            "autogenerate_session_id": False,  # a session admits one query at a time
        }

    def client(self) -> Client:
        """Open a new client; raises Unavailable that names the database and what to do."""
        try:
            with answers(self.where):
                return clickhouse_connect.get_client(**self.arguments(), settings=dict(SETTINGS))
        except ProgrammingError as error:
            if self.folder is None:
                raise
            raise Unavailable(_why_shut(self.folder, error)) from error

    def settle(self) -> None:
        """Make sure that the database exists, so that tables can be made in it; raises Unavailable."""
        if self.folder is not None:
            with answers(self.where):
                self.folder.mkdir(parents=True, exist_ok=True)
        elif self.name != "default":
            with answers(self.where):
                client = clickhouse_connect.get_client(**{**self.arguments(), "database": "default"})
                try:
                    client.command("CREATE DATABASE IF NOT EXISTS " + "`" + self.name.replace("`", "``") + "`")
                finally:
                    client.close()


class Connection:
    """One client of a database, opened when it is first needed: so a store may be made before its server is up."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        """The client; raises Unavailable when none can be opened."""
        if self._client is None:
            self._client = self.database.client()
        return self._client

    def close(self) -> None:
        """Close the client; the next use opens another."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


def _why_shut(folder: Path, error: Exception) -> str:
    # chDB writes the reason to the error output only: the lock on its status file tells whether somebody else is in.
    status = folder / "status"
    try:
        with status.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(file, fcntl.LOCK_UN)
    except BlockingIOError:
        holder = next((line for line in status.read_text().splitlines() if line.startswith("PID")), "PID unknown")
        return (
            f"the folder {folder} is open in another process ({holder}): chDB allows one process per folder. "
            "Stop that one, or ask it through its HTTP interface"
        )
    except OSError:
        pass
    return f"chDB cannot open the folder {folder}: {first_line(error)}"
