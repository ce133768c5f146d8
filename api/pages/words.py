"""How values read on a page: durations, times, numbers, rates, and the causes of a fallback in words."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from schemas.conversation import FallbackCause

NOTHING: Final = "–"  # noqa: RUF001  (a dash of its own kind)
"""Stands where a value is absent: a zero would be a value."""

_SECOND: Final = 1_000
_MINUTE: Final = 60 * _SECOND
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR

REASONS: Final = {
    "no_knowledge": "no knowledge passage",
    "low_confidence": "low confidence",
    "not_understood": "not understood",
    "error": "an error",
    "other": "reported by the assistant",
}
"""Why a message was tagged as a fallback, by the reason of its cause."""

RULES: Final = {
    "reported": "reported by the assistant",
    "flagged": "flagged by the assistant",
    "intent": "fallback intent",
    "low_confidence": "low confidence",
    "no_sources": "no knowledge passage",
    "pattern": "said it could not help",
}
"""What tagged a message, by the rule of its cause."""


def duration(milliseconds: float | None) -> str:
    """Say how long: `48 s`, `3 min 4 s`, `2 h 10 min`, `3 d`; never more than two units."""
    if milliseconds is None:
        return NOTHING
    milliseconds = int(milliseconds)
    if milliseconds >= _DAY:
        days, rest = divmod(milliseconds, _DAY)
        return _pair(days, "d", rest // _HOUR, "h")
    if milliseconds >= _HOUR:
        hours, rest = divmod(milliseconds, _HOUR)
        return _pair(hours, "h", rest // _MINUTE, "min")
    if milliseconds >= _MINUTE:
        minutes, rest = divmod(milliseconds, _MINUTE)
        return _pair(minutes, "min", rest // _SECOND, "s")
    return f"{milliseconds // _SECOND} s"


def _pair(greater: int, unit: str, less: int, smaller: str) -> str:
    return f"{greater:,} {unit} {less} {smaller}" if less else f"{greater:,} {unit}"


def seconds(value: float | None) -> str:
    """Say a short time to a tenth of a second: `0.6 s`."""
    if value is None:
        return NOTHING
    return f"{value:.1f} s" if value < 100 else duration(round(value * _SECOND))


def number(value: float | None) -> str:
    """Write a number with its thousands apart: `3,412`, a median with its half: `2.5`."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def rate(value: float | None) -> str:
    """Write a share: `12.4 %`; nothing of nothing has no share."""
    return NOTHING if value is None else f"{value * 100:.1f} %"


def plural(count: int, one: str, many: str = "") -> str:
    """Count something: `1 message`, `3,412 messages`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def moment(at: datetime | None, now: datetime, since: datetime | None = None) -> str:
    """Say when: weekday and time within a week, else date and time; the year when it is another one.

    `since`: a time that stands beside it; of the same day, the time of day says it all.
    """
    if at is None:
        return NOTHING
    if since is not None and at.date() == since.date():
        return f"{at:%H:%M}"
    if timedelta(0) <= now - at < timedelta(days=6):
        return f"{at:%a %H:%M}"
    return f"{at.day} {at:%b %H:%M}" if at.year == now.year else f"{at.day} {at:%b %Y %H:%M}"


def exact(at: datetime) -> str:
    """Write the whole time, in UTC: `2026-11-09 09:12:33 UTC`."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def reason(name: str) -> str:
    """Say why a message is a fallback: `no knowledge passage`."""
    return REASONS.get(name, name.replace("_", " "))


def rule(name: str) -> str:
    """Say what tagged it: `low confidence`."""
    return RULES.get(name, name.replace("_", " "))


def cause(causes: Sequence[FallbackCause]) -> str:
    """Say the main cause: the most frequent reason, the earliest of those that are equally frequent."""
    reasons = [reason(one.reason) for one in causes]
    return max(reasons, key=reasons.count) if reasons else reason("other")


def causes(causes: Sequence[FallbackCause]) -> str:
    """Say all causes, each once, with how often: `low confidence (2 times), no knowledge passage`."""
    counted = Counter(reason(one.reason) for one in causes)
    return ", ".join(f"{words} ({count} times)" if count > 1 else words for words, count in counted.items())
