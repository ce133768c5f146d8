"""How long somebody waited, many times."""

from collections.abc import Sequence


def in_words(waits: Sequence[float]) -> str:
    """Give the middle, the ends and what lies between, of seconds."""
    ordered = sorted(waits)
    count = len(ordered)
    places = {"p50": count // 2, "p90": count * 9 // 10, "p99": count * 99 // 100, "max": count - 1}
    return ", ".join(f"{name} {ordered[place]:.3f} s" for name, place in places.items())
