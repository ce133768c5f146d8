"""The bench: every contender runs on a small input and counts what is in it. How fast is not asked here."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.contender import Measurement
from bench.producer import bulk_of
from bench.report import Run, compared, contended, table, warnings
from bench.totals import Differs, Stories, Totals, number_of
from runtime.simulator import Bulk, is_label
from tests.oracle import Rules, conversation_row
from tests.processors.folding import PLAIN_RULES

ROOT = Path(__file__).parents[1]
NAMES = {"chdb", "memory", "faust", "limit"}


def run_of(seconds: float, others_share: float = 0.0) -> Run:
    measured = Measurement(
        events=1_000_000,
        seconds=seconds,
        cpu_whole=9.0,
        cpu_after_start=8.0,
        cpu_main_thread=7.0,
        peak_rss_mib=500.0,
        counted={"events": 1_000_000},
    )
    return Run(measured=measured, broker_cpu=2.0, others_share=others_share)


@pytest.mark.timeout(600)
def test_every_contender_counts_what_the_input_holds(kafka_jars: Path, tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AFTERWORD_")}
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--events", "20000", "--json", str(found)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=560,
    )
    assert done.returncode == 0, done.stderr

    report = json.loads(found.read_text())
    assert set(report["contenders"]) == NAMES
    whole, part = report["input"]["whole"], report["input"]["part"]
    assert whole["events"] >= 20_000
    assert whole["fallbacks"] > 0
    counted = {name: its["runs"][0]["measured"]["counted"] for name, its in report["contenders"].items()}
    assert counted["chdb"] == counted["memory"] == whole
    assert counted["faust"] == {name: part[name] for name in ("events", "conversations", "messages", "fallbacks")}
    assert counted["limit"] == {"events": whole["events"]}
    assert report["contenders"]["memory"]["runs"][0]["measured"]["notes"]["rows"] >= whole["conversations"]
    for its in report["contenders"].values():
        assert its["title"] in done.stdout


def test_totals_known_from_the_stories_are_those_of_every_event_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.simulator.bulk._STORIES", 100)  # told three times, some of them four
    now = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
    bulk = Bulk(now=now, conversations=350, live_at_once=30, fallback=0.2, labels=0.1)
    payloads: dict[bytes, set[bytes]] = {}
    for name, payload in bulk:
        payloads.setdefault(name, set()).add(payload)
    rules = Rules.of(PLAIN_RULES, "shop")
    rows = {name: conversation_row("shop", name.decode(), told, rules, None, 1) for name, told in payloads.items()}

    def summed(column: str, below: int) -> int:
        return sum(row[column] for name, row in rows.items() if row and number_of(name) < below)  # type: ignore[misc]

    stories = Stories(bulk)
    for below, labels in ((350, True), (70, False)):
        assert stories.totals(below, labels=labels) == Totals(
            events=sum(
                labels or not is_label(one)
                for name, told in payloads.items()
                if number_of(name) < below
                for one in told
            ),
            conversations=below,
            messages=summed("messages", below),
            fallbacks=summed("fallbacks", below),
            queries=summed("queries", below),
        )


def test_a_wrong_total_is_refused_with_both_figures() -> None:
    known = Totals(events=10, conversations=2, messages=8, fallbacks=1)
    known.check({"events": 10, "fallbacks": 1})
    with pytest.raises(Differs, match="messages: counted 7, the input holds 8"):
        known.check({"events": 10, "messages": 7})
    with pytest.raises(Differs, match="nothing was counted"):
        known.check({})


@pytest.mark.parametrize("events", [1, 1_000, 60_000])
def test_an_input_has_at_least_the_events_asked_for(events: int) -> None:
    bulk = bulk_of(events)
    assert events <= len(bulk) < events * 1.05 + 40
    assert len(replace(bulk)) == len(bulk)


def test_the_report_gives_medians_and_how_many_times_as_fast_afterword_is() -> None:
    contenders = compared(
        {
            "chdb": contended("to chDB", [run_of(10), run_of(8), run_of(30)], profiled=False),
            "memory": contended("in memory", [run_of(5)], profiled=True),
            "faust": contended("Faust", [run_of(400)], profiled=False),
        }
    )
    assert contenders["chdb"].figures.events_per_second == 100_000
    assert contenders["chdb"].figures.cpu_after_start == 8
    assert contenders["faust"].afterword_to_chdb_is_faster == 40
    assert contenders["faust"].afterword_in_memory_is_faster is None, "a profiled run is compared with nothing"
    lines = table(contenders)
    assert len({len(line) for line in lines}) == 1
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["to chDB", "in memory (profiled)", "Faust"]


def test_the_report_warns_where_others_used_the_machine() -> None:
    contenders = {
        "chdb": contended("to chDB", [run_of(10, others_share=0.3)], profiled=False),
        "memory": contended("in memory", [run_of(10)], profiled=False),
    }
    assert warnings(contenders, 0.2, 2) == ["to chDB: other programs took 30% of the machine meanwhile"]
    assert warnings({}, 1.5, 2) == ["the load average was 1.50 on 2 cores before anything was measured"]
