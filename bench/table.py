"""The figures as tables: for the terminal, and as the Markdown that docs/performance.md holds."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from bench.report import Contended, Ratio, Report

_DASH: Final = "\N{EN DASH}"
_GIB: Final = 1024
_MILLION: Final = 1_000_000


class Column(NamedTuple):
    """One column: its head, and what stands in it; None where a contender has no such figure."""

    head: str
    of: Callable[[Contended], str | None]


def lines(contenders: Iterable[Contended]) -> list[str]:
    """Lay all figures out, then how each contender stands to Afterword where that ran; columns under each other."""
    those = list(contenders)
    figures, ratios = _aligned(_filled(_FIGURES, those)), _filled(_RATIOS, those)
    return [*figures, "", *_aligned(ratios)] if len(ratios[0]) > 1 else figures


def markdown(report: Report) -> str:
    """Give the table of docs/performance.md: above it what it was measured on, below what speaks against it."""
    its, held = report.machine, report.input
    rounds = max(len(one.runs) for one in report.contenders.values())
    measured_on = (
        f"{its['processor']}, {its['memory']}; {its['python']}; {its['kafka']}; {its['packages']}. "
        f"In an environment of their own: {its['guests']}."
    )
    measured = (
        f"{held.whole.events:,} events of {held.whole.conversations:,} conversations, {held.live_at_once:,} of them "
        f"live at once; {f'medians of {rounds} rounds' if rounds > 1 else 'one round'}; load average "
        f"{report.load_at_start:.1f} before and {report.load_at_end:.1f} after. Totals of every run agreed with the "
        "oracle's."
    )
    rows = _filled(_DOCUMENTED, list(report.contenders.values()))
    rule = ["---"] * len(rows[0])
    table = [f"| {' | '.join(row)} |" for row in [rows[0], rule, *rows[1:]]]
    against = ["", *(f"- {warning}" for warning in report.warnings)] if report.warnings else []
    return "\n".join([measured_on, measured, "", *table, *against, ""])


def significant(value: float, digits: int = 3) -> str:
    """Write a number with so many significant digits, and no more than two behind the point."""
    if not value:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, places):,.{max(0, min(places, 2))}f}"


def ratio(value: float) -> str:
    """Write a ratio; three places where it is small, for it tells of tens and hundreds then."""
    return f"{value:.3f}" if value < 0.1 else significant(value)


def titled(one: Contended) -> str:
    """Name a contender, and say when its figures are a profiler's."""
    return one.title + (" (profiled)" if one.profiled else "")


def _optional(value: float | None, write: Callable[[float], str]) -> str | None:
    return None if value is None else write(value)


def _two_places(value: float) -> str:
    return f"{value:.2f}"


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _share(value: float) -> str:
    return f"{value * 100:.0f} %"


def _rounded_events(events: int) -> str:
    if events >= _MILLION:
        return f"{round(events / _MILLION, 1):g} M"
    return f"{round(events, -3):,}" if events >= 10_000 else f"{events:,}"


def _both(its: Ratio | None) -> str | None:
    return None if its is None else f"{ratio(its.events_per_second)} / {ratio(its.cpu_after_start)}"


_NAMES: Final = Column("contender", titled)
_FIGURES: Final = (
    _NAMES,
    Column("events", lambda one: f"{one.figures.events:,}"),
    Column("events/s", lambda one: _whole(one.figures.events_per_second)),
    Column("warm", lambda one: _optional(one.figures.warm_events_per_second, _whole)),
    Column("CPU s per M, whole", lambda one: _two_places(one.figures.cpu_whole)),
    Column("after start", lambda one: _two_places(one.figures.cpu_after_start)),
    Column("warm", lambda one: _optional(one.figures.warm_cpu, _two_places)),
    Column("server's", lambda one: _optional(one.figures.cpu_server, _two_places)),
    Column("Kafka's", lambda one: _optional(one.figures.broker_cpu, _two_places)),
    Column("peak RSS MiB", lambda one: _whole(one.figures.peak_rss_mib)),
)
_RATIOS: Final = (
    _NAMES,
    Column("events/s : memory's", lambda one: one.to_memory and ratio(one.to_memory.events_per_second)),
    Column("CPU : memory's", lambda one: one.to_memory and ratio(one.to_memory.cpu_after_start)),
    Column("events/s : chDB's", lambda one: one.to_chdb and ratio(one.to_chdb.events_per_second)),
    Column("CPU : chDB's", lambda one: one.to_chdb and ratio(one.to_chdb.cpu_after_start)),
)
_DOCUMENTED: Final = (
    _NAMES,
    Column("events", lambda one: _rounded_events(one.figures.events)),
    Column("events/s", lambda one: significant(one.figures.events_per_second)),
    Column("warm", lambda one: _optional(one.figures.warm_events_per_second, significant)),
    Column("CPU s per million, after start", lambda one: significant(one.figures.cpu_after_start)),
    Column("warm", lambda one: _optional(one.figures.warm_cpu, significant)),
    Column("its database's", lambda one: _optional(one.figures.cpu_server, significant)),
    Column("events/s / CPU : in-memory sink's", lambda one: _both(one.to_memory)),
    Column("events/s / CPU : chDB's", lambda one: _both(one.to_chdb)),
    Column("peak RSS", lambda one: f"{one.figures.peak_rss_mib / _GIB:.1f} GiB"),
    Column("taken by others", lambda one: _optional(one.figures.others_share, _share)),
)


def _filled(columns: Sequence[Column], contenders: Sequence[Contended]) -> list[list[str]]:
    """Give the rows, heads first, without the columns that nobody has a figure for."""
    cells = [[column.of(one) for one in contenders] for column in columns]
    kept = [
        [column.head, *(cell or _DASH for cell in its)] for column, its in zip(columns, cells, strict=True) if any(its)
    ]
    return [list(row) for row in zip(*kept, strict=True)]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    cells = [
        [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        for row in rows
    ]
    return [f"| {' | '.join(line)} |" for line in [cells[0], rule, *cells[1:]]]
