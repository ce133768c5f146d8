"""The bench: every contender runs on a small input and counts what is in it. How fast is not asked here."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from bench import contenders as table_of_contenders
from bench import guests
from bench.contender import Measurement
from bench.contenders import CONTENDERS, KEEPS_MOST, CannotRun, Takes, chosen
from bench.plot import svg
from bench.producer import LIVE_AT_ONCE, Produced, bulk_of, fewest_events
from bench.report import Contended, Report, Run, compared, contended, warnings
from bench.stories import Stories, number_of
from bench.table import lines, markdown, ratio, significant
from bench.totals import Differs, Totals
from runtime.simulator import Bulk, is_label
from tests.oracle import Rules, conversation_row
from tests.processors.folding import PLAIN_RULES

ROOT = Path(__file__).parents[1]
OURS = ("chdb", "memory", "http", "faust", "limit")
GUESTS = ("quix", "bytewax")
COUNTED = ("events", "conversations", "messages", "fallbacks")


def run_of(
    seconds: float,
    others_share: float = 0.0,
    *,
    cpu_server: float | None = None,
    seconds_second_half: float | None = None,
    cpu_second_half: float | None = None,
) -> Run:
    measured = Measurement(
        events=1_000_000,
        seconds=seconds,
        cpu_whole=9.0,
        cpu_after_start=8.0,
        cpu_main_thread=7.0,
        peak_rss_mib=512.0,
        counted={"events": 1_000_000},
        cpu_server=cpu_server,
        seconds_second_half=seconds_second_half,
        cpu_second_half=cpu_second_half,
    )
    return Run(measured=measured, broker_cpu=2.0, others_share=others_share)


def report_of(contenders: dict[str, Contended], *said: str) -> Report:
    whole = Totals(events=1_000_000, conversations=87_000)
    return Report(
        machine={
            "processor": "a processor, 2 cores to use",
            "memory": "24 GiB",
            "python": "CPython 3.11",
            "kafka": "Apache Kafka 4.4",
            "packages": "aiokafka 0.14",
            "guests": "bytewax 0.21",
        },
        load_at_start=0.1,
        load_at_end=1.9,
        warnings=list(said),
        input=Produced(whole=whole, unlabelled=whole, part=whole, live_at_once=34_800, bytes=1, seconds=1.0),
        contenders=compared(contenders),
    )


def benched(names: tuple[str, ...], found: Path) -> tuple[dict, str]:
    """Run the bench on a small input; gives its report and what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AFTERWORD_")}
    only = [word for name in names for word in ("--only", name)]
    written = ["--json", str(found / "a.json"), "--markdown", str(found / "a.md"), "--svg", str(found / "a.svg")]
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--events", "20000", "--rounds", "1", *only, *written],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=560,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((found / "a.json").read_text())
    assert list(report["contenders"]) == [name for name in CONTENDERS if name in names]
    for its in report["contenders"].values():
        for shown in (done.stdout, (found / "a.md").read_text(), (found / "a.svg").read_text()):
            assert its["title"] in shown
    return report, done.stdout


def counted_in(report: dict, name: str) -> dict[str, int]:
    return report["contenders"][name]["runs"][0]["measured"]["counted"]


@pytest.mark.timeout(600)
def test_every_contender_counts_what_the_input_holds(kafka_jars: Path, tmp_path: Path) -> None:
    report, _ = benched(OURS, tmp_path)
    whole, part = report["input"]["whole"], report["input"]["part"]
    assert whole["events"] >= 20_000
    assert whole["fallbacks"] > 0
    assert counted_in(report, "chdb") == counted_in(report, "memory") == counted_in(report, "http") == whole
    assert counted_in(report, "faust") == {name: part[name] for name in COUNTED}
    assert counted_in(report, "limit") == {"events": whole["events"]}
    assert report["contenders"]["memory"]["runs"][0]["measured"]["notes"]["rows"] >= whole["conversations"]
    assert report["contenders"]["http"]["figures"]["cpu_server"] > 0
    assert report["contenders"]["chdb"]["figures"]["cpu_server"] is None


