"""`afterword check --rows` and `afterword rebuild`: what they find in a folder, and how it is mended."""

from pathlib import Path

import pytest

from tests.builders import AT, DAY
from tests.runtime.commands import afterword, fill
from tests.sinks.building import facts, row, rows

RULES = "revision = 2\n[default]\nidle_gap_minutes = 30\n"
GAP = "SELECT conversation_id, dateDiff('minute', last_activity_at, closes_at) FROM conversations FINAL ORDER BY 1"


@pytest.fixture
def data(tmp_path: Path) -> str:
    """A folder with the facts of twelve conversations, and a row without facts."""
    fill(
        tmp_path / "data",
        facts(*({"conversation_id": f"c-{number:02}\x1b", "at": AT - DAY} for number in range(12))),
        rows(row(conversation_id="lost", started_at=AT - DAY)),
    )
    return str(tmp_path / "data")


def findings(told: str) -> list[str]:
    return [line for line in told.splitlines() if "  rows: " in line]


def test_what_is_wrong_is_found_named_and_mended(data: str) -> None:
    before = afterword("check", "--data", data, "--rows")
    assert before.status == 1
    summary, missing, orphaned = findings(before.out)
    assert summary == "✗ wrong  rows: 12 conversations compared: `afterword rebuild --drifted` mends it"
    names = ", ".join(f"shop/c-{number:02}␛" for number in range(10))
    assert missing == (f"✗ wrong  rows: missing: 12 conversations (no row, although there are facts): {names}, …")
    assert orphaned == "✗ wrong  rows: orphaned: 1 conversation (a row, but no fact): shop/lost"

    mended = afterword("rebuild", "--data", data, "--drifted")
    assert (mended.status, mended.err) == (0, "")
    assert mended.out.splitlines()[0] == "12 conversations folded again under rules revision 1, fold revision 1"
    assert mended.out.splitlines()[-1] == "12 rows written, 1 row without facts deleted"

    after = afterword("check", "--data", data, "--rows")
    assert (after.status, after.err) == (0, "")
    assert findings(after.out) == ["✓ ok     rows: 12 conversations compared, every row says what its facts say"]
    again = afterword("rebuild", "--data", data, "--drifted")
    assert again.out.splitlines()[1:] == ["every row said what its facts say", "0 rows written"]
    everything = afterword("rebuild", "--data", data)
    assert everything.out.splitlines()[1:] == ["every row said what its facts say", "12 rows written"]


def test_newer_rules_reach_every_row_and_older_ones_cannot_take_it_back(data: str, tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(RULES)
    newer = {"AFTERWORD_RULES": str(file)}
    assert afterword("rebuild", "--data", data).status == 0
    old = afterword("check", "--data", data, "--rows", settings=newer)
    assert old.status == 0
    assert [line.partition(" (")[0] for line in findings(old.out)] == [
        "• note   rows: 12 conversations compared: `afterword rebuild --drifted` mends it",
        "• note   rows: older: 12 conversations",
    ]
    assert afterword("rebuild", "--data", data, "--drifted", settings=newer).status == 0
    told = afterword("sql", "--data", data, "--format", "TSV", GAP)
    assert [line.split("\t")[1] for line in told.out.splitlines()] == ["30"] * 12

    refused = afterword("rebuild", "--data", data)
    assert refused.status == 1
    assert refused.err == (
        "newer rules, up to revision 2, made 12 rows; these are revision 1: "
        "name the newer file in AFTERWORD_RULES, or raise the revision in this one\n"
    )
    check = afterword("check", "--data", data)
    assert check.status == 1
    assert "✗ wrong  rules: revision 1, but newer ones, up to 2, made 12 rows" in check.out
