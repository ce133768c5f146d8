"""The crash points of the fault laboratory: off unless the environment says otherwise, and no setting."""

import subprocess
import sys

import pytest

from processors.crash_point import CrashPoint, unharmed
from runtime import crashing
from runtime.settings import Settings
from sinks.clickhouse_writer import ClickHouseWriter
from sinks.connection import Database

DATABASE = Database.parse("clickhouse://localhost/default")


def test_without_the_variable_nothing_happens_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(crashing.VARIABLE, raising=False)
    assert crashing.passing() is unharmed
    assert type(crashing.writer(DATABASE, unharmed)) is ClickHouseWriter


def test_the_variable_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(crashing.VARIABLE, "after insert:1")
    Settings.load()
    passing = crashing.passing()
    assert type(crashing.writer(DATABASE, passing)) is not ClickHouseWriter


def test_a_point_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(crashing.VARIABLE, "after lunch")
    with pytest.raises(ValueError, match="after lunch"):
        crashing.passing()


def test_the_process_ends_when_it_passes_the_point_once_too_often() -> None:
    code = """
from runtime import crashing
from processors.crash_point import CrashPoint
passing = crashing.passing()
passing(CrashPoint.AFTER_FOLD)
passing(CrashPoint.AFTER_INSERT)
print("once", flush=True)
passing(CrashPoint.AFTER_INSERT)
print("twice", flush=True)
"""
    environment = {crashing.VARIABLE: f"{CrashPoint.AFTER_INSERT}:1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment, timeout=60
    )
    assert (done.returncode, done.stdout) == (crashing.STATUS, "once\n")
