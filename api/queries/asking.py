"""What `api` needs of ClickHouse: the Protocol that `runtime` fulfils with a pool of clients."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol


class Queries(Protocol):
    """Asks in SQL with bound parameters (`{name:Type}`), within a limit of time and memory for each question.

    Times come back as aware UTC datetimes. Every method raises Unavailable when ClickHouse does not answer and TooMuch
    when the question hit its limit (`schemas.failures`).
    """

    async def rows(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        """Give the whole answer, a tuple a row."""

    async def records(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        """Give the whole answer, a dictionary by column name a row."""

    def stream(self, sql: str, parameters: Mapping[str, object] | None, output: str) -> AsyncIterator[bytes]:
        """Give the answer in one of ClickHouse's formats (`CSV`, `JSONEachRow`, `Parquet`), as it comes.

        Who takes the first piece before answering can still make an answer of its own of an error. Closing the
        iterator ends the query.
        """

    async def write(self, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        """Do a small INSERT, such as a lease; returns when it can be read."""
