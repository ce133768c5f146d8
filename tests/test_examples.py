"""The hand-written conversations of docs/examples: valid, as various as they claim, and with the rows they claim."""

import json
import random
import re
import tomllib
from pathlib import Path
from typing import Any

from schemas.events import EVENT, EVENT_MODELS, event_type
from tests.oracle import as_json, milliseconds, rows

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"
CLOCK = "2026-11-24T00:00:00Z"


def lines() -> list[bytes]:
    return (EXAMPLES / "shop.jsonl").read_bytes().splitlines()


def golden() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((EXAMPLES / "shop.rows.json").read_text("utf-8"))
    return found


def oracle_rows(events: list[bytes], clock: str) -> list[dict[str, object]]:
    rules = tomllib.loads((ROOT / "schemas" / "default_rules.toml").read_text("utf-8"))
    return [as_json(row) for _, row in sorted(rows(events, rules, milliseconds(clock)).items())]


def test_the_oracle_gives_the_golden_rows() -> None:
    assert oracle_rows(lines(), CLOCK) == golden()


def test_the_golden_rows_stand_whatever_the_order_and_at_every_later_clock() -> None:
    shuffled = lines() * 2
    random.Random(20).shuffle(shuffled)
    assert oracle_rows(shuffled, "2031-01-01T00:00:00Z") == golden()


def test_every_line_is_a_valid_event_and_every_type_occurs() -> None:
    types = {EVENT.validate_json(line).type for line in lines()}
    assert types == {event_type(model) for model in EVENT_MODELS}


def test_every_fallback_rule_and_every_reason_tags_something() -> None:
    causes = [cause for row in golden() for cause in row["fallback_causes"]]
    assert {rule for _, rule, _, _ in causes} == {
        "reported",
        "flagged",
        "intent",
        "low_confidence",
        "no_sources",
        "pattern",
    }
    assert {reason for _, _, reason, _ in causes} == {
        "no_knowledge",
        "low_confidence",
        "not_understood",
        "error",
        "other",
    }


def test_the_file_holds_duplicates_disorder_and_two_contents_of_one_id() -> None:
    events = [json.loads(line) for line in lines()]
    times = [milliseconds(event["at"]) for event in events]
    assert times != sorted(times)
    assert len(set(lines())) < len(lines())
    assert len({event["id"] for event in events}) < len(set(lines()))


def test_the_readme_says_of_every_conversation_what_it_shows() -> None:
    described = re.findall(r"^\| (c-\d+) \| \S.* \|$", (EXAMPLES / "README.md").read_text("utf-8"), re.MULTILINE)
    assert described == sorted({json.loads(line)["conversation_id"] for line in lines()})
