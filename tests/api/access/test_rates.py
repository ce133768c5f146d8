"""Buckets of tokens."""

import pytest

from api.access import rates
from api.access.rates import Buckets, network_of


class Clock:
    """Seconds that the test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_granted_and_then_as_many_as_come_in() -> None:
    clock = Clock()
    buckets = Buckets(10, 20, clock)
    assert [buckets.take("a").granted for _ in range(21)] == [True] * 20 + [False]
    assert buckets.take("a").wait_s == pytest.approx(0.1)
    assert buckets.take("b").granted
    clock.now += 0.25
    assert [buckets.take("a").granted for _ in range(3)] == [True, True, False]
    clock.now += 3_600
    assert [buckets.take("a").granted for _ in range(21)].count(True) == 20


def test_over_a_minute_no_more_is_granted_than_the_rate_and_one_burst() -> None:
    clock = Clock()
    buckets = Buckets(10, 20, clock)
    granted = 0
    for _ in range(60 * 100):
        granted += buckets.take("a").granted
        clock.now += 0.01
    assert granted == pytest.approx(20 + 600, abs=1)


def test_a_token_given_back_can_be_taken_again() -> None:
    buckets = Buckets(1, 1, Clock())
    assert buckets.take("a").granted
    buckets.give_back("a")
    buckets.give_back("a")
    buckets.give_back("nobody")
    assert [buckets.take("a").granted for _ in range(2)] == [True, False]


def test_no_more_names_are_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MOST_BUCKETS", 3)
    buckets = Buckets(1, 1, Clock())
    for name in "abcd":
        buckets.take(name)
    assert list(buckets._buckets) == ["b", "c", "d"]


def test_what_is_left_is_said_in_headers() -> None:
    left = Buckets(10, 20, Clock()).take("a")
    assert left.headers("rate") == {"RateLimit-Policy": '"rate";q=20;w=2', "RateLimit": '"rate";r=19;t=1'}


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("a socket", "a socket"),
    ],
)
def test_a_client_is_its_address_or_its_network(address: str, network: str) -> None:
    assert network_of((address, 1)) == network
    assert network_of(None) == ""
