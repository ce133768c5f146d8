"""Crash points for the fault laboratory: a worker ends itself at a named point. Tests only, and no setting.

TEST_AFTERWORD_CRASH_POINT="after insert:2" ends the process without a word at the third passing of that point.
"""

import os
from typing import Final

from processors.crash_point import CrashPoint, Passing, unharmed
from schemas.facts import Facts
from sinks.clickhouse_writer import ClickHouseWriter
from sinks.connection import Database

VARIABLE: Final = "TEST_AFTERWORD_CRASH_POINT"
STATUS: Final = 86
"""Exit status of a process that ended so."""


def passing() -> Passing:
    """Give what crash points are told to: nothing happens there unless the environment names one."""
    point, _, times = os.environ.get(VARIABLE, "").partition(":")
    return _Crash(CrashPoint(point), int(times or 0)) if point else unharmed


class _Crash:
    """Ends the process at one point, once it was passed so many times."""

    def __init__(self, point: CrashPoint, times: int) -> None:
        self._point = point
        self._left = times

    def __call__(self, point: CrashPoint) -> None:
        if point is self._point:
            if not self._left:
                os._exit(STATUS)
            self._left -= 1


def writer(database: Database, passing: Passing) -> ClickHouseWriter:
    """Give the writer of a worker: the usual one, or where crash points are passed one that can end amid an insert."""
    return ClickHouseWriter(database) if passing is unharmed else _HalvingWriter(database, passing)


class _HalvingWriter(ClickHouseWriter):
    """Inserts facts in two halves with a crash point between: as when a server stored some partitions of an insert."""

    def __init__(self, database: Database, passing: Passing) -> None:
        super().__init__(database)
        self._passing = passing

    def insert_facts(self, facts: Facts) -> None:
        """See Writer."""
        middle = len(facts) // 2
        super().insert_facts(facts.take(range(middle)))
        self._passing(CrashPoint.MID_INSERT)
        super().insert_facts(facts.take(range(middle, len(facts))))
