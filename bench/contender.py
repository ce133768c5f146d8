"""What all contenders share: what they are told, the watch they run under, and how they say what they measured.

A contender is a module that is run as a process of its own, with its task as JSON in its one argument. It says how far
it is on standard error, and its measurement as JSON on standard output, when its totals are right.
"""

import asyncio
import cProfile
import logging
import pstats
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.machine import cpu_of, peak_rss_mib
from bench.totals import Differs, Totals

_LOOK_S: Final = 0.01
_SAY_S: Final = 10.0
_TOP: Final = 30


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one contender. `known`: what it must count; `profile`: a file to write a profile to, '' for none."""

    name: str
    address: str
    partitions: int
    group: str
    folder: str
    known: Totals
    profile: str = ""


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """What one run took. Times in seconds; `after_start`: of the time in which events were taken, start-up excepted."""

    events: int
    seconds: float
    cpu_whole: float
    """CPU of the process from its beginning, all threads."""
    cpu_after_start: float
    cpu_main_thread: float
    """Of that, the thread with the event loop: where it is all of `seconds`, that thread is what limits."""
    peak_rss_mib: float
    counted: dict[str, int]
    notes: dict[str, float] = {}
    """What else the contender says of its work: it explains the figures, and nothing is compared."""
    cpu_server: float | None = None
    """CPU of a database's process that only this contender needs, while events were taken. None: it needs none."""
    seconds_second_half: float | None = None
    """Of the time in which events were taken, that of the last `events - events // 2`. None: not measured."""
    cpu_second_half: float | None = None
    """CPU of the process in that time."""


class Watch:
    """Measures between `start` and `stop`, profiling the main thread in between when it is to."""

    def __init__(self, profile: Path | None) -> None:
        self._path = profile
        self._profile = cProfile.Profile() if profile else None
        self._began = (0.0, 0.0, 0.0)
        self._took = (0.0, 0.0, 0.0)
        self._cpu_whole = 0.0
        self._peak = 0.0
        self._notes: dict[str, float] = {}
        self._server: int | None = None
        self._cpu_server: float | None = None

    def accompany(self, server: int) -> None:
        """Measure the CPU of this process too, which the contender cannot do without; to be said before `start`."""
        self._server = server

    def start(self) -> None:
        """Begin: everything is set up, the first event is about to be taken."""
        if self._server is not None:
            self._cpu_server = cpu_of(self._server)
        self._began = _clocks()
        if self._profile:
            self._profile.enable()

    def stop(self) -> None:
        """End: everything that was taken is where it belongs."""
        if self._profile:
            self._profile.disable()
        self._took = tuple(now - then for now, then in zip(_clocks(), self._began, strict=True))  # type: ignore[assignment]
        self._cpu_whole = time.process_time()
        self._peak = peak_rss_mib()
        if self._server is not None and self._cpu_server is not None:
            now = cpu_of(self._server)
            self._cpu_server = None if now is None else now - self._cpu_server

    def note(self, **notes: float) -> None:
        """Keep what explains the figures."""
        self._notes |= notes

    def measurement(self, counted: dict[str, int]) -> Measurement:
        """Give what was measured."""
        seconds, cpu, main_thread = self._took
        return Measurement(
            events=counted["events"],
            seconds=seconds,
            cpu_whole=self._cpu_whole,
            cpu_after_start=cpu,
            cpu_main_thread=main_thread,
            peak_rss_mib=self._peak,
            counted=counted,
            notes=self._notes,
            cpu_server=self._cpu_server,
        )

    def write_profile(self, measured: Measurement) -> None:
        """Write the functions that took most, by their own time and with what they called."""
        if self._profile is None or self._path is None:
            return
        with self._path.open("w") as file:
            print(
                f"{measured.events:,} events in {measured.seconds:.1f} s under cProfile, which slows Python down. CPU:",
                f"{measured.cpu_after_start:.1f} s, of it the thread below {measured.cpu_main_thread:.1f} s.",
                file=file,
            )
            for order in ("tottime", "cumulative"):
                pstats.Stats(self._profile, stream=file).strip_dirs().sort_stats(order).print_stats(_TOP)


Contend = Callable[[Task, Watch], Coroutine[Any, Any, dict[str, int]]]
"""Does the work, starting and stopping the watch, and gives what it counted, by the names of `Totals`."""


def run(contend: Contend) -> None:
    """Be the process of a contender. Ends it with 1 and words when its totals are wrong."""
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    task = msgspec.json.decode(sys.argv[1], type=Task)
    watch = Watch(Path(task.profile) if task.profile else None)
    counted = asyncio.run(contend(task, watch))
    try:
        task.known.check(counted)
    except Differs as difference:
        sys.exit(f"{task.name} counted wrong: {difference}")
    measured = watch.measurement(counted)
    watch.write_profile(measured)
    print(msgspec.json.encode(measured).decode(), flush=True)


async def until_taken(taken: Callable[[], int], wanted: int) -> None:
    """Wait until so many events were taken, saying now and then how many they are."""
    said = time.monotonic()
    while (count := taken()) < wanted:
        await asyncio.sleep(_LOOK_S)
        if time.monotonic() - said > _SAY_S:
            said = time.monotonic()
            say(count, wanted)


def say(count: int, wanted: int) -> None:
    """Say how far it is."""
    print(f"    {count:,} of {wanted:,} events", file=sys.stderr, flush=True)


def _clocks() -> tuple[float, float, float]:
    return time.perf_counter(), time.process_time(), time.thread_time()
