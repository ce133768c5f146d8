"""Rows as they are compared end to end: all that are not deleted, in one form, whole or as one digest."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from processors.conversation import FOLD_REVISION
from tests import oracle
from tests.processors.folding import PLAIN_RULES, expected, plain

Rows = dict[tuple[str, str], dict[str, Any]]
"""By (assistant, conversation id)."""


def of_the_table(found: Iterable[dict[str, Any]]) -> Rows:
    """Bring rows of the table to the form of the oracle. A conversation that has two fails."""
    rows: Rows = {}
    for row in found:
        key = row["assistant"], row["conversation_id"]
        assert key not in rows, f"{key} has two live rows: {rows[key]} and {row}"
        rows[key] = as_compared(row)
    return rows


def as_compared(row: dict[str, Any]) -> dict[str, Any]:
    """One row of the table in the form of the oracle."""
    return {**plain(row), "is_deleted": int(row["is_deleted"])}


def of_the_oracle(lines: Iterable[bytes], clock: int, rules: dict[str, Any] = PLAIN_RULES) -> Rows:
    """The rows that these events give at a clock (epoch ms); blank ones left out, as the table's are.

    As `oracle.rows`, but reading the rules once per assistant and not once per conversation.
    """
    conversations: dict[tuple[str, str], set[bytes]] = {}
    for line in lines:
        event = json.loads(line)
        conversations.setdefault((event["assistant"], event["conversation_id"]), set()).add(line)
    of_assistant = {assistant: oracle.Rules.of(rules, assistant) for assistant, _ in conversations}
    rows: Rows = {}
    for key, payloads in conversations.items():
        given = oracle.conversation_row(*key, payloads, of_assistant[key[0]], clock, FOLD_REVISION)
        if given is not None and (row := expected(given)) is not None:
            rows[key] = row
    return rows


def digest(rows: Rows) -> str:
    """One hash of all columns of all rows, those of processing excepted."""
    told = [json.dumps(row, sort_keys=True, default=list) for _, row in sorted(rows.items())]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


def differences(found: Rows, wanted: Rows, most: int = 5) -> list[str]:
    """What is wrong with rows, in words, the first few of it; empty when they are equal."""
    told = [f"missing: {key}" for key in sorted(wanted.keys() - found.keys())]
    told += [f"not wanted: {key}" for key in sorted(found.keys() - wanted.keys())]
    for key in sorted(wanted.keys() & found.keys()):
        row, other = found[key], wanted[key]
        if wrong := wrong_cells(row, other):
            told.append(f"{key}, (is, should be): {wrong}")
    return [*told[:most], f"and {len(told) - most} more"] if len(told) > most else told


def wrong_cells(row: dict[str, Any], wanted: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The cells in which two rows differ, as they are and as they should be."""
    names = sorted(row.keys() | wanted.keys())
    return {name: (row.get(name), wanted.get(name)) for name in names if row.get(name) != wanted.get(name)}
