"""Brings the tables of a database to what this version of the code expects."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import clickhouse_connect.cc_sqlalchemy.alembic  # noqa: F401  (registers ClickHouse with Alembic)
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from clickhouse_connect import dbapi

from sinks.clickhouse_errors import answers, meaning
from sinks.connection import Database

_REVISIONS = Path(__file__).parent / "migrations"


def migrate(database: Database) -> list[str]:
    """Apply the revisions that are missing and give their names, oldest first; safe to call at every start.

    Statements are idempotent (IF NOT EXISTS), so two processes may do this at once. Raises Unavailable.
    """
    database.settle()
    with _connected(database) as connection:
        missing = _missing(connection)
        if missing:
            config = Config()
            config.set_main_option("script_location", str(_REVISIONS).replace("%", "%%"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        return missing


def pending(database: Database) -> list[str]:
    """Give the names of the revisions that are not applied yet, oldest first; raises Unavailable."""
    with _connected(database) as connection:
        return _missing(connection)


def _missing(connection: sa.Connection) -> list[str]:
    script = ScriptDirectory(str(_REVISIONS))
    # Two processes that migrate at once may both record a revision: the newest known counts.
    applied = set(MigrationContext.configure(connection).get_current_heads())
    missing = []
    for revision in script.walk_revisions():
        if revision.revision in applied:
            break
        missing.append(f"{revision.revision} {Path(revision.path).stem.partition('_')[2]}")
    return missing[::-1]


@contextmanager
def _connected(database: Database) -> Iterator[sa.Connection]:
    engine = sa.create_engine(
        "clickhousedb://", creator=lambda: dbapi.connect(**database.arguments()), poolclass=sa.pool.NullPool
    )
    try:
        with answers(database.where), engine.connect() as connection:
            yield connection
    except sa.exc.DBAPIError as error:
        if not isinstance(error.orig, Exception):
            raise
        meant = meaning(error.orig, database.where, inserting=False)
        raise meant from error
