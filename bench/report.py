"""The report: medians of the rounds, the table for people, and the same for programs."""

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


class Contended(msgspec.Struct, frozen=True, kw_only=True):
    """What is reported of one contender."""

    title: str
    profiled: bool
    figures: Figures
    runs: list[Run]
    afterword_to_chdb_is_faster: float | None = None
    afterword_in_memory_is_faster: float | None = None


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

    def of(value: Callable[[Measurement], float]) -> float:
        return median(value(run.measured) for run in runs)

    figures = Figures(
        events=runs[0].measured.events,
        events_per_second=of(lambda one: one.events / one.seconds),
        cpu_whole=of(lambda one: one.cpu_whole / one.events * _MILLION),
        cpu_after_start=of(lambda one: one.cpu_after_start / one.events * _MILLION),
        peak_rss_mib=of(lambda one: one.peak_rss_mib),
        broker_cpu=_median([_per_million(run) for run in runs]),
        others_share=_median([run.others_share for run in runs]),
        main_thread_share=of(lambda one: one.cpu_main_thread / one.seconds),
    )
    return Contended(title=title, profiled=profiled, figures=figures, runs=list(runs))


def compared(contenders: Mapping[str, Contended]) -> dict[str, Contended]:
    """Say of each how many times as fast Afterword is, where both ran unprofiled."""

    def faster(name: str, than: Contended) -> float | None:
        ours = contenders.get(name)
        if ours is None or ours.profiled or than.profiled:
            return None
        return ours.figures.events_per_second / than.figures.events_per_second

    return {
        name: msgspec.structs.replace(
            one,
            afterword_to_chdb_is_faster=faster(TO_CHDB, one),
            afterword_in_memory_is_faster=faster(TO_MEMORY, one),
        )
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


def table(contenders: Mapping[str, Contended]) -> list[str]:
    """Lay the figures out as lines of a Markdown table whose columns stand under each other."""
    rows = [
        (
            "contender",
            "events",
            "events/s",
            "CPU s per M, whole",
            "after start",
            "Kafka's",
            "peak RSS MiB",
            "chDB : it",
            "memory : it",
        )
    ]
    for one in contenders.values():
        its = one.figures
        rows.append(
            (
                one.title + (" (profiled)" if one.profiled else ""),
                f"{its.events:,}",
                f"{its.events_per_second:,.0f}",
                f"{its.cpu_whole:.2f}",
                f"{its.cpu_after_start:.2f}",
                _number(its.broker_cpu),
                f"{its.peak_rss_mib:,.0f}",
                _number(one.afterword_to_chdb_is_faster),
                _number(one.afterword_in_memory_is_faster),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [
        [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        for row in rows
    ]
    return [f"| {' | '.join(line)} |" for line in [lines[0], rule, *lines[1:]]]


def _per_million(run: Run) -> float | None:
    return None if run.broker_cpu is None else run.broker_cpu / run.measured.events * _MILLION


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _number(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.2f}"
