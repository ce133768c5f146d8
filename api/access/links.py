"""One-time links: whoever opens one first is signed in. The embedded stack has no other way to sign people in.

A link is signed and good for a quarter of an hour. The ones used are remembered in memory only: so links made before
this process began are refused, and a restart never lets one be used twice.
"""

import secrets
import time
from collections.abc import Callable
from typing import Final

from itsdangerous import BadData

from api.access.cookies import signer

GOOD_S: Final = 900
PATH: Final = "/sign-in/link/"

_AHEAD_S: Final = 5.0
"""A link may come from another process, whose clock is the same but whose words took a while."""


class LinkRefused(Exception):  # noqa: N818  (an answer)
    """A link that signs nobody in; the text says why."""


def new_link(secret: str, now: float | None = None) -> str:
    """Give the path of a new link. `now`: epoch seconds."""
    issued_at = time.time() if now is None else now
    return PATH + str(signer(secret, "link").dumps([secrets.token_urlsafe(18), round(issued_at * 1_000)]))


class Links:
    """Takes the links of one secret, each once."""

    def __init__(self, secret: str, clock: Callable[[], float] = time.time) -> None:
        """`clock`: epoch seconds; it says too when this process began."""
        self._signer = signer(secret, "link")
        self._clock = clock
        self._began_at = clock()
        self._used: dict[str, float] = {}

    def take(self, token: str) -> None:
        """Use a link up. Raises LinkRefused when it is none, was used, is too old or older than this process."""
        try:
            nonce, issued_ms = self._signer.loads(token)
        except (BadData, ValueError, TypeError):
            raise LinkRefused("This is not a link of this Afterword.") from None
        issued_at, now = issued_ms / 1_000, self._clock()
        if nonce in self._used:
            raise LinkRefused("This link was used already.")
        if issued_at < self._began_at - 0.001:  # it is written in whole milliseconds
            raise LinkRefused("This link is from before the last start of Afterword.")
        if not now - GOOD_S <= issued_at <= now + _AHEAD_S:
            raise LinkRefused("This link is too old.")
        self._used = {one: at for one, at in self._used.items() if at >= now - GOOD_S - _AHEAD_S}
        self._used[nonce] = issued_at
