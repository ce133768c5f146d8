"""What an erasure deletes in ClickHouse: mutations that rewrite the parts, so the content is gone when they return.

Each deletion first asks which conversations it would meet, by the sort key or an index: a mutation without effect
would still touch every part of the table.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from clickhouse_connect.driver.client import Client

from schemas.conversation import Version
from schemas.facts import Key
from schemas.store import Erasure

_One = TypeVar("_One")

_PORTION = 100
"""So many conversations in one mutation: their ids are bound values, of which a server takes 128 KiB each."""

_MAX_ERASURES = 255

# The place of a row's key among the bound ones; 0 when only assistant and id, but not both together, were met.
_PLACE = "indexOf(arrayZip({assistants:Array(String)}, {ids:Array(String)}), (toString(assistant), conversation_id))"
_MET = "assistant IN {assistants:Array(String)} AND conversation_id IN {ids:Array(String)} AND " + _PLACE + " > 0"
_CUT = "{cuts:Array(Int64)}[" + _PLACE + "]"

_FACTS = f"{_MET} AND type != 'conversation.erased' AND toUnixTimestamp64Milli(at) <= {_CUT}"
_ROWS = f"{_MET} AND version < {{versions:Array(UInt64)}}[{_PLACE}]"
_EARLY_LETTERS = f"{_MET} AND toUnixTimestamp64Milli(recorded_at) <= {_CUT}"

_ERASED = """
    SELECT assistant, conversation_id, toUnixTimestamp64Milli(max(at)), uniqExact(id, digest)
    FROM events WHERE type = 'conversation.erased' GROUP BY assistant, conversation_id
"""


def erase(client: Client, erasures: Sequence[Erasure]) -> None:
    """Delete facts at or before the cuts, all dead letters, and rows below the versions, of these conversations."""
    for some in _portions(erasures):
        bound = _bound(some)
        _delete(client, "events", _FACTS, bound)
        _delete(client, "dead_letters", _MET, bound)
        _delete(client, "conversations", _ROWS, bound)


def sweep(client: Client) -> int:
    """Erase again what stands at or before the cut of any conversation; gives the number of conversations it met.

    Dead letters that were recorded after the cut stay. Rows go that know of fewer erasures than there are.
    """
    erased = client.query(_ERASED).result_rows
    erasures = (
        Erasure((assistant, conversation_id), cut, min(count, _MAX_ERASURES) << Version.ERASURE_SHIFT)
        for assistant, conversation_id, cut, count in erased
    )
    met = set[Key]()
    for some in _portions(erasures):
        bound = _bound(some)
        met |= _delete(client, "events", _FACTS, bound)
        met |= _delete(client, "dead_letters", _EARLY_LETTERS, bound)
        met |= _delete(client, "conversations", _ROWS, bound)
    return len(met)


def delete_rows(client: Client, keys: Collection[Key]) -> None:
    """Delete every stored row of these conversations."""
    for some in _portions(sorted(set(keys))):
        _delete(client, "conversations", _MET, _bound_keys(some))


def _delete(client: Client, table: str, condition: str, bound: dict[str, Any]) -> set[Key]:
    met = client.query(f"SELECT DISTINCT assistant, conversation_id FROM {table} WHERE {condition}", parameters=bound)
    if met.result_rows:
        client.command(f"ALTER TABLE {table} DELETE WHERE {condition} SETTINGS mutations_sync = 2", parameters=bound)
    return {(assistant, conversation_id) for assistant, conversation_id in met.result_rows}


def _bound(erasures: list[Erasure]) -> dict[str, Any]:
    # One key erased twice in a batch: the later erasure says all that the earlier one says.
    latest = {one.key: one for one in sorted(erasures, key=lambda one: (one.cut, one.version))}
    return {
        **_bound_keys(list(latest)),
        "cuts": [one.cut for one in latest.values()],
        "versions": [one.version for one in latest.values()],
    }


def _bound_keys(keys: list[Key]) -> dict[str, Any]:
    return {"assistants": [assistant for assistant, _ in keys], "ids": [conversation_id for _, conversation_id in keys]}


def _portions(ones: Iterable[_One]) -> Iterator[list[_One]]:
    rest = iter(ones)
    while some := list(islice(rest, _PORTION)):
        yield some
