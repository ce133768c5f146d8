"""The report: medians of the rounds, and how each contender stands to Afterword. `table` and `plot` show it."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Final

import msgspec

from bench.contender import Measurement
from bench.producer import Produced

TO_CHDB: Final = "chdb"
TO_MEMORY: Final = "memory"
BUSY_SHARE: Final = 0.05
"""From this share of the machine on, what others took disturbs the figures."""
_MILLION: Final = 1_000_000


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a contender, as it and the bench beside it measured. None: not known on this system."""

    measured: Measurement
    broker_cpu: float | None
    """CPU seconds of Kafka while the contender ran."""
    others_share: float | None
    """Share of the machine that went to neither contender nor Kafka nor bench."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Of one contender, the median of its runs. CPU in seconds per million events."""

    events: int
    events_per_second: float
    cpu_whole: float
    cpu_after_start: float
    peak_rss_mib: float
    broker_cpu: float | None
    others_share: float | None
    main_thread_share: float
    """Share of the time in which the main thread had a core."""
    cpu_server: float | None = None
    """Of the database's own process, where there is one."""
    warm_events_per_second: float | None = None
    """Of the second half of the events alone, where it was measured."""
    warm_cpu: float | None = None


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """A contender's figures divided by Afterword's in the same bench: below 1 means slower, or cheaper."""

    events_per_second: float
    cpu_after_start: float


class Contended(msgspec.Struct, frozen=True, kw_only=True):
    """What is reported of one contender."""

    title: str
    profiled: bool
    figures: Figures
    runs: list[Run]
    to_memory: Ratio | None = None
    to_chdb: Ratio | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All that a bench found."""

    machine: dict[str, str]
    load_at_start: float
    load_at_end: float
    warnings: list[str]
    input: Produced
    contenders: dict[str, Contended]


def contended(title: str, runs: Sequence[Run], *, profiled: bool) -> Contended:
    """Sum up the runs of one contender."""

    def of(value: Callable[[Measurement], float | None]) -> float | None:
        return _median([value(run.measured) for run in runs])

    def known(value: Callable[[Measurement], float]) -> float:
        return median(value(run.measured) for run in runs)

    figures = Figures(
        events=runs[0].measured.events,
        events_per_second=known(lambda one: one.events / one.seconds),
        cpu_whole=known(lambda one: one.cpu_whole / one.events * _MILLION),
        cpu_after_start=known(lambda one: one.cpu_after_start / one.events * _MILLION),
        peak_rss_mib=known(lambda one: one.peak_rss_mib),
        broker_cpu=_median([_per_million(run.broker_cpu, run.measured.events) for run in runs]),
        others_share=_median([run.others_share for run in runs]),
        main_thread_share=known(lambda one: one.cpu_main_thread / one.seconds),
        cpu_server=of(lambda one: _per_million(one.cpu_server, one.events)),
        warm_events_per_second=of(
            lambda one: _half(one.events) / one.seconds_second_half if one.seconds_second_half else None
        ),
        warm_cpu=of(lambda one: _per_million(one.cpu_second_half, _half(one.events))),
    )
    return Contended(title=title, profiled=profiled, figures=figures, runs=list(runs))


def compared(contenders: Mapping[str, Contended]) -> dict[str, Contended]:
    """Say of each how it stands to Afterword, where both ran unprofiled."""

    def ratio(one: Contended, name: str) -> Ratio | None:
        ours = contenders.get(name)
        if ours is None or ours.profiled or one.profiled:
            return None
        return Ratio(
            events_per_second=one.figures.events_per_second / ours.figures.events_per_second,
            cpu_after_start=one.figures.cpu_after_start / ours.figures.cpu_after_start,
        )

    return {
        name: msgspec.structs.replace(one, to_memory=ratio(one, TO_MEMORY), to_chdb=ratio(one, TO_CHDB))
        for name, one in contenders.items()
    }


def warnings(contenders: Mapping[str, Contended], load_at_start: float, cores: int) -> list[str]:
    """Say what speaks against the figures."""
    said = []
    if load_at_start > cores / 2:
        said.append(f"the load average was {load_at_start:.2f} on {cores} cores before anything was measured")
    for one in contenders.values():
        share = one.figures.others_share
        if share is not None and share > BUSY_SHARE:
            said.append(f"{one.title}: other programs took {share:.0%} of the machine meanwhile")
        if one.profiled:
            said.append(f"{one.title}: was profiled, which slows Python down by half or more")
    return said


def _per_million(cpu: float | None, events: int) -> float | None:
    return None if cpu is None else cpu / events * _MILLION


def _half(events: int) -> int:
    return events - events // 2


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
