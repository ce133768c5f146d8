"""What `afterword check` asks ClickHouse: whether it answers and is new enough, and what stands in its tables."""

import re
from collections.abc import Iterator
from typing import Final

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error

from runtime.dead_letters import counts
from runtime.finding import Finding, note, ok, wrong
from runtime.rebuilding import newer_rules
from runtime.words import counted, one_line
from schemas.failures import Unavailable
from schemas.rules import Rules
from sinks.clickhouse_errors import answers
from sinks.connection import Database
from sinks.migrate import pending

OLDEST: Final = (25, 8)
"""The oldest ClickHouse that Afterword is made for."""


def check_clickhouse(database: Database, rules: Rules) -> list[Finding]:
    """Look at the database and at what is stored; blocks."""
    try:
        client = database.client()
    except Unavailable as error:
        return [wrong("ClickHouse", one_line(str(error)))]
    except Error as error:
        return [wrong("ClickHouse", f"{database.where}: {one_line(str(error))}", "see what its user may do")]
    try:
        findings = list(_of_server(database, client))
        missing = pending(database)
        if missing:
            remedy = "start `afterword up` on it" if database.in_process else "run `afterword migrate`"
            return [*findings, wrong("tables", f"missing or old: {', '.join(missing)}", remedy)]
        findings.append(ok("tables", "as this version needs them"))
        with answers(database.where):
            return [*findings, *_of_rows(client, rules), *_of_letters(client)]
    except Unavailable as error:
        return [*findings, wrong("ClickHouse", one_line(str(error)))]
    finally:
        client.close()


def _of_server(database: Database, client: Client) -> Iterator[Finding]:
    version = client.server_version or "unknown version"
    found = f"{version} answers at {database.where}"
    if tuple(int(one) for one in re.findall(r"\d+", version)[:2]) < OLDEST:
        yield wrong("ClickHouse", found, f"Afterword needs {OLDEST[0]}.{OLDEST[1]} or newer")
    else:
        yield ok("ClickHouse", found)
    readonly = client.server_settings.get("readonly")
    if readonly is not None and readonly.value != "0":
        yield wrong("ClickHouse", "this user may only read", "give the workers one that may write")


def _of_rows(client: Client, rules: Rules) -> Iterator[Finding]:
    count, newest = newer_rules(client, rules)
    if count:
        found = f"revision {rules.revision}, but newer ones, up to {newest}, made {counted(count, 'row')}"
        yield wrong("rules", found, "name the newer file in AFTERWORD_RULES here too")


def _of_letters(client: Client) -> Iterator[Finding]:
    found = counts(client)
    if found.open:
        many = counted(sum(found.open.values()), "is open", "are open")
        yield note("dead letters", f"{many} ({found.by_reason()})", "see `afterword dead-letters list`")
    else:
        yield ok("dead letters", "none is open")
