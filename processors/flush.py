"""The flush: what an epoch collected is folded and goes to the store, in an order that survives a crash at any step.

1 facts and dead letters, 2 records on their way home acknowledged, 3 rows; closing and commit follow in the worker.
Only a flush changes conversations, one flush at a time, and it folds just the facts that it stores before their rows:
so no row says more than what is stored. Fold and projection of a conversation happen together, while it is in the CPU's
cache.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Final, TypeVar

from processors import loading, measures
from processors.cache import Cache
from processors.conversation import Conversation, fold_into
from processors.crash_point import CrashPoint, Passing, unharmed
from processors.effects import Effects
from processors.epoch import Epoch
from processors.intake import dead_letter
from processors.loading import Found
from processors.measures import Metrics
from processors.persistence import Abandoned, Persistence, insert_bisecting, sleep_unless
from processors.projection import Projection, project
from processors.records import Taken
from schemas.conversation import RowColumns, Version
from schemas.facts import Facts, Key
from schemas.failures import Invalid, Reason, Unavailable
from schemas.store import Erasure, Frontier

log = logging.getLogger(__name__)
T = TypeVar("T")

_CHUNK: Final = 1_000
"""So many conversations are folded before other tasks of the loop get their turn."""
STALE_SECONDS: Final = 30.0
"""How long a store may answer from an old state before its row is given up."""
_STALE_PAUSE: Final = 0.5


class Flush:
    """One flush of one epoch.

    Who gives one up before its end has to forget all conversations: they know what is not stored.
    """

    def __init__(
        self,
        epoch: Epoch,
        *,
        persistence: Persistence,
        cache: Cache,
        metrics: Metrics,
        effects_of: Callable[[str], Effects],
        partitions: int,
        required: Frontier,
        clocks: Mapping[int, int],
        rules_revision: int,
        now: Callable[[], int],
        stale_seconds: float = STALE_SECONDS,
        passing: Passing = unharmed,
    ) -> None:
        """`clocks`: epoch ms by partition, as of now; `partitions`: how many both topics have.

        `required`: how far the store has said already that it has everything.
        `passing` is told of each crash point.
        """
        self.given_up = asyncio.Event()
        self.newest_rules = rules_revision
        self.stored: Facts | None = None
        self._epoch = epoch
        self._persistence = persistence
        self._cache = cache
        self._metrics = metrics
        self._effects_of = effects_of
        self._partitions = partitions
        self._required = required
        self._clocks = clocks
        self._rules = rules_revision
        self._now = now
        self._stale_seconds = stale_seconds
        self._passing = passing
        self._projections: list[Projection] = []
        self._erasures: list[Erasure] = []

    async def run(self) -> None:
        """Bring everything to the store. Raises Abandoned when `given_up` is set before the end."""
        facts = self._epoch.facts
        cached: list[Key] = []
        missing: list[Key] = []
        for key in facts:
            (cached if key in self._cache else missing).append(key)
        finding = asyncio.create_task(self._find(missing))
        try:
            known, dropped = await self._fold_cached(cached)
            self._passing(CrashPoint.AFTER_FOLD)
            refused = set(await self._store_facts(known))
            found = await finding
        finally:
            finding.cancel()
            await asyncio.wait([finding])
        at_fault = self._refuse(refused)
        again = [*dropped, *at_fault]
        if again:
            looked_up = set(missing)
            more = await self._find([key for key in dict.fromkeys(again) if key not in looked_up])
            found.facts.update(more.facts)
            found.rows.update(more.rows)
        await self._store_letters()
        self._passing(CrashPoint.BETWEEN_INSERTS)
        # A record that came twice is refused once: what counts is the fact, not the place.
        spoiled = {fact.pair for key in at_fault for fact in facts[key] if fact.place in refused}
        await self._fold_found(list(dict.fromkeys([*missing, *again])), found, spoiled)
        await self._arrive_home()
        await self._store_rows()
        await self._note(self._epoch.frontier)
        self._passing(CrashPoint.AFTER_INSERT)
        if self._erasures:
            erase = partial(self._persistence.writer.erase, self._erasures)
            await self._persistence.write("erase", erase, self.given_up)

    async def _fold_cached(self, cached: Sequence[Key]) -> tuple[set[int], list[Key]]:
        """Fold and project what is in memory.

        Gives the places of facts that are not to be stored (known, or taken by an erasure), and the conversations that
        have to be read as a whole.
        """
        known: set[int] = set()
        dropped: list[Key] = []
        erased = 0
        facts, number = self._epoch.facts, self._epoch.number
        async for chunk in self._chunks(cached):
            folded, unreadable, gone = fold_into([self._cache[key] for key in chunk], facts, number, known)
            for key in unreadable:
                self._cache.drop(key)
            dropped += unreadable
            erased += gone
            self._project(folded)
        self._metrics.count(measures.DUPLICATES, len(known) - erased)
        self._metrics.count(measures.ERASED, erased)
        return known, dropped

    async def _chunks(self, those: Sequence[T]) -> AsyncIterator[Sequence[T]]:
        """Give conversations some at a time; each is whole before another task of the loop goes on."""
        for start in range(0, len(those), _CHUNK):
            if start:
                await asyncio.sleep(0)
            if self.given_up.is_set():
                raise Abandoned  # the cache is that of another assignment
            yield those[start : start + _CHUNK]

    def _project(self, conversations: Collection[Conversation]) -> None:
        projection = project(conversations, self._clocks, self._rules, self._now())
        self._projections.append(projection)
        self._cache.bytes += projection.grown

    async def _store_facts(self, known: AbstractSet[int]) -> list[int]:
        """Store the facts of the epoch but those known; gives the places of those that the store refuses."""
        columns = self._epoch.columns
        places: Sequence[int] = range(len(columns))
        if known:
            places = [place for place in places if place not in known]
            columns = columns.take(places)
        self.stored = columns
        if not len(columns):
            return []
        insert = partial(insert_bisecting, self._persistence.writer.insert_facts, columns)
        refused = await self._persistence.write("insert facts", insert, self.given_up)
        return [places[place] for place in refused]

    def _refuse(self, refused: AbstractSet[int]) -> list[Key]:
        """Facts that the store refuses become dead letters; their conversations are read again, without them."""
        if not refused:
            return []
        self._bury(sorted(refused), "ClickHouse refuses the fact")
        columns = self._epoch.columns.take(sorted(refused)).columns()
        keys = list(dict.fromkeys(zip(columns.assistant, columns.conversation_id, strict=True)))
        self._forget(keys)
        return keys

    def _forget(self, keys: Collection[Key]) -> None:
        """Take conversations out of memory and out of the rows."""
        for key in keys:
            self._cache.drop(key)
        self._projections = [one.without(keys) for one in self._projections]

    def _bury(self, places: Sequence[int], detail: str) -> None:
        invalid = Invalid(Reason.REFUSED, detail)
        facts = self._epoch.columns.take(places).columns()
        for number, place in enumerate(places):
            origin = self._epoch.origin(place)
            nth = place - origin.start
            record = Taken(origin.offsets[nth], facts.recorded_at[number], origin.keys[nth], facts.payload[number])
            letter = dead_letter(origin.topic, origin.partition, record, invalid, facts.assistant[number], self._now())
            self._epoch.letters.append(letter)
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
        look = partial(loading.read, reader, keys, self._required, self._effects_of)
        found = await self._persistence.read("read facts", look, self.given_up)
        stale = loading.unwhole(found, keys, self._partitions)
        deadline = asyncio.get_running_loop().time() + self._stale_seconds
        while stale and asyncio.get_running_loop().time() < deadline:
            self._metrics.count(measures.STALE_READS, len(stale))
            await sleep_unless(self.given_up, _STALE_PAUSE)
            look = partial(loading.read, reader, stale, self._required, self._effects_of)
            again = await self._persistence.read("read facts", look, self.given_up)
            found.behind = again.behind
            # An answer from before the first fact finds no row: one that was seen before is kept to tell.
            found.rows.update(again.rows)
            for key in stale:
                found.facts[key] = again.facts.get(key, [])
            stale = loading.unwhole(found, stale, self._partitions)
        if stale:
            await self._take_as_it_is(found, stale)
        for row in found.rows.values():
            self.newest_rules = max(self.newest_rules, Version.revisions(row.version)[1])
        if found.unreadable:
            log.error("%d stored facts cannot be read by this version and do not count", found.unreadable)
        return found

    async def _note(self, frontier: Frontier) -> None:
        note = partial(self._persistence.writer.insert_frontier, frontier)
        await self._persistence.write("insert frontier", note, self.given_up)

    async def _take_as_it_is(self, found: Found, stale: Sequence[Key]) -> None:
        """Go on with a store that stays behind: it has lost what it had, or offsets were set by hand."""
        for (topic, partition), offset in found.behind.items():
            log.error(
                "%s[%d] was committed up to %d, and the store has it up to %d: what is missing comes when the group is "
                "made to read from there again",
                topic,
                partition,
                self._required[topic, partition],
                offset,
            )
        await self._note({place: self._required[place] for place in found.behind})
        boasting = [key for key in stale if loading.is_stale(found, key)]
        if boasting:
            log.error("rows say more than the facts there are, and are made anew from the facts: %s", boasting[:10])
            delete = partial(self._persistence.writer.delete_rows, boasting)
            await self._persistence.write("delete stale rows", delete, self.given_up)
            for key in boasting:
                del found.rows[key]

    async def _fold_found(self, keys: Sequence[Key], found: Found, refused: AbstractSet[bytes]) -> None:
        """Fold and project what was not in memory, from what is stored and what came."""
        self._metrics.count(measures.RELOADED, len(keys))
        async for chunk in self._chunks(keys):
            pending = {key: [fact for fact in self._epoch.facts[key] if fact.pair not in refused] for key in chunk}
            loaded = loading.fold(found, pending, chunk, self._partitions, self._effects_of)
            self._project(loaded)
            self._erasures.extend(loading.erasures_due(loaded, pending))
            for conversation in loaded:
                conversation.epoch = self._epoch.number
                self._cache.put(conversation)

    async def _arrive_home(self) -> None:
        """Wait until every record that was sent home is acknowledged; send again what was not."""
        for one in self._epoch.homeward:
            try:
                await one.sent
            except Unavailable:
                await self._persistence.persist("send home", one.send, self.given_up)
        if self._epoch.homeward:
            self._passing(CrashPoint.AFTER_PRODUCE)

    async def _store_rows(self) -> None:
        rows = RowColumns.empty()
        for projection in self._projections:
            rows.extend(projection.rows)
        if not len(rows):
            return
        self._metrics.count(measures.ROWS, len(rows))
        insert = partial(insert_bisecting, self._persistence.writer.insert_rows, rows)
        refused = await self._persistence.write("insert rows", insert, self.given_up)
        if not refused:
            return
        names = rows.columns["assistant"], rows.columns["conversation_id"]
        keys = {(names[0][place], names[1][place]) for place in refused}
        log.error("ClickHouse refuses the rows of %s", sorted(keys)[:10])
        for key in keys:
            places = [fact.place for fact in self._epoch.facts[key]]
            self._bury(places, "ClickHouse refuses the row of its conversation; the fact is stored")
        self._forget(keys)
        await self._store_letters()

    @property
    def written(self) -> int:
        """How many conversations were written."""
        return sum(projection.count for projection in self._projections)
