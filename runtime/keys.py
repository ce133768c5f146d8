"""`afterword keys`: API keys made, listed and revoked, in a data folder, up or not, or on a ClickHouse server."""

import json
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.table import Table
from rich.text import Text

from api.access.key_format import id_in, new_key
from api.access.principal import Scope
from runtime.folder import Folder, Taken
from runtime.place import place_of
from runtime.settings import Settings
from runtime.words import iso, visible
from schemas.api_keys import ApiKey
from schemas.events import ASSISTANT_PATTERN, MAX_NAME
from sinks.clickhouse_keys import ClickHouseKeys
from sinks.connection import Database
from sinks.migrate import migrate

STARTING_S: Final = 60.0
"""So long a key waits for an `afterword up` that is only starting."""

_PAUSE_S: Final = 0.2

SCOPES: Final = {
    Scope.READ: "see conversations, statistics and exports",
    Scope.EVENTS_WRITE: "send events",
    Scope.LABELS_WRITE: "label conversations",
    Scope.ERASE: "erase conversations",
}
"""What the rights are, in words."""


@contextmanager
def stored_keys(
    settings: Settings, *, data: Path | None, clickhouse: str | None, make: bool = False
) -> Iterator[ClickHouseKeys]:
    """Open the keys of the place that `data`, `clickhouse` and the settings name, as `place_of` finds it.

    A folder that nobody has is this process's meanwhile, and gets its tables; with `make` also one that is not there
    yet. Raises ValueError, Unavailable, and Taken when another process keeps the folder from being used.
    """
    with ExitStack() as stack:
        keys = ClickHouseKeys(_entered(stack, settings, data, clickhouse, make=make))
        stack.callback(keys.close)
        yield keys


def create(keys: ClickHouseKeys, scopes: Iterable[Scope], *, name: str, assistant: str | None) -> tuple[str, ApiKey]:
    """Make a key and store it: gives its text, which is nowhere else, and what is stored."""
    text, key = new_key(scopes, name=name, assistant=assistant, at=datetime.now(UTC))
    keys.create(key)
    return text, key


def revoke(keys: ClickHouseKeys, given: str) -> ApiKey:
    """Revoke a key by its id, or by itself. Raises ValueError for one that there is not, or that is revoked already."""
    key_id = id_in(given) or given
    found = {key.id: key for key in keys.read()}.get(key_id)
    if found is None:
        raise ValueError(f"there is no key {visible(key_id, 40)}: `afterword keys list` shows those that there are")
    if found.revoked_at is not None:
        raise ValueError(f"key {key_id} was revoked already, at {_iso(found.revoked_at)}")
    keys.revoke(key_id, datetime.now(UTC))
    return found


def scope_of(name: str) -> Scope:
    """Read a right; raises ValueError that lists the known ones with their meaning."""
    try:
        return Scope(name)
    except ValueError:
        known = "\n".join(f"  {scope:<13} {meaning}" for scope, meaning in SCOPES.items())
        raise ValueError(f"{name!r} is not a scope; known are\n{known}") from None


def check_names(name: str, assistant: str | None) -> None:
    """Raise ValueError for what is no name of a key or of an assistant."""
    if len(name) > MAX_NAME:
        raise ValueError(f"--name has {len(name):,} characters; it may have {MAX_NAME:,}")
    if assistant is not None and re.fullmatch(ASSISTANT_PATTERN.strip("^$"), assistant) is None:
        raise ValueError(f"{visible(assistant, 100)} is no name of an assistant: it must match {ASSISTANT_PATTERN}")


def remark(key: ApiKey) -> str:
    """Say what was made, beside the key itself."""
    where = f"of assistant {key.assistant}" if key.assistant else "of all assistants"
    named = f" ({visible(key.name, 100)})" if key.name else ""
    return (
        f"key {key.id}{named}: {', '.join(key.scopes)}, {where}. It is shown this once; "
        f"`afterword keys revoke {key.id}` ends it."
    )


def table(keys: Sequence[ApiKey]) -> Table:
    """Lay keys out as a table; nothing of their names reaches the terminal as a command."""
    drawn = Table(title="Keys", title_justify="left")
    for heading in ("id", "name", "scopes", "assistant", "created at", "revoked at"):
        drawn.add_column(heading, overflow="fold")
    for key in keys:
        cells = (
            key.id,
            visible(key.name, 100),
            ", ".join(key.scopes),
            key.assistant or "all",
            _iso(key.created_at),
            "" if key.revoked_at is None else _iso(key.revoked_at),
        )
        drawn.add_row(*map(Text, cells))
    return drawn


def json_lines(keys: Sequence[ApiKey]) -> Iterator[str]:
    """Write keys as JSON, one a line, in ASCII; what they are checked against is not among it."""
    for key in keys:
        yield json.dumps(
            {
                "id": key.id,
                "name": key.name,
                "scopes": list(key.scopes),
                "assistant": key.assistant,
                "created_at": _iso(key.created_at),
                "revoked_at": None if key.revoked_at is None else _iso(key.revoked_at),
            }
        )


def _entered(
    stack: ExitStack, settings: Settings, data: Path | None, clickhouse: str | None, *, make: bool
) -> Database:
    end = time.monotonic() + STARTING_S
    while True:
        try:
            return stack.enter_context(_database(settings, data, clickhouse, make=make))
        except Taken:
            if time.monotonic() >= end:
                raise
            time.sleep(_PAUSE_S)


@contextmanager
def _database(settings: Settings, data: Path | None, clickhouse: str | None, *, make: bool) -> Iterator[Database]:
    folder = Folder(settings.data)
    elsewhere = clickhouse is not None or (data is None and settings.clickhouse is not None)
    if elsewhere or folder.running() is not None or not (make or folder.clickhouse.exists()):
        yield place_of(settings, data=data, clickhouse=clickhouse).database
        return
    with folder:
        database = Database.parse(f"chdb://{folder.clickhouse}")
        migrate(database)
        yield database


def _iso(at: datetime) -> str:
    return iso(round(at.timestamp() * 1_000))
