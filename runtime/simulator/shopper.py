"""Who writes: a person with a country, a language, a channel and a device; the same number is the same person."""

from collections.abc import Callable
from typing import NamedTuple

from runtime.simulator.phrasebook import Phrasebook, phrasebook
from runtime.simulator.rhythm import COUNTRIES, country_at

Draw = Callable[[], float]
"""The next number of [0, 1)."""

_PER_COUNTRY = 5_000
_ANONYMOUS = 0.12


class Channel(NamedTuple):
    """A way to write to the shop."""

    name: bytes
    pace: float
    """How much slower than in a web chat people answer each other."""
    devices: tuple[bytes, ...]
    """JSON fields that tell the device, as likely as they are often named."""


def _agents(*texts: str) -> tuple[bytes, ...]:
    return tuple(f',"user_agent":"{text}"'.encode() for text in texts)


_BROWSERS = _agents(
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Version/26.0 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0"
    " Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (iPad; CPU OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0"
    " Mobile/15E148 Safari/604.1",
)
_MOBILE, _TABLET, _DESKTOP = b',"device":"mobile"', b',"device":"tablet"', b',"device":"desktop"'

_WEB = Channel(b"web", 1.0, _BROWSERS)
_APP = Channel(b"app", 1.0, (_MOBILE, _MOBILE, _MOBILE, _MOBILE, _TABLET))
_WHATSAPP = Channel(b"whatsapp", 3.0, (_MOBILE,))
_MESSENGER = Channel(b"messenger", 2.0, (_MOBILE, _MOBILE, _DESKTOP, b""))
_EMAIL = Channel(b"email", 25.0, (_DESKTOP, b"", b""))
_CHANNELS = (_WEB,) * 9 + (_APP,) * 5 + (_WHATSAPP,) * 3 + (_MESSENGER,) * 2 + (_EMAIL,)


class Shopper(NamedTuple):
    """The person of one conversation, as JSON fields; `user` is '' while nobody knows them."""

    book: Phrasebook
    channel: Channel
    name: bytes
    city: bytes
    user: bytes
    """The field `user`."""
    anonymous: bool
    """Whether the conversation begins without knowing the user."""
    profile: bytes
    """Channel, device, place and language."""


def shopper(draw: Draw, at: int) -> Shopper:
    """Draw who writes at that time (epoch milliseconds)."""
    index = country_at(at, draw())
    country = COUNTRIES[index]
    number = int(draw() ** 3 * _PER_COUNTRY)  # some come often
    book = phrasebook(country.languages[number % len(country.languages)])
    name = book.customers[number % len(book.customers)]
    city = country.cities[number % len(country.cities)]
    channel = _CHANNELS[int(draw() * len(_CHANNELS))]
    place, tongue = draw(), draw()
    profile = b"".join(
        (
            b',"channel":"',
            channel.name,
            b'"',
            channel.devices[int(draw() * len(channel.devices))],
            (b',"location":"%b"' % city)
            if place < 0.7
            else (b',"country":"%b"' % country.code)
            if place < 0.9
            else b"",
            (b',"language":"%b"' % book.code.encode()) if tongue < 0.75 else b"",
        )
    )
    user = b'"user":{"id":"u-%d","name":"%b %c."}' % (10_000 + index * _PER_COUNTRY + number, name, 65 + number % 26)
    return Shopper(book, channel, name, city, user, draw() < _ANONYMOUS, profile)
