"""The rows of the table `conversations` as they stand, whole, for comparisons between stores and with an oracle."""

from typing import Any

from clickhouse_connect.driver.client import Client

from schemas.conversation import COLUMNS


def live_rows(client: Client) -> list[dict[str, Any]]:
    """Give every row that is not deleted, by column name, sorted by (assistant, opened_on, conversation_id).

    Times are epoch milliseconds, `opened_on` days since 1970-01-01, `is_deleted` False, `attributes` a dictionary,
    `fallback_causes` a list of (event_id, rule, reason, confidence). `MemoryStore.rows` gives the same.
    """
    columns = ", ".join(f"{_plain(name, kind)} AS `{name}_`" for name, kind in COLUMNS.items())
    found = client.query_arrow(
        f"SELECT {columns} FROM conversations FINAL ORDER BY assistant, opened_on, conversation_id"
    )
    rows = []
    for values in zip(*(column.to_pylist() for column in found.columns), strict=True):
        row = dict(zip(COLUMNS, values, strict=True))
        row["is_deleted"] = bool(row["is_deleted"])
        row["attributes"] = dict(row["attributes"])
        row["fallback_causes"] = [tuple(cause.values()) for cause in row["fallback_causes"]]
        rows.append(row)
    return rows


def _plain(name: str, kind: str) -> str:
    if "DateTime64" in kind:
        return f"toUnixTimestamp64Milli({name})"
    if kind == "Date":
        return f"toUInt16({name})"
    return name
