"""The flush: what an epoch collected goes to the store, in an order that survives a crash between any two steps.

1 facts and dead letters, 2 records on their way home acknowledged, 3 rows; closing and commit follow in the worker.
Rows of conversations in memory are projected when the epoch ends, before the next one changes them: no row says more
than the facts stored before it.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final

from processors import loading, measures
from processors.cache import Cache
from processors.conversation import Conversation, Erased, Fact, Reload, pair_of
from processors.effects import Effects
from processors.epoch import Epoch
from processors.intake import dead_letter
from processors.loading import Found
from processors.measures import Metrics
from processors.persistence import Abandoned, Persistence, insert_bisecting, sleep_unless
from processors.projection import Projection, project
from schemas.conversation import Version
from schemas.facts import Key
from schemas.failures import Invalid, Reason, Unavailable
from schemas.store import Erasure
from schemas.wire import decode

log = logging.getLogger(__name__)

_FOLD_CHUNK: Final = 1_000
"""So many conversations are folded before other tasks of the loop get their turn."""
STALE_SECONDS: Final = 30.0
"""How long a store may answer from an old state before its row is given up."""
_STALE_PAUSE: Final = 0.5


class Flush:
    """One flush of one epoch. `begin` at the very end of the epoch, then `run`, then `confirm` once all is stored."""

    def __init__(
        self,
        epoch: Epoch,
        *,
        coming: Epoch,
        persistence: Persistence,
        cache: Cache,
        metrics: Metrics,
        effects_of: Callable[[str], Effects],
        partitions: int,
        clocks: Mapping[int, int],
        rules_revision: int,
        now: Callable[[], int],
        stale_seconds: float = STALE_SECONDS,
    ) -> None:
        """`coming`: the epoch collected meanwhile; `clocks`: epoch ms by partition, as of now.

        `partitions`: how many both topics have.
        """
        self.given_up = asyncio.Event()
        self.newest_rules = rules_revision
        self._epoch = epoch
        self._coming = coming
        self._persistence = persistence
        self._cache = cache
        self._metrics = metrics
        self._effects_of = effects_of
        self._partitions = partitions
        self._clocks = clocks
        self._rules = rules_revision
        self._now = now
        self._stale_seconds = stale_seconds
        self._projections: list[Projection] = []
        self._erasures: list[Erasure] = []

    def begin(self) -> None:
        """Fold what waited for a load that is done by now, and project what is in memory. Must not be interrupted."""
        epoch = self._epoch
        for key in [key for key in epoch.waiting if key in self._cache and key not in epoch.dropped]:
            conversation = self._cache.get(key)
            assert conversation is not None
            self._fold_waiting(key, conversation, epoch.waiting.pop(key))
        self._project([one for one in epoch.touched if one.key not in epoch.dropped])

    def _fold_waiting(self, key: Key, conversation: Conversation, facts: list[Fact]) -> None:
        try:
            for fact in facts:
                try:
                    conversation.add(fact.event, fact.at, fact.pair[:8], fact.pair)
                except Erased:
                    continue
        except Reload:
            self._cache.drop(key)
            self._epoch.dropped.add(key)
        else:
            if conversation.epoch != self._epoch.number:
                conversation.epoch = self._epoch.number
                self._epoch.touched.append(conversation)
            # These facts are stored with the others of the epoch: what an erasure took is deleted again behind them.
            self._erasures.extend(loading.erasures_due([conversation], {key: facts}))

    def _project(self, conversations: Collection[Conversation]) -> None:
        self._projections.append(project(conversations, self._clocks, self._rules, self._now()))

    async def run(self) -> None:
        """Bring everything to the store. Raises Abandoned when `given_up` is set before the end."""
        epoch = self._epoch
        missing = list({**dict.fromkeys(epoch.waiting), **dict.fromkeys(epoch.dropped)})
        refused, found = await asyncio.gather(self._store_facts(), self._find(missing))
        if refused:
            again = list(dict.fromkeys(self._refuse(refused)))
            more = await self._find([key for key in again if key not in missing])
            found.facts.update(more.facts)
            found.rows.update(more.rows)
            missing = list(dict.fromkeys([*missing, *again]))
        await self._store_letters()
        await self._load(missing, found, set(refused))
        await self._arrive_home()
        await self._store_rows()
        if self._erasures:
            erase = partial(self._persistence.writer.erase, self._erasures)
            await self._persistence.write("erase", erase, self.given_up)

    async def _store_facts(self) -> list[int]:
        if not self._epoch.facts:
            return []
        insert = partial(insert_bisecting, self._persistence.writer.insert_facts, self._epoch.facts)
        return await self._persistence.write("insert facts", insert, self.given_up)

    def _refuse(self, places: Sequence[int]) -> list[Key]:
        """Facts that the store refuses become dead letters; their conversations are read again, without them."""
        keys = []
        for place in places:
            keys.append((self._epoch.facts.assistant[place], self._epoch.facts.conversation_id[place]))
            self._bury(place, "ClickHouse refuses the fact")
        for key in keys:
            self._forget(key)
        self._projections = [one.without(set(keys)) for one in self._projections]
        self._epoch.dropped.update(keys)
        return keys

    def _forget(self, key: Key) -> None:
        """Drop a conversation; the coming epoch, which may have folded facts into it, reads it as a whole."""
        former = self._cache.get(key)
        self._cache.drop(key)
        if former is not None and former.epoch == self._coming.number:
            self._coming.dropped.add(key)

    def _bury(self, place: int, detail: str) -> None:
        topic, partition, record = self._epoch.origin(place)
        assistant = self._epoch.facts.assistant[place]
        invalid = Invalid(Reason.REFUSED, detail)
        self._epoch.letters.append(dead_letter(topic, partition, record, invalid, assistant, self._now()))
        self._metrics.count(measures.DEAD_LETTERS, 1, Reason.REFUSED)

    async def _store_letters(self) -> None:
        if self._epoch.letters:
            insert = partial(self._persistence.writer.insert_dead_letters, self._epoch.letters)
            await self._persistence.write("insert dead letters", insert, self.given_up)

    async def _find(self, keys: Sequence[Key]) -> Found:
        """Look conversations up, once more as long as the store answers from an old state."""
        if not keys:
            return Found()
        reader = self._persistence.reader
        found = await self._persistence.read("read facts", partial(loading.read, reader, keys), self.given_up)
        deadline = asyncio.get_running_loop().time() + self._stale_seconds
        while found.stale and asyncio.get_running_loop().time() < deadline:
            self._metrics.count(measures.STALE_READS, len(found.stale))
            await sleep_unless(self.given_up, _STALE_PAUSE)
            look = partial(loading.read, reader, found.stale)
            again = await self._persistence.read("read facts", look, self.given_up)
            found.rows.update(again.rows)
            for key in found.stale:
                found.facts[key] = again.facts.get(key, [])
            # An answer from before the first fact finds no row either: it takes the row that was seen to tell.
            found.stale = [key for key in found.stale if loading.is_stale(found.rows[key], found.facts[key])]
        if found.stale:
            log.error("rows say more than the facts there are, and are made anew from the facts: %s", found.stale[:10])
            delete = partial(self._persistence.writer.delete_rows, found.stale)
            await self._persistence.write("delete stale rows", delete, self.given_up)
            for key in found.stale:
                del found.rows[key]
        for row in found.rows.values():
            self.newest_rules = max(self.newest_rules, Version.revisions(row.version)[1])
        if found.unreadable:
            log.error("%d stored facts cannot be read by this version and do not count", found.unreadable)
        return found

    async def _load(self, keys: Sequence[Key], found: Found, refused: set[int]) -> None:
        """Fold and project what was not in memory, some at a time; each is whole before another task sees it."""
        pending = self._pending(keys, refused)
        self._metrics.count(measures.RELOADED, len(keys))
        for start in range(0, len(keys), _FOLD_CHUNK):
            if start:
                await asyncio.sleep(0)
                if self.given_up.is_set():
                    raise Abandoned  # the cache is that of another assignment
            chunk = keys[start : start + _FOLD_CHUNK]
            loaded = loading.fold(found, pending, chunk, self._partitions, self._effects_of)
            self._project(loaded)
            self._erasures.extend(loading.erasures_due(loaded, pending))
            for conversation in loaded:
                if conversation.key not in self._coming.dropped:
                    self._cache.put(conversation)

    def _pending(self, keys: Sequence[Key], refused: set[int]) -> Mapping[Key, Sequence[Fact]]:
        """Facts of this epoch for these conversations, those included that a dropped one had folded already."""
        epoch = self._epoch
        if not epoch.dropped:
            return epoch.waiting
        pending: dict[Key, list[Fact]] = {key: epoch.waiting.get(key, []) for key in keys if key not in epoch.dropped}
        facts = epoch.facts
        names = zip(facts.assistant, facts.conversation_id, strict=True)
        for place, key in enumerate(names):
            if key in epoch.dropped and place not in refused:
                event, at = decode(facts.payload[place])
                digest = facts.digest[place]
                pending.setdefault(key, []).append(Fact(event, at, digest, pair_of(event.id, digest)))
        return pending

    async def _arrive_home(self) -> None:
        """Wait until every record that was sent home is acknowledged; send again what was not."""
        for one in self._epoch.homeward:
            try:
                await one.sent
            except Unavailable:
                await self._persistence.persist("send home", one.send, self.given_up)

    async def _store_rows(self) -> None:
        rows = self._projections[0].rows
        for more in self._projections[1:]:
            rows.extend(more.rows)
        self._metrics.count(measures.ROWS, len(rows))
        insert = partial(insert_bisecting, self._persistence.writer.insert_rows, rows)
        refused = await self._persistence.write("insert rows", insert, self.given_up)
        if not refused:
            return
        names = rows.columns["assistant"], rows.columns["conversation_id"]
        keys = {(names[0][place], names[1][place]) for place in refused}
        log.error("ClickHouse refuses the rows of %s", sorted(keys)[:10])
        for place, key in enumerate(zip(self._epoch.facts.assistant, self._epoch.facts.conversation_id, strict=True)):
            if key in keys:
                self._bury(place, "ClickHouse refuses the row of its conversation; the fact is stored")
        self._projections = [one.without(keys) for one in self._projections]
        for key in keys:
            self._forget(key)
        await self._store_letters()

    def confirm(self) -> int:
        """Note that all is stored; gives how many conversations were written."""
        written = 0
        for projection in self._projections:
            projection.confirm()
            self._cache.recount(projection.conversations)
            written += len(projection.conversations)
        return written
