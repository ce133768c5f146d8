"""How often somebody may ask: a bucket of tokens each, filled evenly, emptied by asking."""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MOST_BUCKETS: Final = 10_000
"""So many are remembered; whoever asked longest ago is forgotten first, which only makes their bucket full again."""

FAILURES_A_SECOND: Final = 1.0
FAILURES_AT_ONCE: Final = 20.0
"""Wrong keys and links that one client address may try."""


@dataclass(frozen=True, slots=True)
class Left:
    """What is left in a bucket after asking. `wait_s`: until it may be asked again, 0 when this asking was granted."""

    granted: bool
    tokens: float
    wait_s: float
    burst: float
    per_second: float

    def headers(self, name: str) -> dict[str, str]:
        """Say it as draft-ietf-httpapi-ratelimit-headers does."""
        full_in = math.ceil((self.burst - self.tokens) / self.per_second)
        return {
            "RateLimit-Policy": f'"{name}";q={self.burst:.0f};w={math.ceil(self.burst / self.per_second)}',
            "RateLimit": f'"{name}";r={math.floor(self.tokens)};t={full_in}',
        }


class Buckets:
    """A bucket for each name: `burst` tokens at most, `per_second` more each second."""

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds that only grow."""
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, when

    def take(self, name: str) -> Left:
        """Take a token, if there is one."""
        now = self._clock()
        tokens, at = self._buckets.get(name, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._per_second)
        granted = tokens >= 1
        tokens -= granted
        self._buckets[name] = tokens, now
        self._buckets.move_to_end(name)
        if len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
        return Left(granted, tokens, 0.0 if granted else (1 - tokens) / self._per_second, self._burst, self._per_second)

    def give_back(self, name: str) -> None:
        """Put a token back that was taken for something that does not count."""
        if name in self._buckets:
            tokens, at = self._buckets[name]
            self._buckets[name] = min(self._burst, tokens + 1), at


def network_of(client: tuple[str, int] | None) -> str:
    """Give what counts as one client: its address; of IPv6 the first half, for a household has all of the second."""
    if client is None:
        return ""
    try:
        address = ipaddress.ip_address(client[0])
    except ValueError:
        return client[0]
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
