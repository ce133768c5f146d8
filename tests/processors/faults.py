"""Faults at named calls: of the store's methods, of `send`, of `commit`. Nothing here waits for a time to pass."""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from schemas.conversation import RowColumns
from schemas.dead_letters import DeadLetter
from schemas.facts import Facts, Key, StoredFact
from schemas.failures import Reason, Refused, Unavailable
from schemas.store import Erasure, Frontier, StoredRow
from sinks.memory import MemoryStore

T = TypeVar("T")

_LONG = 30.0
"""Seconds after which a held call goes on although nobody released it, so that a failing test ends."""


class Killed(BaseException):
    """The process is dead: whatever it still calls does nothing."""


@dataclass(slots=True)
class Hold:
    """A call that stands still between `reached` and `release`."""

    reached: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> None:
        self.reached.set()
        self.release.wait(_LONG)


@dataclass(slots=True)
class _Plan:
    call: str
    passing: int
    times: int
    after: bool
    strike: Callable[[], None]


class Snapshot:
    """What a store said at some time: how a replica answers that has heard of nothing since."""

    def __init__(self, store: MemoryStore) -> None:
        self._facts = {facts[0].key: facts for facts in store.scan_facts()}
        self._rows = list(store.scan_rows())
        _, self._frontier = store.look_up([])

    def look_up(self, keys: Collection[Key]) -> tuple[list[StoredFact], Frontier]:
        return self.read_facts(keys), self._frontier

    def read_facts(self, keys: Collection[Key]) -> list[StoredFact]:
        return [fact for key in set(keys) for fact in self._facts.get(key, ())]

    def read_rows(self, keys: Collection[Key], days: Collection[int]) -> dict[Key, StoredRow]:
        return {row.key: row for row in self._rows if row.key in keys and row.opened_on in days}


class Faults:
    """What is to go wrong in one process. `calls` names every call that was made, in order."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.dead = False
        self.refused_facts: set[str] = set()
        """Ids of events that the store refuses."""
        self.refused_rows: set[str] = set()
        """Conversations whose rows the store refuses."""
        self._old: dict[str, list[Snapshot]] = {}
        self._plans: list[_Plan] = []
        self._lock = threading.Lock()

    def fail(self, call: str, *, times: int = 1, passing: int = 0) -> None:
        """Make these calls raise Unavailable, once `passing` of them went well."""

        def unavailable() -> None:
            raise Unavailable(f"{call} does not answer")

        self._plans.append(_Plan(call, passing, times, after=False, strike=unavailable))

    def kill(self, call: str, *, passing: int = 0, after: bool = False) -> None:
        """End the process before this call, or when it has just been done."""
        self._plans.append(_Plan(call, passing, 1, after, self._die))

    def hold(self, call: str, *, after: bool = False) -> Hold:
        """Let this call stand still until it is released."""
        hold = Hold()
        self._plans.append(_Plan(call, 0, 1, after, hold))
        return hold

    def answer_from(self, call: str, *snapshots: Snapshot) -> None:
        """Answer the next reads from these old states, one after another."""
        self._old[call] = list(snapshots)

    def mend(self) -> None:
        """Plan nothing any more."""
        self._plans.clear()
        self._old.clear()

    def around(self, call: str, act: Callable[[], T]) -> T:
        """Do what the call does, with whatever is planned for it."""
        self._pass(call, after=False)
        result = act()
        self._pass(call, after=True)
        return result

    def old(self, call: str) -> Snapshot | None:
        """Give the old state that this call answers from, None when it answers from the present one."""
        snapshots = self._old.get(call)
        return snapshots.pop(0) if snapshots else None

    def _pass(self, call: str, *, after: bool) -> None:
        with self._lock:
            if self.dead:
                raise Killed
            if not after:
                self.calls.append(call)
            plan = next((one for one in self._plans if (one.call, one.after) == (call, after) and one.times), None)
            if plan is None:
                return
            if plan.passing:
                plan.passing -= 1
                return
            plan.times -= 1
        plan.strike()

    def _die(self) -> None:
        self.dead = True
        raise Killed


class FaultyStore:
    """A `schemas.store.Writer` and `schemas.store.Reader`: the store in memory behind the faults of one process."""

    def __init__(self, store: MemoryStore, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    def facts(self) -> Facts:
        return self._store.facts()

    def insert_facts(self, facts: Facts) -> None:
        self._faults.around("insert_facts", lambda: self._insert_facts(facts))

    def _insert_facts(self, facts: Facts) -> None:
        if bad := self._faults.refused_facts & set(facts.columns().id):
            raise Refused(f"{sorted(bad)} of {len(facts)} facts")
        self._store.insert_facts(facts)

    def insert_rows(self, rows: RowColumns) -> None:
        self._faults.around("insert_rows", lambda: self._insert_rows(rows))

    def _insert_rows(self, rows: RowColumns) -> None:
        if bad := self._faults.refused_rows & set(rows.columns["conversation_id"]):
            raise Refused(f"{sorted(bad)} of {len(rows)} rows")
        self._store.insert_rows(rows)

    def insert_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        self._faults.around("insert_dead_letters", lambda: self._store.insert_dead_letters(letters))

    def insert_frontier(self, frontier: Frontier) -> None:
        self._faults.around("insert_frontier", lambda: self._store.insert_frontier(frontier))

    def close_idle(self, clocks: Mapping[int, int], partitions: int) -> int:
        return self._faults.around("close_idle", lambda: self._store.close_idle(clocks, partitions))

    def erase(self, erasures: Sequence[Erasure]) -> None:
        self._faults.around("erase", lambda: self._store.erase(erasures))

    def sweep(self) -> int:
        return self._faults.around("sweep", self._store.sweep)

    def delete_rows(self, keys: Collection[Key]) -> None:
        self._faults.around("delete_rows", lambda: self._store.delete_rows(keys))

    def read_facts(self, keys: Collection[Key]) -> list[StoredFact]:
        return self._faults.around("read_facts", lambda: self._store.read_facts(keys))

    def look_up(self, keys: Collection[Key]) -> tuple[list[StoredFact], Frontier]:
        source = self._faults.old("look_up") or self._store
        return self._faults.around("look_up", lambda: source.look_up(keys))

    def read_rows(self, keys: Collection[Key], days: Collection[int]) -> dict[Key, StoredRow]:
        source = self._faults.old("read_rows") or self._store
        return self._faults.around("read_rows", lambda: source.read_rows(keys, days))

    def scan_facts(self) -> Iterator[list[StoredFact]]:
        return self._faults.around("scan_facts", self._store.scan_facts)

    def scan_rows(self) -> Iterator[StoredRow]:
        return self._faults.around("scan_rows", self._store.scan_rows)

    def dead_letters(self, reason: Reason | None = None, *, requeued: bool = False) -> Iterator[DeadLetter]:
        return self._faults.around("dead_letters", lambda: self._store.dead_letters(reason, requeued=requeued))
