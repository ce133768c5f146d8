"""docs/examples through `afterword up --exit-when-done`: golden rows, a summary; a second run changes nothing."""

import json
import shutil
from pathlib import Path

import pytest

from tests import oracle
from tests.e2e.children import ROOT, Child
from tests.e2e.cluster import ClickHouse

pytestmark = pytest.mark.embedded

SHOP = ROOT / "docs" / "examples" / "shop.jsonl"
GOLDEN = ROOT / "docs" / "examples" / "shop.rows.json"


async def up(data: Path, log: Path) -> str:
    """Load the examples; gives the summary."""
    arguments = ("up", "--data", str(data), "--port", "0", "--load", str(SHOP), "--exit-when-done")
    child = Child("afterword up", log, "runtime.cli", *arguments)
    try:
        assert await child.ended(60) == 0, child.words()
    finally:
        await child.stop()
    return child.printed()


async def as_json(data: Path, log: Path) -> list[dict[str, object]]:
    """The rows as they stand in the golden file, the blank ones excepted."""
    server = ClickHouse(data / "clickhouse", log)
    await server.start()
    try:
        found = await server.rows()
    finally:
        await server.stop()
    days = [(key, {**row, "opened_on": oracle.utc_day(row["opened_on"] * 86_400_000)}) for key, row in found.items()]
    return [oracle.as_json(row) for _, row in sorted(days)]


def golden() -> list[dict[str, object]]:
    return [row for row in json.loads(GOLDEN.read_text("utf-8")) if not row["is_deleted"]]


async def test_the_examples_give_their_golden_rows_and_again_nothing_else(tmp_path: Path) -> None:
    summary = await up(tmp_path / "data", tmp_path / "first.log")
    first = await as_json(tmp_path / "data", tmp_path / "clickhouse.log")
    assert first == golden()
    (line,) = [line for line in summary.splitlines() if " shop " in f" {line} "]
    assert str(len(first)) in line
    assert str(sum(int(str(row["messages"])) for row in first)) in line

    again = await up(tmp_path / "data", tmp_path / "second.log")
    assert await as_json(tmp_path / "data", tmp_path / "clickhouse.log") == first
    assert line in again.splitlines()
    shutil.rmtree(tmp_path / "data")
