"""What lists, counts and facets must be, by looking at every row. Shares no code with the queries."""

import re
import statistics
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from tests.api.queries.generated import CHINESE, NOW, Generated

Items = list[tuple[str, str]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

VALUES = ("assistant", "language", "topic", "subtopic", "assigned_to", "channel", "device", "location")
FLAGS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "rated": lambda row: row["rating"] is not None,
    "claimed": lambda row: row["claimed"],
    "escalated": lambda row: row["escalated"],
}
SECTIONS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "all": lambda row: True,
    "positive": lambda row: row["label"] == "positive",
    "negative": lambda row: row["label"] == "negative",
    "fallback": lambda row: row["fallbacks"] >= 1,
}
DAYS = {"24h": 1, "week": 7, "month": 30, "year": 365}


class Brute:
    """All rows, and what is true of each."""

    def __init__(self, generated: Generated) -> None:
        self.rows = generated.rows
        self.keys = [(row["assistant"], row["conversation_id"]) for row in self.rows]
        self.columns = {name: np.array([row[name] for row in self.rows], object) for name in VALUES}
        self.started = np.array([row["started_at"] for row in self.rows], np.int64)
        self.closed = self._mask(lambda row: row["closed"])
        self.flags = {name: self._mask(asked) for name, asked in FLAGS.items()}
        self.sections = {name: self._mask(asked) for name, asked in SECTIONS.items()}
        self.texts = generated.texts

    def _mask(self, asked: Callable[[dict[str, Any]], bool]) -> Mask:
        return np.fromiter((asked(row) for row in self.rows), np.bool_, len(self.rows))

    def masks(self, items: Items, only: str | None) -> dict[str, Mask]:
        """Say of each row whether it meets each of the filters."""
        given: dict[str, list[str]] = {}
        for name, value in items:
            given.setdefault(name, []).append(value)
        masks = {"": self._base(given, only)}
        state = given.get("state", ["closed"])[0]
        if state != "all":
            masks["state"] = self.closed if state == "closed" else ~self.closed
        if "section" in given:
            masks["section"] = self.sections[given["section"][0]]
        for name in FLAGS:
            if name in given:
                masks[name] = self.flags[name] if given[name][0] == "true" else ~self.flags[name]
        for name in VALUES:
            if name in given:
                wanted = ["" if one == "(none)" else one for one in given[name]]
                masks[name] = np.isin(self.columns[name], wanted)
        return masks

    def _base(self, given: dict[str, list[str]], only: str | None) -> Mask:
        mask = np.ones(len(self.rows), np.bool_)
        if only is not None:
            mask &= self.columns["assistant"] == only
        if "range" in given:
            start, end = span(given)
            mask &= (self.started >= start) & (self.started < end)
        if "client" in given:
            wanted = "" if given["client"][0] == "(none)" else given["client"][0]
            mask &= self._mask(lambda row: row["user_id"] == wanted)
        if "q" in given:
            found = {key for key, texts in self.texts.items() if any(says(text, given["q"][0]) for text in texts)}
            mask &= np.fromiter((key in found for key in self.keys), np.bool_, len(self.rows))
        return mask

    def listed(self, items: Items, only: str | None, sort: str) -> list[dict[str, Any]]:
        """Give the list, in order."""
        (places,) = np.nonzero(np.logical_and.reduce(list(self.masks(items, only).values())))
        rows = sorted((self.rows[place] for place in places), key=_key)
        column = sort.removeprefix("-")
        present = [row for row in rows if _value(row, column) is not None]
        present.sort(key=lambda row: _value(row, column), reverse=sort.startswith("-"))
        return present + [row for row in rows if _value(row, column) is None]

    def counts(self, items: Items, only: str | None) -> dict[str, Any]:
        """Give all counts and facets."""
        masks = self.masks(items, only)

        def without(name: str) -> Mask:
            return np.logical_and.reduce([mask for filter_, mask in masks.items() if filter_ != name])

        facets: dict[str, list[tuple[str, int]]] = {}
        for name in VALUES:
            chosen = {"" if value == "(none)" else value for filter_, value in items if filter_ == name}
            facets[name] = _facet(Counter(self.columns[name][without(name)]), chosen)
        for name, mask in self.flags.items():
            left = without(name)
            facets[name] = [("true", int((left & mask).sum())), ("false", int((left & ~mask).sum()))]
        return {
            "sections": {name: int((without("section") & mask).sum()) for name, mask in self.sections.items()},
            "total": int(without("nothing").sum()),
            "open": int((without("state") & ~self.closed).sum()),
            "facets": facets,
        }


