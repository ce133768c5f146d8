"""The keys that programs come with: known from the store, in memory, and never older than a few seconds.

A key is looked up in memory. What is known is read again on demand: in the background when it is older than REFRESH_S,
and before the answer when it is older than STALE_S, so that a revoked key ends within that time. While the store does
not answer the last known keys go on working: on a cluster events must be taken while ClickHouse is down. A key that is
not known asks the store at once, together with all others that wait, and at most once in LOOKUP_S: guessing cannot
hammer it.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

from api.access.key_format import digest_of, id_in
from api.access.principal import Principal, Scope
from schemas.api_keys import ApiKey
from schemas.failures import Unavailable

log = logging.getLogger(__name__)

REFRESH_S: Final = 2.0
STALE_S: Final = 2.5
LOOKUP_S: Final = 0.2
PATIENCE_S: Final = 1.0
"""So long a known key waits for a store that is slow; after that it counts as known until the store has answered."""

LONG_PATIENCE_S: Final = 8.0
"""So long a key that is not known waits for the store before the answer is that nobody can tell."""

_SCOPES: Final = {scope.value for scope in Scope}


class KeyStore(Protocol):
    """Where keys are stored. It blocks, is called from one thread at a time, and raises Unavailable."""

    def read(self) -> Sequence[ApiKey]:
        """Give every key, revoked ones too."""


class MemoryKeys:
    """A KeyStore in memory; `down` makes it raise Unavailable."""

    def __init__(self, *keys: ApiKey) -> None:
        self.keys = list(keys)
        self.down = False

    def read(self) -> Sequence[ApiKey]:
        """See KeyStore."""
        if self.down:
            raise Unavailable("the keys are down")
        return tuple(self.keys)


class KeyRing:
    """Says whose a key is. For one event loop; `close` ends what runs in the background."""

    def __init__(self, store: KeyStore, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds that only grow."""
        self._store = store
        self._clock = clock
        self._keys: dict[str, ApiKey] | None = None
        self._read_at = float("-inf")  # when the reading began that gave `_keys`
        self._began_at = float("-inf")
        self._struggles = False
        self._reading: asyncio.Task[None] | None = None

    def knows(self, text: str) -> bool:
        """Whether this key was good when the keys were last read; asks nobody."""
        return self._held(text) is not None

    async def find(self, text: str) -> Principal | None:
        """Give whose key this is, None when it is nobody's or revoked.

        Raises Unavailable when it is not known and the store does not answer.
        """
        key_id = id_in(text)
        if key_id is None:
            return None
        if self._keys is None or key_id not in self._keys:
            await self._ask_now()
        else:
            await self._keep_fresh()
        held = self._held(text)
        return None if held is None else _principal(held)

    async def close(self) -> None:
        """Wait for what is being read; nothing may be asked afterwards."""
        if self._reading is not None:
            with suppress(Unavailable):
                await self._reading

    def _held(self, text: str) -> ApiKey | None:
        key = (self._keys or {}).get(id_in(text) or "")
        if key is None or key.revoked_at is not None or not hmac.compare_digest(key.digest, digest_of(text)):
            return None
        return key

    async def _keep_fresh(self) -> None:
        now = self._clock()
        running = self._reading is not None and not self._reading.done()
        if now - self._read_at < REFRESH_S or (not running and now - self._began_at < REFRESH_S):
            return
        reading = self._read()
        if now - self._read_at >= STALE_S and not self._struggles:
            done, _ = await asyncio.wait({reading}, timeout=PATIENCE_S)
            if not done:
                self._note_trouble("ClickHouse takes too long")

    async def _ask_now(self) -> None:
        """Wait for a reading that began after this moment: the key may have been made a moment ago."""
        asked_at, end = self._clock(), time.monotonic() + LONG_PATIENCE_S
        while self._read_at < asked_at:
            reading = self._read()
            done, _ = await asyncio.wait({reading}, timeout=max(0.0, end - time.monotonic()))
            if not done:
                raise Unavailable("the keys cannot be read: ClickHouse takes too long")
            reading.result()

    def _read(self) -> asyncio.Task[None]:
        """Give the reading that runs, or begin one."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_once())
            self._reading.add_done_callback(_seen)
        return self._reading

    async def _read_once(self) -> None:
        await asyncio.sleep(self._began_at + LOOKUP_S - self._clock())
        began_at = self._began_at = self._clock()
        try:
            keys = await asyncio.to_thread(self._store.read)
        except Unavailable as error:
            self._note_trouble(str(error))
            raise
        self._keys = {key.id: key for key in keys}
        self._read_at, self._struggles = began_at, False

    def _note_trouble(self, why: str) -> None:
        """Known keys do not wait for the store any more, until it has answered."""
        if not self._struggles:
            log.warning("the keys cannot be read, the last known ones go on: %s", why)
        self._struggles = True


def _seen(reading: asyncio.Task[None]) -> None:
    """Look at how a reading ended: in the background nobody else does."""
    if not reading.cancelled() and not isinstance(error := reading.exception(), Unavailable | None):
        log.error("the keys cannot be read: a bug", exc_info=error)


def _principal(key: ApiKey) -> Principal:
    scopes = frozenset(Scope(name) for name in key.scopes if name in _SCOPES)  # others are those of a newer version
    return Principal(f"key:{key.id}", key.name or f"key {key.id}", scopes, key.assistant)
