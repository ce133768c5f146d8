"""The summary of what is stored, by assistant, as a table for a person."""

from collections.abc import Sequence
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client
from rich import box
from rich.table import Table

_QUERY = """
SELECT assistant, count(), sum(messages), sum(queries), quantileExact(0.5)(duration_ms), countIf(rating IS NOT NULL),
       countIf(fallbacks > 0), countIf(label != ''), countIf(NOT closed)
FROM conversations FINAL GROUP BY assistant ORDER BY assistant
"""
_HEADINGS = ("conversations", "messages", "queries", "median", "rated", "fallback", "labelled", "open")


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast events became rows: events per second, and seconds from the record to its row for each event sampled."""

    events: int
    seconds: float
    waits: Sequence[float]

    def lines(self) -> list[str]:
        """Say it in words."""
        if not self.events:
            return []
        waits = sorted(self.waits) or [0.0]
        p50, p99 = waits[len(waits) // 2], waits[min(len(waits) - 1, len(waits) * 99 // 100)]
        return [
            f"{self.events:,} events in {self.seconds:.1f} s: {self.events / self.seconds:,.0f} events/s",
            f"event to row under this load: p50 {p50:.2f} s, p99 {p99:.2f} s",
        ]


def table(client: Client) -> Table:
    """Ask the database and lay the answer out."""
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    drawn.add_column("assistant", no_wrap=True)
    for heading in _HEADINGS:
        drawn.add_column(heading, justify="right", no_wrap=True)
    for assistant, *numbers in client.query(_QUERY).result_rows:
        cells = [f"{number:,}" for number in numbers]
        cells[3] = duration(numbers[3])
        drawn.add_row(assistant, *cells)
    return drawn


def duration(milliseconds: float | None) -> str:
    """Say a duration as people do: 48 s, 3 min 4 s, 2 h 10 min, 3 d. None: an en dash."""
    if milliseconds is None or milliseconds != milliseconds:  # noqa: PLR0124  (NaN: no closed conversation)
        return "\N{EN DASH}"
    seconds = round(milliseconds / 1000)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3_600:
        return f"{seconds // 60} min {seconds % 60} s"
    if seconds < 86_400:
        return f"{seconds // 3_600} h {seconds % 3_600 // 60} min"
    return f"{seconds // 86_400} d"