def measures(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Give the rates of these rows, each as (numerator, denominator, value), and the rest of what is measured."""
    rated = [row["rating"] for row in rows if row["rating"] is not None]

    def rate(part: int, whole: int) -> tuple[int, int, float | None]:
        return part, whole, part / whole if whole else None

    return {
        "conversations": len(rows),
        "fallback_rate": rate(sum(row["fallbacks"] > 0 for row in rows), len(rows)),
        "containment_rate": rate(sum(not row["escalated"] for row in rows), len(rows)),
        "satisfaction_rate": rate(sum(one >= 4 for one in rated), len(rated)),
        "response_rate": rate(len(rated), len(rows)),
        "positive": sum(row["label"] == "positive" for row in rows),
        "negative": sum(row["label"] == "negative" for row in rows),
        "median_duration_ms": statistics.median(row["duration_ms"] for row in rows) if rows else None,
        "median_queries": statistics.median(row["queries"] for row in rows) if rows else None,
    }


def by_bucket(rows: list[dict[str, Any]], bucket: str, zone: ZoneInfo) -> dict[datetime, dict[str, Any]]:
    """Measure each hour, day or week of the zone in which something began."""
    buckets: dict[datetime, list[dict[str, Any]]] = {}
    for row in rows:
        at = datetime.fromtimestamp(row["started_at"] / 1_000, zone).replace(microsecond=0, second=0, minute=0)
        if bucket != "hour":
            at = at.replace(hour=0, fold=0)
        if bucket == "week":
            at -= timedelta(days=at.weekday())
        buckets.setdefault(at.astimezone(UTC), []).append(row)
    return {start: measures(one) for start, one in buckets.items()}


def by_value(rows: list[dict[str, Any]], column: str) -> list[tuple[str, dict[str, Any]]]:
    """Measure each value of a column, the largest first."""
    values: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        values.setdefault(row[column], []).append(row)
    ordered = sorted(values.items(), key=lambda one: (-len(one[1]), one[0].encode()))
    return [(value, measures(one)) for value, one in ordered]


def span(given: dict[str, list[str]]) -> tuple[int, int]:
    """Give the range in epoch ms, the end not included."""
    name = given["range"][0]
    if name != "custom":
        return _ms(NOW - timedelta(days=DAYS[name])), 1 << 60
    zone = ZoneInfo(given.get("zone", ["UTC"])[0])
    start = _ms(datetime.fromisoformat(given["from"][0]).replace(tzinfo=zone)) if "from" in given else 0
    end = 1 << 60
    if "to" in given:
        text = given["to"][0]
        day = datetime.fromisoformat(text)
        end = _ms((day if "T" in text else day + timedelta(days=1)).replace(tzinfo=zone))
    return start, end


def says(text: str, q: str) -> bool:
    """Whether a message contains all words of q."""
    words = set(re.findall(r"[^\x00-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]+", text.lower()))
    return all(
        word in text if any(word in one for one in CHINESE) else word in words
        for word in re.split(r"[ ,!'/-]+", q.lower())
        if word
    )


def _ms(at: datetime) -> int:
    return (at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _key(row: dict[str, Any]) -> tuple[bytes, bytes]:
    return row["assistant"].encode(), row["conversation_id"].encode()


def _value(row: dict[str, Any], column: str) -> Any:
    value = row[column]
    if not isinstance(value, str) or column == "conversation_id":
        return value.encode() if isinstance(value, str) else value
    return value[:100].encode() or None


def _facet(values: Counter[str], chosen: set[str]) -> list[tuple[str, int]]:
    ordered = sorted({**dict.fromkeys(chosen, 0), **values}.items(), key=lambda one: (-one[1], one[0].encode()))
    frequent = [value for value, count in ordered if count][:50]
    return [(value, count) for value, count in ordered if value in frequent or value in chosen]
