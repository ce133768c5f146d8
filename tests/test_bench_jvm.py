"""The bench's contenders in the JVM, as far as neither Java nor Maven is asked: what is built, told and made of it."""

import json
import re
from pathlib import Path

import pytest

from bench import jvm
from bench.contender import Task
from bench.totals import Differs, Totals
from tests.kafka import jars

KNOWN = Totals(events=1_000, conversations=90, messages=800, fallbacks=3, queries=200)
TASK = Task(
    name="flink-heap", address="127.0.0.1:1", partitions=4, group="bench-flink-heap-0", folder="/there", known=KNOWN
)


def said(events: int = 1_000, peak_rss_mib: float = 900.0) -> jvm.Said:
    return jvm.Said(
        seconds=4.0,
        seconds_second_half=1.5,
        cpu_whole=9.0,
        cpu_after_start=6.0,
        cpu_second_half=2.0,
        cpu_busiest_thread=3.0,
        peak_rss_mib=peak_rss_mib,
        counted={"events": events, "conversations": 90, "messages": 800, "fallbacks": 3},
        notes={"checkpoints": 4.0},
    )


def test_what_the_process_says_becomes_a_measurement_with_its_warm_half() -> None:
    measured = said().measurement(KNOWN)
    assert (measured.events, measured.seconds, measured.seconds_second_half) == (1_000, 4.0, 1.5)
    assert (measured.cpu_whole, measured.cpu_after_start, measured.cpu_second_half) == (9.0, 6.0, 2.0)
    assert (measured.cpu_main_thread, measured.peak_rss_mib) == (3.0, 900.0)
    assert measured.notes == {"checkpoints": 4.0}


def test_memory_that_the_process_could_not_tell_is_asked_of_the_system() -> None:
    assert said(peak_rss_mib=0.0).measurement(KNOWN).peak_rss_mib >= 0


def test_a_wrong_count_is_no_measurement() -> None:
    with pytest.raises(Differs, match="events: counted 999, the input holds 1,000"):
        said(events=999).measurement(KNOWN)


def test_a_contender_is_told_the_rules_in_force_and_both_topics() -> None:
    order = json.loads(jvm.told(TASK))
    assert order["topics"] == ["assistant.events", "manager.labels"]
    assert order["events"] == 1_000
    assert order["rules"]["threshold"] == 0.3
    assert "nlu_fallback" in order["rules"]["intents"]
    assert {"I didn't get that", "je n'ai pas compris"} <= set(order["rules"]["phrases"])


def test_other_sources_have_another_key_and_what_was_built_among_them_has_none(tmp_path: Path) -> None:
    (tmp_path / "fold" / "target").mkdir(parents=True)
    (tmp_path / "pom.xml").write_text("<project/>")
    (tmp_path / "fold" / "Fold.java").write_text("class Fold {}")
    before = jvm.key(tmp_path)
    (tmp_path / "README.md").write_text("Words.")
    (tmp_path / "fold" / "target" / "Built.java").write_text("class Built {}")
    assert jvm.key(tmp_path) == before
    (tmp_path / "fold" / "Fold.java").write_text("class Fold { }")
    assert jvm.key(tmp_path) != before


@pytest.mark.parametrize(
    ("there", "reason"),
    [((), "no mvn"), (("mvn",), "a JDK"), (("mvn", "javac"), "")],
    ids=["nothing", "Maven alone", "Maven and a JDK"],
)
def test_what_the_build_lacks_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, there: tuple[str, ...], reason: str
) -> None:
    monkeypatch.setattr(jvm, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(jars, "why_unavailable", lambda: "")
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in there:
        (tmp_path / name).touch(mode=0o755)
    assert reason in jvm.why_unavailable()
    assert bool(reason) == bool(jvm.why_unavailable())
    (tmp_path / "cache" / "java" / jvm.key(jvm.SOURCES)).mkdir(parents=True)
    assert jvm.why_unavailable() == "", "what is built needs neither"


def test_kafka_streams_is_of_the_brokers_version() -> None:
    named = re.search("<kafka.version>(.+)</kafka.version>", (jvm.SOURCES / "pom.xml").read_text())
    assert named
    assert named[1] == jars.version()
