"""The tables that migrations make."""

import re
from collections.abc import Callable, Iterator
from dataclasses import fields, replace

import pytest

from schemas.conversation import COLUMNS
from schemas.dead_letters import DeadLetter
from schemas.facts import FactColumns
from schemas.failures import Unavailable
from sinks.connection import Database
from sinks.migrate import migrate, pending

ALL = [
    "0001 events",
    "0002 conversations",
    "0003 dead_letters",
    "0004 indices",
    "0005 api_keys",
    "0006 review",
    "0007 frontiers",
]


@pytest.fixture
def fresh(http: Database) -> Iterator[Database]:
    """A database that does not exist yet, on the server."""
    fresh = replace(http, name="fresh `one`")
    yield fresh
    client = http.client()
    client.command("DROP DATABASE IF EXISTS `fresh \\`one\\``")
    client.close()


def columns(database: Database, table: str) -> dict[str, str]:
    client = database.client()
    described = client.query(f"DESCRIBE TABLE {table}").result_rows
    client.close()
    return {name: re.sub(r"\s*\n\s*", " ", kind).replace("( ", "(") for name, kind, *_ in described}


def test_the_columns_of_conversations_are_those_of_the_registry(database: Database) -> None:
    assert list(columns(database, "conversations").items()) == list(COLUMNS.items())


def test_facts_and_dead_letters_have_a_column_for_every_field(database: Database) -> None:
    assert list(columns(database, "events")) == [one.name for one in fields(FactColumns)]
    assert list(columns(database, "dead_letters"))[:-1] == [one.name for one in fields(DeadLetter)]


def test_a_migrated_database_has_nothing_pending_and_migrating_again_does_nothing(database: Database) -> None:
    assert pending(database) == []
    assert migrate(database) == []


def test_a_server_without_the_database_gets_it_with_all_tables(fresh: Database) -> None:
    assert migrate(fresh) == ALL
    assert pending(fresh) == []
    assert list(columns(fresh, "conversations").items()) == list(COLUMNS.items())


def test_a_revision_recorded_twice_by_two_processes_at_once_is_applied(fresh: Database) -> None:
    migrate(fresh)
    client = fresh.client()
    client.command("INSERT INTO alembic_version VALUES ('0003')")
    client.close()
    assert pending(fresh) == []
    assert migrate(fresh) == []


def test_only_what_is_missing_is_applied(fresh: Database) -> None:
    migrate(fresh)
    client = fresh.client()
    client.command("TRUNCATE TABLE alembic_version")
    client.command("INSERT INTO alembic_version VALUES ('0002')")
    client.command("DROP TABLE dead_letters SYNC")
    assert pending(fresh) == ALL[2:]
    assert migrate(fresh) == ALL[2:]
    assert client.command("EXISTS TABLE dead_letters") == 1
    client.close()


@pytest.mark.parametrize("call", [migrate, pending])
def test_a_server_that_does_not_answer_is_unavailable(call: Callable[[Database], list[str]]) -> None:
    for url in ("clickhouse://127.0.0.1:1", "clickhouse://127.0.0.1:1/other"):
        with pytest.raises(Unavailable, match="is it running"):
            call(Database.parse(url))


def test_messages_are_found_by_words_in_any_case(database: Database) -> None:
    client = database.client()
    client.command("INSERT INTO events (id, at, text) VALUES ('a', now(), 'Grüße aus KÖLN'), ('b', now(), 'nothing')")
    found = client.query("SELECT id FROM events WHERE hasToken(lowerUTF8(text), 'köln')").result_rows
    client.close()
    assert found == [("a",)]
