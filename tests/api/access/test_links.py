"""One-time links: each signs one person in, once, for a quarter of an hour, and never after a restart."""

import pytest

from api.access.links import GOOD_S, PATH, LinkRefused, Links, new_link
from tests.api.access.world import SECRET

NOW = 1_790_000_000.25


class Clock:
    """Epoch seconds that the test sets."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def token(now: float, secret: str = SECRET) -> str:
    path = new_link(secret, now)
    assert path.startswith(PATH)
    return path.removeprefix(PATH)


def test_a_link_works_once() -> None:
    clock = Clock()
    links, link = Links(SECRET, clock), token(NOW)
    clock.now += GOOD_S - 1
    links.take(link)
    with pytest.raises(LinkRefused, match="used already"):
        links.take(link)
    links.take(token(clock.now))


def test_a_link_ends_after_a_quarter_of_an_hour() -> None:
    clock = Clock()
    links, link = Links(SECRET, clock), token(NOW)
    clock.now += GOOD_S + 0.5
    with pytest.raises(LinkRefused, match="too old"):
        links.take(link)


def test_a_restart_never_lets_a_link_be_used_twice() -> None:
    link = token(NOW)
    Links(SECRET, Clock()).take(link)
    with pytest.raises(LinkRefused, match="before the last start"):
        Links(SECRET, Clock(NOW + 0.01)).take(link)


def test_a_used_link_is_remembered_until_it_is_too_old() -> None:
    clock = Clock()
    links, link = Links(SECRET, clock), token(NOW)
    links.take(link)
    for _ in range(int(GOOD_S / 10)):
        clock.now += 10
        links.take(token(clock.now))
        with pytest.raises(LinkRefused):
            links.take(link)
    assert len(links._used) < GOOD_S / 10 + 10


def test_a_link_from_the_future_is_none() -> None:
    with pytest.raises(LinkRefused):
        Links(SECRET, Clock()).take(token(NOW + 60))


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "nonsense",
        token(NOW, secret="another secret, as long as the first one is"),
        token(NOW)[:-1],
        token(NOW) + "a",
        "." + token(NOW),
        "\x00",
        "é.é.é",
    ],
)
def test_what_was_not_signed_here_is_no_link(wrong: str) -> None:
    with pytest.raises(LinkRefused, match="not a link of this Afterword"):
        Links(SECRET, Clock()).take(wrong)
