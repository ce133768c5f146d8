"""Who is reviewing what: leases of a few minutes, so that two managers do not get the same conversation.

A lease is a row of `review_leases`, and its generation says how often the conversation was taken. It changes by
comparing and setting: whoever found generation n inserts n + 1 under the token of exactly that step, of which
ClickHouse stores the first and drops the rest, and then reads who it was. So it holds for any number of processes on
one ClickHouse. All times are those of ClickHouse's clock.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Final, Protocol

from api.access.principal import Principal
from api.queries.asking import Queries
from api.queries.keys import OF_KEYS, bound, portions
from schemas.facts import Key

LEASE: Final = timedelta(minutes=5)
"""A conversation that is neither labelled nor left is free again after so long."""

_STANDING: Final = f"""
    SELECT c.assistant, c.conversation_id, c.generation, c.holder, c.until > now64(3, 'UTC')
    FROM review_leases AS c FINAL WHERE {OF_KEYS}
"""

_STEP: Final = """
    INSERT INTO review_leases (assistant, conversation_id, generation, holder, until)
    SETTINGS async_insert = 0, insert_deduplicate = 1, insert_deduplication_token = {token:String}
    VALUES ({assistant:String}, {id:String}, {generation:UInt64}, {holder:String},
        now64(3, 'UTC') + toIntervalMillisecond({for_ms:UInt64}))
"""


class Leases(Protocol):
    """Takes and gives back conversations for review. Every method raises Unavailable when the store does not answer.

    A person who asks from two windows is one holder.
    """

    async def claim(self, principal: Principal, candidates: Sequence[Key]) -> Key | None:
        """Take the first of `candidates` that nobody else holds, for five minutes; None when all are held.

        Candidates that the principal may not see are passed over.
        """

    async def renew(self, principal: Principal, key: Key) -> bool:
        """Hold on for another five minutes; False when it is not theirs any more."""

    async def release(self, principal: Principal, key: Key) -> None:
        """Give back what they hold; what they do not hold stays as it is."""


@dataclass(frozen=True, slots=True)
class _Lease:
    generation: int = 0
    holder: str = ""
    live: bool = False

    def is_of(self, principal: Principal) -> bool:
        return self.live and self.holder == principal.id

    def is_of_another(self, principal: Principal) -> bool:
        return self.live and self.holder != principal.id


_NONE: Final = _Lease()


class ReviewLeases:
    """`Leases` in ClickHouse."""

    def __init__(self, queries: Queries, lease: timedelta = LEASE) -> None:
        """`lease`: how long a conversation is held without a renewal."""
        self._queries = queries
        self._lease = lease

    async def claim(self, principal: Principal, candidates: Sequence[Key]) -> Key | None:
        """See Leases."""
        seen = [key for key in dict.fromkeys(candidates) if principal.sees(key[0])]
        for portion in portions(seen):
            standing = await self._standing(portion)
            for place, key in enumerate(portion):
                lease = standing.get(key, _NONE)
                if lease.is_of_another(principal):
                    continue
                await self._step(principal, key, lease, self._lease)
                # What was lost here was lost to someone who goes on from here too: look at all that is left.
                standing = await self._standing(portion[place:])
                if standing.get(key, _NONE).is_of(principal):
                    return key
        return None

    async def renew(self, principal: Principal, key: Key) -> bool:
        """See Leases. One that ran out is taken up again when nobody took it meanwhile."""
        lease = (await self._standing([key])).get(key, _NONE)
        if lease.holder != principal.id:
            return False
        await self._step(principal, key, lease, self._lease)
        return (await self._standing([key])).get(key, _NONE).is_of(principal)

    async def release(self, principal: Principal, key: Key) -> None:
        """See Leases."""
        lease = (await self._standing([key])).get(key, _NONE)
        if lease.is_of(principal):
            await self._step(principal, key, lease, timedelta(0))

    async def _standing(self, keys: Sequence[Key]) -> dict[Key, _Lease]:
        found = await self._queries.rows(_STANDING, bound(keys))
        return {
            (assistant, conversation_id): _Lease(generation, holder, bool(live))
            for assistant, conversation_id, generation, holder, live in found
        }

    async def _step(self, principal: Principal, key: Key, found: _Lease, length: timedelta) -> None:
        """Put a lease behind the one that was found, unless somebody else did so first."""
        generation = found.generation + 1
        await self._queries.write(
            _STEP,
            {
                "token": sha256(json.dumps([*key, generation]).encode()).hexdigest(),
                "assistant": key[0],
                "id": key[1],
                "generation": generation,
                "holder": principal.id,
                "for_ms": length // timedelta(milliseconds=1),
            },
        )
