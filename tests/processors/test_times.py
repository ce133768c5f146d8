from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.times import milliseconds
from schemas.events import epoch_ms

zones = st.one_of(st.just(UTC), st.timedeltas(-timedelta(hours=23), timedelta(hours=23)).map(timezone))
times = st.one_of(st.datetimes(timezones=zones), st.integers(), st.floats(allow_nan=False, allow_infinity=False))


@given(st.lists(times))
def test_a_batch_of_times_is_read_as_each_of_them(batch: list[datetime | float]) -> None:
    assert milliseconds(batch) == [epoch_ms(at) for at in batch]


def test_every_day_from_year_1_to_9999_is_counted() -> None:
    last = timedelta(hours=23, minutes=59, seconds=59, microseconds=999_999)
    days = [datetime.combine(date.fromordinal(day), time(), UTC) for day in range(1, date.max.toordinal() + 1, 3)]
    ends = [
        year_end + last
        for year in range(1, 10_000)
        for year_end in (datetime(year, 2, 28, tzinfo=UTC), datetime(year, 12, 31, tzinfo=UTC))
    ]
    for batch in (days, ends):
        assert milliseconds(batch) == [epoch_ms(at) for at in batch]


@pytest.mark.parametrize(
    "at",
    [datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None), float("nan"), float("inf")],
    ids=["no zone", "no number", "no end"],
)
def test_a_time_that_is_none_is_refused(at: datetime | float) -> None:
    with pytest.raises(ValueError, match="a time"):
        milliseconds([0, at])
