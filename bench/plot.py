"""The figures as a picture: SVG with a dot for each contender, events/s above and CPU below, on logarithmic scales.

Dots and not bars: from the slowest to the fastest it is a factor of hundreds, and a bar on a logarithmic scale has no
length that means anything. Nothing is told by colour alone, and dark themes get dark colours.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

from bench.report import Contended, Ratio, Report
from bench.table import ratio, significant, titled

_WIDTH: Final = 940
_LEFT: Final = 310
_RIGHT: Final = 640
_FIGURE: Final = 750
_TO_MEMORY: Final = 835
_TO_CHDB: Final = 920
_ROW: Final = 26
_HEAD: Final = 70
_FOOT: Final = 34
_LINE: Final = 18
_STYLE: Final = """
  svg { --ground: #ffffff; --ink: #1f2328; --quiet: #59636e; --rule: #d8dee4; --dot: #59636e; --ours: #0969da }
  @media (prefers-color-scheme: dark) {
    svg { --ground: #0d1117; --ink: #e6edf3; --quiet: #9198a1; --rule: #30363d; --dot: #9198a1; --ours: #58a6ff }
  }
  .ground { fill: var(--ground) }
  text { font: 14px system-ui, -apple-system, "Segoe UI", sans-serif; fill: var(--ink) }
  .head { font-size: 16px; font-weight: 600 }
  .small { font-size: 12px; fill: var(--quiet) }
  .ours { font-weight: 600 }
  .end { text-anchor: end }
  .middle { text-anchor: middle }
  line { stroke: var(--rule) }
  circle { fill: var(--dot); stroke: var(--dot); stroke-width: 2 }
  circle.ours { fill: var(--ours); stroke: var(--ours) }
  circle.warm { fill: var(--ground) }
"""


class Panel(NamedTuple):
    """One half of the picture: a figure of each contender, on one scale."""

    title: str
    unit: str
    of: Callable[[Contended], float]
    warm: Callable[[Contended], float | None]
    more: Callable[[Contended], float | None]
    """What belongs to the figure but is another process's."""
    to: Callable[[Ratio], float]


_PANELS: Final = (
    Panel(
        "Events per second: further right is faster",
        "events/s",
        lambda one: one.figures.events_per_second,
        lambda one: one.figures.warm_events_per_second,
        lambda _: None,
        lambda its: its.events_per_second,
    ),
    Panel(
        "CPU seconds per million events, after start: further left is cheaper",
        "CPU s",
        lambda one: one.figures.cpu_after_start,
        lambda one: one.figures.warm_cpu,
        lambda one: one.figures.cpu_server,
        lambda its: its.cpu_after_start,
    ),
)


def svg(report: Report) -> str:
    """Draw a report. Each panel has the ratios to Afterword's two contenders beside it."""
    contenders = list(report.contenders.values())
    remarks = _remarks(report)
    height = len(_PANELS) * (_HEAD + _ROW * len(contenders) + _FOOT) + _LINE * (len(remarks) + 1)
    held = report.input
    title = f"Afterword and others on {held.whole.events:,} events, {held.live_at_once:,} conversations live at once"
    described = " ".join(_described(panel, contenders) for panel in _PANELS)
    size = f'width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title description">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="description">{escape(described)}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="ground" width="{_WIDTH}" height="{height}"/>',
    ]
    top = 0
    for panel in _PANELS:
        parts += _drawn(panel, contenders, top)
        top += _HEAD + _ROW * len(contenders) + _FOOT
    parts += [_text(16, top + _LINE * (number + 1), said, "small") for number, said in enumerate(remarks)]
    return "\n".join([*parts, "</svg>", ""])


def _described(panel: Panel, contenders: Sequence[Contended]) -> str:
    figures = "; ".join(f"{titled(one)} {_figure(panel, one)}{_warm(panel, one)}" for one in contenders)
    return f"{panel.title}. {figures}."


def _remarks(report: Report) -> list[str]:
    figures = [one.figures for one in report.contenders.values()]
    read = ["Scales are logarithmic; ratios: each contender\u2019s figure divided by that of Afterword with this sink"]
    if any(its.warm_cpu is not None for its in figures):
        read.append("Hollow: the second half of a run alone")
    if any(its.cpu_server is not None for its in figures):
        read.append("Behind +: of the database\u2019s own process")
    if report.warnings:
        read.append("Other programs disturbed it, or something was left out: see the warnings of the report")
    return [f"{said}." for said in read]


def _drawn(panel: Panel, contenders: Sequence[Contended], top: int) -> Iterator[str]:
    values = [value for one in contenders for value in (panel.of(one), panel.warm(one)) if value is not None]
    low, high = min(values) / 1.3, max(values) * 1.3

    def across(value: float) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * math.log(value / low) / math.log(high / low), 1)

    bottom = top + _HEAD + _ROW * len(contenders)
    yield _text(16, top + 30, panel.title, "head")
    for place, said in ((_FIGURE, panel.unit), (_TO_MEMORY, ": memory\u2019s"), (_TO_CHDB, ": chDB\u2019s")):
        yield _text(place, top + _HEAD - 12, said, "small end")
    for tick in _ticks(low, high):
        x = across(tick)
        yield f'<line x1="{x}" x2="{x}" y1="{top + _HEAD - 6}" y2="{bottom}"/>'
        yield _text(x, bottom + 16, _short(tick), "small middle")
    for number, one in enumerate(contenders):
        y = top + _HEAD + _ROW * number + _ROW // 2
        ours = " ours" if one.title.startswith("Afterword") else ""
        yield _text(_LEFT - 12, y + 5, titled(one), f"end{ours}")
        yield f'<line x1="{_LEFT}" x2="{_RIGHT}" y1="{y}" y2="{y}"/>'
        yield f'<circle class="{ours.strip()}" cx="{across(panel.of(one))}" cy="{y}" r="5"/>'
        warm = panel.warm(one)
        if warm is not None:
            yield f'<circle class="warm{ours}" cx="{across(warm)}" cy="{y}" r="5"/>'
        yield _text(_FIGURE, y + 5, _figure(panel, one), f"end{ours}")
        for place, its in ((_TO_MEMORY, one.to_memory), (_TO_CHDB, one.to_chdb)):
            yield _text(place, y + 5, "\N{EN DASH}" if its is None else ratio(panel.to(its)), "end")


def _figure(panel: Panel, one: Contended) -> str:
    more = panel.more(one)
    return significant(panel.of(one)) + ("" if more is None else f" + {significant(more)}")


def _warm(panel: Panel, one: Contended) -> str:
    warm = panel.warm(one)
    return "" if warm is None else f" (warm {significant(warm)})"


def _ticks(low: float, high: float) -> list[float]:
    """Give round numbers within a scale: every power of ten, and twice and five times that where few would stand."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1,) if high / low > 1_000 else (1, 2, 5)
    return [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]


def _short(tick: float) -> str:
    return f"{tick / 1_000:g}k" if tick >= 1_000 else f"{tick:g}"


def _text(x: float, y: float, words: str, classes: str) -> str:
    return f'<text class="{classes}" x="{x}" y="{y}">{escape(words)}</text>'