@pytest.mark.timeout(600)
@pytest.mark.skipif(not guests.PYTHON.exists(), reason="no .venv-bench: `make .venv-bench/installed` makes it")
def test_contenders_of_other_makers_store_what_the_input_holds(kafka_jars: Path, tmp_path: Path) -> None:
    names = tuple(name for name in GUESTS if not CONTENDERS[name].why_not())
    report, _ = benched(names, tmp_path)
    for name in names:
        held = report["input"][CONTENDERS[name].takes]
        assert counted_in(report, name) == {column: held[column] for column in COUNTED}


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


def test_a_number_of_live_conversations_can_be_asked_for() -> None:
    assert bulk_of(60_000, 4_000).live_at_once == 4_000
    assert bulk_of(60_000).live_at_once < LIVE_AT_ONCE, "a small input comes and goes as a large one does"
    assert bulk_of(fewest_events(4_000), 4_000).conversations >= 4_000


def test_more_live_conversations_than_the_input_has_are_refused() -> None:
    command = [sys.executable, "-m", "bench", "--events", "10000", "--live", "500_000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert f"--live 500,000 needs --events {fewest_events(500_000):,} or more" in done.stderr


def test_the_engines_of_the_jvm_run_only_when_asked_for() -> None:
    jvm = {"kafka-streams", "kafka-streams-eos", "flink-heap", "flink-rocksdb"}
    assert not jvm & set(chosen(None, everything=False, events=1)[0])
    assert jvm <= set(chosen(None, everything=True, events=1)[0])
    assert chosen(["limit", "flink-heap"], everything=False, events=1) == (["flink-heap", "limit"], [])


def test_what_keeps_all_events_is_left_out_of_large_inputs_with_words() -> None:
    names, left_out = chosen(None, everything=False, events=KEEPS_MOST + 1)
    assert "memory" not in names
    assert [said for said in left_out if said.startswith("Afterword, in-memory sink: left out, it keeps all")]
    assert chosen(["memory"], everything=False, events=KEEPS_MOST + 1) == (["memory"], [])


def test_contenders_without_their_environment_are_left_out_unless_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(table_of_contenders.guests, "PYTHON", tmp_path / "python")
    names, left_out = chosen(None, everything=False, events=1)
    assert not set(GUESTS) & set(names)
    assert len(left_out) == 2
    with pytest.raises(CannotRun, match=r"Bytewax, recovery on: there is no .venv-bench, which `make bench` makes"):
        chosen(["bytewax"], everything=False, events=1)


def test_each_contender_takes_a_part_of_the_input_that_is_produced() -> None:
    held = report_of({"limit": contended("limit", [run_of(1)], profiled=False)}).input
    for one in CONTENDERS.values():
        assert one.takes.of(held) is getattr(held, one.takes)
    assert {one.takes for one in CONTENDERS.values()} == set(Takes)


def test_the_report_gives_medians_and_how_each_stands_to_afterword() -> None:
    contenders = compared(
        {
            "chdb": contended("to chDB", [run_of(10), run_of(8), run_of(30)], profiled=False),
            "memory": contended("in memory", [run_of(5)], profiled=True),
            "faust": contended("Faust", [run_of(400)], profiled=False),
        }
    )
    assert contenders["chdb"].figures.events_per_second == 100_000
    assert contenders["chdb"].figures.cpu_after_start == 8
    assert contenders["chdb"].figures.warm_cpu is None
    to_chdb = contenders["faust"].to_chdb
    assert to_chdb is not None
    assert to_chdb.events_per_second == pytest.approx(1 / 40)
    assert to_chdb.cpu_after_start == 1
    assert contenders["faust"].to_memory is None, "a profiled run is compared with nothing"


def test_warm_figures_are_of_the_second_half_of_the_events() -> None:
    run = run_of(10, seconds_second_half=2.0, cpu_second_half=3.0, cpu_server=4.0)
    figures = contended("Flink", [run], profiled=False).figures
    assert figures.warm_events_per_second == 250_000
    assert figures.warm_cpu == 6
    assert figures.cpu_server == 4


def test_the_tables_have_columns_under_each_other_and_none_without_figures() -> None:
    bare = {"chdb": contended("to chDB", [run_of(10)], profiled=False)}
    warm = bare | {"flink": contended("Flink", [run_of(5, seconds_second_half=2, cpu_second_half=3)], profiled=True)}
    for contenders in (bare, warm):
        figures = lines(compared(contenders).values())
        end = figures.index("")
        assert len({len(line) for line in figures[:end]}) == 1
        assert len({len(line) for line in figures[end + 1 :]}) == 1
    heads, _, chdb, flink = (
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines(compared(warm).values())[:4]
    )
    assert "warm" in heads
    assert "server's" not in heads
    assert chdb[heads.index("warm")] == "\N{EN DASH}"
    assert flink[0] == "Flink (profiled)"
    assert flink[heads.index("warm")] == "250,000"
    assert "warm" not in lines(compared(bare).values())[0]
    alone = lines(compared({"faust": contended("Faust", [run_of(400)], profiled=False)}).values())
    assert len(alone) == 3, "without Afterword there is nothing to stand to"


def test_the_markdown_is_the_table_of_the_documentation() -> None:
    contenders = {
        "chdb": contended("to chDB", [run_of(34.36, 0.35), run_of(34.36, 0.35)], profiled=False),
        "faust": contended("Faust", [run_of(546.2)], profiled=False),
    }
    text = markdown(report_of(contenders, "the machine was not quiet"))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows[0] == (
        "| contender | events | events/s | CPU s per million, after start | events/s / CPU : chDB's | peak RSS | "
        "taken by others |"
    )
    assert set(rows[1]) <= set("| -")
    assert rows[2] == "| to chDB | 1 M | 29,100 | 8.00 | 1.00 / 1.00 | 0.5 GiB | 35 % |"
    assert rows[3] == "| Faust | 1 M | 1,830 | 8.00 | 0.063 / 1.00 | 0.5 GiB | 0 % |"
    assert "medians of 2 rounds" in text
    assert text.endswith("\n- the machine was not quiet\n")


@pytest.mark.parametrize(
    ("value", "written"), [(29_103, "29,100"), (34.16, "34.2"), (2.104, "2.10"), (0.1234, "0.12"), (0, "0")]
)
def test_figures_are_written_with_three_significant_digits(value: float, written: str) -> None:
    assert significant(value) == written


def test_a_small_ratio_keeps_its_digits() -> None:
    assert [ratio(value) for value in (0.0331, 0.5, 12.34, 345.6)] == ["0.033", "0.50", "12.3", "346"]


def test_the_picture_says_in_words_all_that_it_shows() -> None:
    contenders = {
        "chdb": contended("Afterword & chDB", [run_of(40)], profiled=False),
        "http": contended("Afterword <HTTP>", [run_of(30, cpu_server=5.0)], profiled=False),
        "flink": contended("Flink", [run_of(5, seconds_second_half=2, cpu_second_half=3)], profiled=False),
        "faust": contended("Faust", [run_of(500)], profiled=False),
    }
    report = report_of(contenders, "the machine was not quiet")
    picture = ET.fromstring(svg(report))
    namespace = {"svg": "http://www.w3.org/2000/svg"}
    assert picture.get("role") == "img"
    title, description = (picture.find(f"svg:{name}", namespace) for name in ("title", "desc"))
    assert title is not None
    assert description is not None
    assert f"{title.get('id')} {description.get('id')}" == picture.get("aria-labelledby")
    assert "1,000,000 events" in (title.text or "")
    for words in ("Afterword & chDB 25,000", "Flink 200,000 (warm 250,000)", "Afterword <HTTP> 8.00 + 5.00"):
        assert words in (description.text or "")
    said = [text.text or "" for text in picture.iterfind("svg:text", namespace)]
    assert "8.00 + 5.00" in said
    assert any("see the warnings" in words for words in said)

    dots = [dot for dot in picture.iterfind("svg:circle", namespace) if "warm" not in (dot.get("class") or "")]
    across = {one.title: float(dot.get("cx") or "nan") for one, dot in zip(contenders.values(), dots, strict=False)}
    slowest_first = sorted(contenders.values(), key=lambda one: one.figures.events_per_second)
    assert all(across[slow.title] < across[fast.title] for slow, fast in pairwise(slowest_first))
    width = float(picture.get("width") or "nan")
    assert all(0 < place < width for place in across.values())


def test_the_report_warns_where_others_used_the_machine() -> None:
    contenders = {
        "chdb": contended("to chDB", [run_of(10, others_share=0.3)], profiled=False),
        "memory": contended("in memory", [run_of(10)], profiled=False),
    }
    assert warnings(contenders, 0.2, 2) == ["to chDB: other programs took 30% of the machine meanwhile"]
    assert warnings({}, 1.5, 2) == ["the load average was 1.50 on 2 cores before anything was measured"]
