"""When people write: by the hour and day where they live, so a country's share of the arrivals changes over the day."""

from bisect import bisect_right
from itertools import accumulate
from typing import NamedTuple

HOUR = 3_600_000
"""Milliseconds."""

_WEEK = 168
_EPOCH_HOUR = 72
"""1970-01-01 was a Thursday; hours of the week count from Monday 00:00."""

_BY_HOUR = (2, 1, 1, 1, 1, 2, 4, 9, 18, 28, 34, 34, 28, 26, 28, 30, 31, 32, 31, 29, 25, 17, 9, 4)
_BY_DAY = (1.1, 1.05, 1.0, 1.0, 0.95, 0.55, 0.45)


class Country(NamedTuple):
    """Where shoppers live. The offset is that of standard time: summer time would change nothing that is looked at."""

    code: bytes
    offset: int
    """Hours ahead of UTC."""
    weight: int
    languages: tuple[str, ...]
    """Spoken by equal parts of its shoppers; named more often when spoken by more."""
    cities: tuple[bytes, ...]


def _country(code: str, offset: int, weight: int, languages: str, cities: str) -> Country:
    return Country(
        code.encode(), offset, weight, tuple(languages.split()), tuple(city.encode() for city in cities.split(", "))
    )


COUNTRIES = (
    _country("US", -5, 14, "en en en en es", "New York, Boston, Atlanta, Miami, Philadelphia"),
    _country("GB", 0, 14, "en", "London, Leeds, Bristol, Glasgow, Cardiff"),
    _country("IE", 0, 3, "en", "Dublin, Cork, Galway"),
    _country("ES", 1, 16, "es", "Madrid, Sevilla, Valencia, Málaga, Bilbao"),
    _country("MX", -6, 8, "es", "Ciudad de México, Guadalajara, Puebla, Mérida"),
    _country("AR", -3, 4, "es", "Buenos Aires, Córdoba, Rosario"),
    _country("DE", 1, 18, "de", "Berlin, Hamburg, Köln, München, Leipzig"),
    _country("AT", 1, 4, "de", "Wien, Graz, Linz"),
    _country("CH", 1, 4, "de de fr", "Zürich, Basel, Bern, Lausanne"),
    _country("FR", 1, 14, "fr", "Paris, Lyon, Nantes, Lille, Marseille"),
    _country("BE", 1, 4, "fr", "Bruxelles, Liège, Namur"),
    _country("CA", -5, 4, "en en fr", "Toronto, Ottawa, Montréal, Québec"),
)


def _arrivals(hour: int) -> tuple[float, ...]:
    """Sum up how much each country writes in this UTC hour of the week."""
    return tuple(
        accumulate(
            country.weight * _BY_HOUR[(hour + country.offset) % 24] * _BY_DAY[(hour + country.offset) % _WEEK // 24]
            for country in COUNTRIES
        )
    )


_ARRIVALS = tuple(_arrivals(hour) for hour in range(_WEEK))


def _hour_of_week(ms: int) -> int:
    return (ms // HOUR + _EPOCH_HOUR) % _WEEK


def country_at(ms: int, share: float) -> int:
    """Give the index of the country from which one writes at that time: `share` of [0, 1) runs through all of them."""
    arrivals = _ARRIVALS[_hour_of_week(ms)]
    return bisect_right(arrivals, share * arrivals[-1], 0, len(arrivals) - 1)


class Rhythm:
    """Arrivals between two times, in epoch milliseconds: dense in the daytime, thin at night and on weekends."""

    __slots__ = ("_bounds", "_sums")

    def __init__(self, first: int, last: int) -> None:
        """Lay out the hours between the two times."""
        inner = range((first // HOUR + 1) * HOUR, last, HOUR)
        self._bounds: list[int] = [first, *inner, max(first, last)]
        spans = zip(self._bounds, self._bounds[1:], strict=False)
        self._sums: list[float] = [
            0.0,
            *accumulate(_ARRIVALS[_hour_of_week(start)][-1] * (end - start) for start, end in spans),
        ]

    def at(self, share: float) -> int:
        """Give the time by which `share` (of [0, 1)) of all arrivals have come. Grows with the share."""
        wanted = share * self._sums[-1]
        index = bisect_right(self._sums, wanted, 1, len(self._sums) - 1) - 1
        before, after = self._sums[index], self._sums[index + 1]
        start, end = self._bounds[index], self._bounds[index + 1]
        return start + int((end - start) * (wanted - before) / (after - before)) if after > before else start
