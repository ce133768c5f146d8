"""What changed among the rows, told to everybody who listens, as it comes.

One task a process looks, four times a second and only while somebody listens, for rows that were sent to ClickHouse in
the last seconds; every few seconds it looks back a minute, for rows whose insert took long or whose worker's clock is
behind. What it has told already it knows by conversation and version. Everything is told at least once: a listener may
hear of a change again, and of one that it had seen on its page already.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final
from weakref import WeakKeyDictionary

from pydantic import BaseModel, Field

from api.queries.asking import Queries
from api.queries.keys import OF_KEYS, bound, portions
from schemas.facts import Key
from schemas.failures import TooMuch, Unavailable

log = logging.getLogger(__name__)

INTERVAL: Final = 0.25
"""Seconds between two looks."""
MARGIN: Final = 2.0
"""Seconds that a look goes back before the one before it: an insert takes a while to be seen."""
WIDE_MARGIN: Final = 60.0
"""Seconds that a wide look goes back, and what is asked for a listener who comes back."""
WIDE_EVERY: Final = 5.0
"""Seconds between two wide looks, and between two notices that so much changed that all should be loaded anew."""
RESUMES: Final = 600.0
"""A listener who was away for about so many seconds loads everything anew."""
ALIVE: Final = 15.0
"""Seconds of silence before a sign of life."""
LIFETIME: Final = 900.0
"""Seconds after which a listener is let go, to come back: with a key that was revoked nobody listens for ever."""

_MANY: Final = 1_000
"""So many conversations that changed at once are not told one by one."""
_MOST: Final = 20_000
"""A look finds no more."""
_WAITING: Final = 32
"""So many notices wait for a slow listener before it is dropped."""

_LEAST_PAUSE: Final = 0.05
_LONGEST_ID: Final = 16
_NOBODY: Final = ""
"""No assistant is called so."""

_COLUMNS: Final = """c.assistant, c.conversation_id, c.version, c.label_id, c.label, c.messages, c.closed,
        c.is_deleted, toUnixTimestamp64Milli(c.updated_at)"""

# Without FINAL: of a conversation's versions of these seconds the newest is told, live before deleted ones.
_LOOK_WHERE: Final = f"""
    SELECT {_COLUMNS} FROM conversations AS c
    WHERE c.updated_at >= now64(3, 'UTC') - toIntervalMillisecond({{back_ms:UInt64}}) AND (%s)
    ORDER BY c.version DESC, c.is_deleted LIMIT 1 BY c.assistant, c.conversation_id LIMIT {{most:UInt64}}
"""
_LOOK: Final = _LOOK_WHERE % "{all:Bool} OR c.assistant = {assistant:String}"
_LOOK_AT: Final = _LOOK_WHERE % OF_KEYS

_STANDING: Final = f"SELECT {_COLUMNS} FROM conversations AS c FINAL WHERE {OF_KEYS} ORDER BY c.version DESC LIMIT 1"


class Change(BaseModel):
    """What there is to know of a conversation that changed; the rest is in its row."""

    assistant: str
    conversation_id: str
    label_id: str = Field(description="id of the latest label event")
    label: str = Field(description="positive, negative or ''")
    messages: int = Field(description="messages by user and assistant")
    closed: bool
    deleted: bool = Field(description="there is no such conversation any more: it was erased")
    updated_at: datetime = Field(description="when the row was sent to ClickHouse")

    @property
    def key(self) -> Key:
        """Which conversation."""
        return self.assistant, self.conversation_id


class Kind(StrEnum):
    """What a notice says."""

    CHANGED = "changed"
    RELOAD = "reload"
    UNAVAILABLE = "unavailable"
    ALIVE = "alive"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell a listener.

    changed: `text` is the JSON of `{"conversations": [Change, …]}`. reload: more happened than was told one by one, or
    the listener missed something; load everything anew. unavailable: ClickHouse does not answer; changes are told as
    soon as it does. alive: nothing happened. `id`: where to go on when the listener comes back; '' leaves it as it is.
    """

    kind: Kind
    id: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class _Found:
    version: int
    change: Change


@dataclass(slots=True, eq=False)
class _Listener:
    """Who listens: to all (None), to the conversations of one assistant, or to one conversation."""

    assistant: str | None
    key: Key | None
    waiting: "asyncio.Queue[Notice | None]" = field(default_factory=asyncio.Queue)
    ended: bool = False

    def tell(self, notice: Notice) -> None:
        """Put a notice behind those that wait; with too many of them there the listener is dropped."""
        if self.ended:
            return
        if self.waiting.qsize() >= _WAITING:
            while not self.waiting.empty():
                self.waiting.get_nowait()
            self.waiting.put_nowait(Notice(Kind.RELOAD, notice.id))
            self.end()
        else:
            self.waiting.put_nowait(notice)

    def end(self) -> None:
        """Tell nothing more behind what waits."""
        if not self.ended:
            self.ended = True
            self.waiting.put_nowait(None)


