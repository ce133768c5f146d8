"""How values read."""

from datetime import UTC, datetime, timedelta

import pytest

from api.pages import words
from schemas.conversation import FallbackCause

NOW = datetime(2026, 11, 11, 14, 2, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [
        (None, words.NOTHING),
        (0, "0 s"),
        (999, "0 s"),
        (48 * SECOND, "48 s"),
        (59_999, "59 s"),
        (MINUTE, "1 min"),
        (3 * MINUTE + 4 * SECOND, "3 min 4 s"),
        (59 * MINUTE + 59 * SECOND, "59 min 59 s"),
        (2 * HOUR + 10 * MINUTE + 59 * SECOND, "2 h 10 min"),
        (3 * DAY + 59 * MINUTE, "3 d"),
        (3 * DAY + 5 * HOUR, "3 d 5 h"),
        (1_200 * DAY, "1,200 d"),
        (184_500.0, "3 min 4 s"),
    ],
)
def test_a_duration_has_at_most_two_units(milliseconds, said):
    assert words.duration(milliseconds) == said


@pytest.mark.parametrize(
    ("at", "said"),
    [
        pytest.param(NOW - timedelta(hours=5), "Wed 09:02", id="today"),
        pytest.param(NOW - timedelta(days=5), "Fri 14:02", id="within a week"),
        pytest.param(NOW - timedelta(days=7), "4 Nov 14:02", id="the same weekday before is not this one"),
        pytest.param(NOW.replace(year=2025), "11 Nov 2025 14:02", id="another year"),
        pytest.param(NOW + timedelta(hours=1), "11 Nov 15:02", id="in the future"),
        pytest.param(None, words.NOTHING, id="never"),
    ],
)
def test_a_moment_is_a_weekday_within_a_week_and_else_a_date(at, said):
    assert words.moment(at, NOW) == said


def test_beside_a_time_of_the_same_day_the_time_of_day_says_it_all():
    since = NOW - timedelta(days=40)
    assert words.moment(since + timedelta(minutes=3), NOW, since) == "14:05"
    assert words.moment(since + timedelta(days=1), NOW, since) == "3 Oct 14:02"


def test_an_exact_time_is_in_utc():
    assert words.exact(NOW) == "2026-11-11 14:02:00 UTC"


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, words.NOTHING), (0, "0"), (3_412, "3,412"), (2.0, "2"), (2.5, "2.5"), (1_234.56, "1,234.6")],
)
def test_a_number_has_its_thousands_apart(value, said):
    assert words.number(value) == said


@pytest.mark.parametrize(("value", "said"), [(None, words.NOTHING), (0, "0.0 %"), (0.12449, "12.4 %"), (1, "100.0 %")])
def test_a_rate_of_nothing_is_no_rate(value, said):
    assert words.rate(value) == said


@pytest.mark.parametrize(
    ("value", "said"), [(None, words.NOTHING), (0.62, "0.6 s"), (99.96, "100.0 s"), (600, "10 min")]
)
def test_a_short_time_is_said_to_a_tenth_of_a_second(value, said):
    assert words.seconds(value) == said


def test_one_is_singular():
    assert [words.plural(count, "message") for count in (0, 1, 3_412)] == ["0 messages", "1 message", "3,412 messages"]
    assert words.plural(2, "query", "queries") == "2 queries"


def _cause(reason, rule="reported"):
    return FallbackCause(event_id="e", rule=rule, reason=reason, confidence=None)


def test_the_main_cause_is_the_most_frequent_and_then_the_first():
    assert words.cause([_cause("error"), _cause("no_knowledge"), _cause("no_knowledge")]) == "no knowledge passage"
    assert words.cause([_cause("low_confidence"), _cause("error")]) == "low confidence"


def test_fallbacks_without_a_kept_cause_still_have_words():
    assert words.cause([]) == words.reason("other")


def test_all_causes_are_said_once_with_how_often():
    said = words.causes([_cause("error"), _cause("no_knowledge"), _cause("error")])
    assert said == "an error (2 times), no knowledge passage"


@pytest.mark.parametrize("name", ["no_knowledge", "low_confidence", "not_understood", "error", "other"])
def test_every_reason_of_the_contract_has_words(name):
    assert name in words.REASONS


@pytest.mark.parametrize("name", ["reported", "flagged", "intent", "low_confidence", "no_sources", "pattern"])
def test_every_rule_of_the_fold_has_words(name):
    assert name in words.RULES
