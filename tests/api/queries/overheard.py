"""Queries that a test listens to."""

from collections.abc import Callable, Mapping
from typing import Any

from sinks.clickhouse_queries import ClickHouseQueries
from sinks.connection import Database


class Overheard(ClickHouseQueries):
    """Queries that are noted, but for how the months stand, and may have something happen before they are asked.

    `before`: what happens, by what the query says.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.asked: list[str] = []
        self.before: dict[str, Callable[[], None]] = {}

    async def rows(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        if "system.parts" not in sql:
            self.asked.append(sql)
        for said, happen in self.before.items():
            if said in sql:
                happen()
        return await super().rows(sql, parameters)