class Changes:
    """The changes of one database, as one process tells them."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._listeners: set[_Listener] = set()
        self._looking: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._told: dict[Key, int] = {}
        self._told_before: dict[Key, int] = {}
        self._owed = False

    async def follow(
        self, only: str | None, assistant: str | None = None, key: Key | None = None, after: str | None = None
    ) -> AsyncGenerator[Notice, None]:
        """Tell what changes: of all conversations, of those of `assistant`, or of the one that `key` names.

        `only`: the assistant that may be seen (`Principal.assistant`); of others nothing is told. `after`: the last id
        that the listener had before. It begins with an id, then with the row of a single conversation as it stands, or
        with the changes of the last seconds. It ends after LIFETIME, and when the listener is too slow.
        """
        if only is not None:
            assistant = only if assistant in {None, only} else _NOBODY
            key = None if key is None else (only if key[0] == only else _NOBODY, key[1])
        listener = _Listener(assistant, key)
        loop = asyncio.get_running_loop()
        ends = loop.time() + LIFETIME
        self._join(listener)
        try:
            yield Notice(Kind.ALIVE, _id())
            await self._ready.wait()
            for notice in await self._missed(listener, after):
                yield notice
            while (left := ends - loop.time()) > 0:
                try:
                    async with asyncio.timeout(min(ALIVE, left)):
                        following = await listener.waiting.get()
                except TimeoutError:
                    yield Notice(Kind.ALIVE, _id())
                    continue
                if following is None:
                    return
                yield following
        finally:
            self._leave(listener)

    def close(self) -> None:
        """Let all listeners go, as when the process stops: browsers come back by themselves."""
        for listener in self._listeners:
            listener.end()

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def _join(self, listener: _Listener) -> None:
        self._listeners.add(listener)
        if self._looking is None:
            self._ready.clear()
            self._looking = asyncio.get_running_loop().create_task(self._look_on())
            self._looking.add_done_callback(self._stopped)

    def _leave(self, listener: _Listener) -> None:
        self._listeners.discard(listener)
        if not self._listeners and self._looking is not None:
            self._looking.cancel()
            self._looking = None

    def _stopped(self, looking: "asyncio.Task[None]") -> None:
        if not looking.cancelled() and (error := looking.exception()) is not None:
            log.error("changes are not told any more", exc_info=error)
            self._looking = None
            self._ready.set()
            self.close()

    async def _missed(self, listener: _Listener, after: str | None) -> list[Notice]:
        """What a listener has to hear first: its row, or what came since it was here, or since its page was made."""
        notice_id = _id()
        back = MARGIN if after is None else _seconds_since(after) + WIDE_MARGIN
        try:
            if listener.key is not None:
                missed = _read(await self._queries.rows(_STANDING, bound([listener.key])))
            elif back >= RESUMES:
                return [Notice(Kind.RELOAD, notice_id)]
            else:
                missed = await self._look(back, _MANY, assistant=listener.assistant)
        except (Unavailable, TooMuch):
            return [Notice(Kind.UNAVAILABLE), Notice(Kind.RELOAD, notice_id)]
        if len(missed) >= _MANY:
            return [Notice(Kind.RELOAD, notice_id)]
        return _notices(listener, {one.change.key: one.change for one in missed}, notice_id)

    async def _look_on(self) -> None:
        """Look for changes and tell them, for as long as nobody cancels it."""
        loop = asyncio.get_running_loop()
        looked = wide = reloaded = 0.0
        knows, down = False, False
        while True:
            begun, notice_id = loop.time(), _id()
            try:
                if knows:
                    is_wide = begun - wide >= WIDE_EVERY
                    changes = await self._news(begun - looked, begun - wide if is_wide else None)
                    self._tell(changes, notice_id)
                else:
                    self._told = {one.change.key: one.version for one in await self._look(WIDE_MARGIN, _MOST)}
                    self._told_before = {}
                    knows = is_wide = True
            except (Unavailable, TooMuch) as error:
                if not down:
                    log.warning("changes cannot be told: %s", error)
                    self._tell_all(Notice(Kind.UNAVAILABLE))
                knows, down = False, True
            else:
                looked, wide = begun, begun if is_wide else wide
                if down or (self._owed and begun - reloaded >= WIDE_EVERY):
                    self._tell_all(Notice(Kind.RELOAD, notice_id))
                    reloaded, down, self._owed = begun, False, False
            self._ready.set()
            await asyncio.sleep(max(INTERVAL - (loop.time() - begun), _LEAST_PAUSE))

    async def _news(self, since: float, since_wide: float | None) -> dict[Key, Change]:
        """Give what was not told yet. `since`: seconds since the last look; `since_wide`: a wide one is due."""
        found = await self._look(since + MARGIN, _MOST)
        flood = len(found) >= _MOST
        followed = {listener.key for listener in self._listeners if listener.key is not None}
        if followed and (flood or since_wide is not None):
            # Somebody waits for just this conversation, whatever else is going on.
            back = since + MARGIN if since_wide is None else since_wide + WIDE_MARGIN
            for portion in portions(followed):
                found += await self._look(back, _MOST, keys=portion)
        if since_wide is not None:
            late = await self._look(since_wide + WIDE_MARGIN, _MOST)
            if len(late) < _MOST:
                found += late
            self._told_before, self._told = self._told, {}
        news = self._untold(found)
        if flood or len(news) >= _MANY:
            self._owed = True
            return {key: change for key, change in news.items() if key in followed}
        return news

    def _untold(self, found: Iterable[_Found]) -> dict[Key, Change]:
        """Give what says more of a conversation than was told of it, and note it as told."""
        news = {}
        for one in found:
            key = one.change.key
            known = max(self._told.get(key, -1), self._told_before.get(key, -1))
            self._told[key] = max(known, one.version)
            if one.version > known:
                news[key] = one.change
        return news

    async def _look(
        self, back: float, most: int, *, assistant: str | None = None, keys: Sequence[Key] = ()
    ) -> list[_Found]:
        bounds: dict[str, object] = {"back_ms": int(back * 1_000), "most": most}
        if keys:
            return _read(await self._queries.rows(_LOOK_AT, {**bounds, **bound(keys)}))
        whose = {"all": assistant is None, "assistant": assistant or ""}
        return _read(await self._queries.rows(_LOOK, {**bounds, **whose}))

    def _tell(self, changes: Mapping[Key, Change], notice_id: str) -> None:
        """Tell each listener its part; what several hear is written once."""
        written: dict[str | None, list[Notice]] = {}
        for listener in self._listeners if changes else ():
            if listener.key is not None:
                notices = _notices(listener, changes, notice_id)
            else:
                if listener.assistant not in written:
                    written[listener.assistant] = _notices(listener, changes, notice_id)
                notices = written[listener.assistant]
            for notice in notices:
                listener.tell(notice)

    def _tell_all(self, notice: Notice) -> None:
        for listener in self._listeners:
            listener.tell(notice)


_changes: WeakKeyDictionary[Queries, Changes] = WeakKeyDictionary()


def changes_of(queries: Queries) -> Changes:
    """Give the changes of this database, the same for everybody in the process."""
    if queries not in _changes:
        _changes[queries] = Changes(queries)
    return _changes[queries]


def _notices(listener: _Listener, changes: Mapping[Key, Change], notice_id: str) -> list[Notice]:
    if listener.key is not None:
        mine = [changes[listener.key]] if listener.key in changes else []
    else:
        mine = [one for one in changes.values() if listener.assistant in {None, one.assistant}]
    if not mine:
        return []
    text = json.dumps({"conversations": [one.model_dump(mode="json") for one in mine]}, separators=(",", ":"))
    return [Notice(Kind.CHANGED, notice_id, text)]


def _id() -> str:
    return str(time.time_ns() // 1_000_000)


def _seconds_since(notice_id: str) -> float:
    """How long ago a notice had this id; what is no id of ours is very old."""
    if not (notice_id.isascii() and notice_id.isdecimal() and len(notice_id) < _LONGEST_ID):
        return RESUMES
    return max(time.time() - int(notice_id) / 1_000, 0)


def _read(rows: Iterable[tuple[Any, ...]]) -> list[_Found]:
    return [
        _Found(
            version,
            Change.model_construct(
                assistant=assistant,
                conversation_id=conversation_id,
                label_id=label_id,
                label=label,
                messages=messages,
                closed=bool(closed),
                deleted=bool(deleted),
                updated_at=datetime.fromtimestamp(updated_at / 1_000, UTC),
            ),
        )
        for assistant, conversation_id, version, label_id, label, messages, closed, deleted, updated_at in rows
    ]
