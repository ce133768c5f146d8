"""The fold: a conversation is what its facts say, in whatever order they came.

What depends on order is read from the effects sorted by moment, one `_step` each. While facts arrive in order, the step
is taken at once; a fact that arrives late is only noted, and the next `settle` reads the whole sequence again. So the
state after any arrival is the state after the sorted one, by construction.

Cached conversations are many: effects are kept as msgpack, identities as 16 bytes each, absent values are shared.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

import msgspec
from xxhash import xxh3_64_digest

from processors import effects as code
from processors.effects import Effect, Effects
from processors.language import LETTERS_ENOUGH, TEXTS_ENOUGH, detect, letters
from schemas.conversation import MAX_CAUSES, Version
from schemas.facts import Key
from schemas.wire import WireEvent

FOLD_REVISION: Final = 1
"""Grows (to 127) when a column rule in this code changes, the language detector and user agent data included."""

DAY: Final = 86_400_000
_DAY: Final = DAY
NEVER: Final = -1
UNWRITTEN: Final = 0
"""No version: every real one holds a fold revision."""

_USER: Final = code.USER
_ASSISTANT: Final = code.ASSISTANT
_SYSTEM: Final = code.SYSTEM
_LABELLED: Final = code.LABELLED
_ERASED: Final = code.ERASED
_OF_LABELS: Final = (code.LABELLED, code.CLEARED)
_WITH_TEXT: Final = 8
"""So many items has the effect of a user's message when the last is its text."""
_LETTERS_ENOUGH: Final = LETTERS_ENOUGH
_TEXTS_ENOUGH: Final = TEXTS_ENOUGH

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(tuple[Any, ...]).decode
_intern = sys.intern


class Fact(msgspec.Struct, gc=False):
    """What an event means, with its identity: `digest` is xxh3-128 of the payload.

    `pair` is the identity as a conversation keeps it: 8 bytes of the id's hash, 8 of the digest. `place` is where its
    columns stand in the epoch, -1 when it was read from the store.
    """

    effect: Effect
    digest: bytes
    pair: bytes
    place: int = -1


def pair_of(event_id: str, digest: bytes) -> bytes:
    """Make the short identity of a fact."""
    return xxh3_64_digest(event_id.encode()) + digest[:8]


class Conversation:
    """What is known of one conversation; equal sets of facts give equal conversations.

    Times are epoch milliseconds, NEVER when there is none. `written` is the version that this worker has itself brought
    to the table, `stored_day` the day under which the table's row stands, `idle_until` the closes_at of a stored idle
    close: that close stands while a newly computed closes_at is not later.

    For the cache: `size` estimates the bytes held, `counted` is what of them it has counted, `epoch` the last epoch
    that touched the conversation, `looked_at` the one that the cache knew of when it last looked.
    """

    __slots__ = (
        "activity",
        "agents",
        "assigned_to",
        "assistants",
        "at",
        "attributes",
        "causes",
        "cells",
        "channel",
        "claimed",
        "correction",
        "counted",
        "cut",
        "days",
        "device",
        "disordered",
        "effects",
        "ended",
        "epoch",
        "erasures",
        "escalated",
        "facts",
        "feedback",
        "id",
        "idle_until",
        "key",
        "known",
        "label",
        "label_id",
        "label_reason",
        "labelled_at",
        "labelled_by",
        "language",
        "letters",
        "location",
        "log",
        "looked_at",
        "message_at",
        "names",
        "partition",
        "questions",
        "rating",
        "seen",
        "seq",
        "session_start",
        "sessions",
        "size",
        "started",
        "stored_day",
        "subtopic",
        "tagged",
        "team",
        "texts",
        "topic",
        "user_agent",
        "user_at",
        "user_id",
        "user_name",
        "users",
        "written",
    )

    def __init__(self, key: Key, partition: int, effects: Effects) -> None:
        """`partition`: the home partition, whose clock closes the conversation."""
        self.key = key
        self.partition = partition
        self.effects = effects
        self.known = b""
        self.log: list[bytes] = []
        self.facts = 0
        self.erasures = 0
        self.cut = NEVER
        self.days: tuple[int, ...] = ()
        self.written = UNWRITTEN
        self.stored_day = NEVER
        self.idle_until = NEVER
        self.size = _BASE_BYTES
        self.counted = 0
        self.epoch = 0
        self.looked_at = 0
        self._begin()

    def _begin(self) -> None:
        """Forget what the sequence said: the state before its first effect."""
        self.disordered = False
        self.at = NEVER
        self.seq = 0
        self.id = ""
        self.started = self.activity = self.session_start = self.user_at = self.message_at = NEVER
        self.sessions = self.users = self.assistants = self.agents = 0
        self.ended: tuple[int, ...] = ()
        self.questions = b""
        self.texts: tuple[str, ...] = ()
        self.letters = 0
        self.user_id = self.user_name = self.channel = self.device = self.user_agent = self.location = ""
        self.language = self.topic = self.subtopic = ""
        self.names: dict[str, str] | None = None
        self.attributes: dict[str, str] | None = None
        self.rating: int | None = None
        self.feedback = ""
        self.escalated = self.claimed = False
        self.assigned_to = self.team = ""
        self.tagged = b""
        self.causes: tuple[tuple[str, str, str, float | None], ...] = ()
        self.label = self.correction = self.label_id = self.labelled_by = self.label_reason = ""
        self.labelled_at = NEVER
        self.seen: int | None = None
        self.cells: tuple[Any, ...] | None = None

    @classmethod
    def of(cls, key: Key, partition: int, effects: Effects, facts: Iterable[Fact]) -> "Conversation":
        """Fold a set of facts: apply the cut, choose among copies, sort, read.

        The only way in for erasures and for ids with two contents; everything else may also be added one by one.
        """
        conversation = cls(key, partition, effects)
        facts = sorted(facts, key=_moment_of_fact)
        if len({fact.effect[2] for fact in facts}) == len(facts) and not any(f.effect[3] == _ERASED for f in facts):
            for fact in facts:  # the usual case: as many ids as facts, nothing erased
                conversation.add(fact.effect, fact.pair)
            return conversation
        distinct: dict[tuple[str, bytes], Fact] = {(fact.effect[2], fact.digest): fact for fact in facts}
        erasures = [fact for fact in distinct.values() if fact.effect[3] == _ERASED]
        conversation.erasures = len(erasures)
        conversation.cut = max((fact.effect[0] for fact in erasures), default=NEVER)
        conversation.days = tuple(
            sorted({fact.effect[0] // DAY for fact in distinct.values() if fact.effect[3] not in _OF_LABELS})
        )
        cut = conversation.cut
        counting = [fact for fact in distinct.values() if fact.effect[3] != _ERASED and fact.effect[0] > cut]
        conversation.facts = len(counting)
        chosen: dict[str, Fact] = {}
        for fact in counting:
            other = chosen.get(fact.effect[2])
            if other is None or (fact.effect[0], fact.digest) < (other.effect[0], other.digest):
                chosen[fact.effect[2]] = fact
        conversation.known = b"".join([fact.pair for fact in (*erasures, *counting)])
        for fact in sorted(chosen.values(), key=_moment_of_fact):
            conversation._append(fact.effect)
        return conversation

    def pack(self) -> bytes:
        """Give what `unpack` needs to make the same conversation, as few bytes."""
        identity = self.partition, self.known, self.facts, self.erasures, self.cut, self.days
        return _pack((*identity, self.written, self.stored_day, self.idle_until, self.log))

    @classmethod
    def unpack(cls, key: Key, packed: bytes, effects: Effects) -> "Conversation":
        """Make a conversation of what `pack` gave, under the same rules."""
        partition, known, facts, erasures, cut, days, written, stored_day, idle_until, log = _unpack(packed)
        conversation = cls(key, partition, effects)
        conversation.known = known
        conversation.facts = facts
        conversation.erasures = erasures
        conversation.cut = cut
        conversation.days = tuple(days)
        conversation.written = written
        conversation.stored_day = stored_day
        conversation.idle_until = idle_until
        conversation.log = log
        conversation.size += sum(map(len, log)) + _FACT_BYTES * len(log)
        conversation.disordered = True  # late ones stand in the log as they came
        conversation.settle()
        return conversation

    def _wants_text(self, at: int) -> bool:
        """Whether the text of a user message at `at` may be needed to detect the language.

        A text behind the first ones that are enough stays behind them, whatever comes later; one that arrives late may
        belong among them.
        """
        return not self.language and (
            (self.letters < _LETTERS_ENOUGH and len(self.texts) < _TEXTS_ENOUGH) or self.disordered or at <= self.at
        )

    @property
    def exists(self) -> bool:
        """Whether there is a row: a conversation or message event counts."""
        return self.started != NEVER

    @property
    def version(self) -> int:
        """The version of the row but for the revisions and the closed bit."""
        return (min(self.erasures, 255) << Version.ERASURE_SHIFT) + (self.facts << Version.FACT_SHIFT)

    def add(self, effect: Effect, pair: bytes) -> bool:
        """Fold one fact in; True when it was new.

        Raises Reload when the set has to be read as a whole: an erasure, or a second content of an id. A fact at or
        before the cut raises Erased: it must not be stored again.
        """
        known = self.known
        if known.find(pair[:8]) >= 0:
            if known.find(pair) >= 0:
                return False
            raise Reload
        at, kind = effect[0], effect[3]
        if kind == _ERASED:
            raise Reload
        if at <= self.cut:
            raise Erased
        self.known = known + pair
        self.facts += 1
        day = at // _DAY
        if day not in self.days and kind < _LABELLED:
            self.days = (*self.days, day)
        self._append(effect)
        return True

    def _append(self, effect: Effect) -> None:
        """Note an effect; take its step at once when it is the latest."""
        at = effect[0]
        if len(effect) == _WITH_TEXT and effect[3] == _USER and not self._wants_text(at):
            effect = effect[:-1]
        packed = _pack(effect)
        self.log.append(packed)
        self.size += len(packed) + _FACT_BYTES
        if self.disordered:
            return
        if at < self.at or (at == self.at and (effect[1], effect[2]) < (self.seq, self.id)):
            self.disordered = True
            return
        self._step(effect)

    def settle(self) -> None:
        """Bring the state to what the sorted sequence says."""
        if not self.disordered:
            return
        sequence = [_unpack(one) for one in self.log]
        sequence.sort(key=_moment)
        self._begin()
        for effect in sequence:
            self._step(effect)

    def detected_language(self) -> str:
        """Name the language that the first user messages are in, '' when they say too little."""
        return detect(self.texts)

    def _step(self, effect: Effect) -> None:
        at = self.at = effect[0]
        self.seq = effect[1]
        self.id = effect[2]
        kind = effect[3]
        if self.started < 0 and kind < _LABELLED:
            self.started = at
        if kind > _SYSTEM:
            self.cells = None
            _STEPS[kind](self, effect)
            return
        role = kind
        said, tags = effect[4], effect[5]
        if said:
            language, topic, subtopic = said
            if language and language != self.language:
                self.language = _intern(language)
                self.cells = None
            if (topic and topic != self.topic) or (subtopic and subtopic != self.subtopic):
                self._subject(topic, subtopic)
        if tags:
            self._tag(effect[2], [(effect[2], *tag) for tag in tags])
        if role == _SYSTEM:
            return
        activity = self.activity
        if activity < 0:
            self.sessions = 1
            self.session_start = at
        elif at - activity >= self.effects.gap or (role == _USER and self.ended and self._was_ended(at)):
            self.sessions += 1
            self.session_start = at
        self.activity = at
        if role == _USER:
            self.users += 1
            self.user_at = self.message_at = at
            question = effect[6]
            if question is not None:
                key = question.to_bytes(8)
                if self.questions.find(key) < 0:
                    self.questions += key
            if len(effect) == _WITH_TEXT and self.letters < _LETTERS_ENOUGH and len(self.texts) < _TEXTS_ENOUGH:
                self.texts = (*self.texts, effect[7])
                self.letters += letters(effect[7])
                self.cells = None
        elif role == _ASSISTANT:
            self.assistants += 1
            self.message_at = at
        else:
            self.agents += 1
            if not self.claimed or not self.escalated:
                self.claimed = self.escalated = True
                self.cells = None

    def _was_ended(self, at: int) -> bool:
        """Whether the conversation was said to be ended between the user's message before and `at`."""
        return any(self.user_at <= ended < at for ended in self.ended)

    def _subject(self, topic: str, subtopic: str) -> None:
        if topic and topic != self.topic:
            self.topic = _intern(topic)
            self.subtopic = ""
        if subtopic:
            self.subtopic = _intern(subtopic)
        self.cells = None

    def _tag(self, message: str, causes: list[tuple[str, str, str, float | None]]) -> None:
        key = xxh3_64_digest(message.encode())
        if self.tagged.find(key) < 0:
            self.tagged += key
        if len(self.causes) < MAX_CAUSES:
            self.causes = (*self.causes, *causes)[:MAX_CAUSES]
        self.cells = None

    def _reported(self, effect: Effect) -> None:
        self._tag(effect[4], [(effect[2], "reported", effect[5], effect[6])])

    def _profile(self, effect: Effect) -> None:
        _, _, _, _, user, name, channel, device, agent, location, language, topic, subtopic, attributes = effect
        if user or name:
            self._user(user, name)
        if channel:
            self.channel = _intern(channel)
        if device:
            self.device = _intern(device)
        if agent:
            self.user_agent = agent
        if location:
            self.location = _intern(location)
        if language:
            self.language = _intern(language)
        if topic or subtopic:
            self._subject(topic, subtopic)
        if attributes:
            self.attributes = {**self.attributes, **attributes} if self.attributes else attributes

    def _user(self, user: str, name: str) -> None:
        """Keep the names of all users, so that one who comes back is known again."""
        if user and user != self.user_id:
            if self.user_id:
                self.names = {**(self.names or {}), self.user_id: self.user_name}
                self.user_name = (self.names or {}).get(user, "")
            self.user_id = user
        if name:
            self.user_name = name

    def _escalated(self, _effect: Effect) -> None:
        self.escalated = True

    def _assigned(self, effect: Effect) -> None:
        self.assigned_to, self.team = effect[4], effect[5]
        if self.assigned_to:
            self.claimed = True

    def _rated(self, effect: Effect) -> None:
        if effect[4] is not None:
            self.rating = effect[4]
        if effect[5]:
            self.feedback = effect[5]

    def _ended(self, effect: Effect) -> None:
        self.ended = (*self.ended, effect[0])

    def _labelled(self, effect: Effect) -> None:
        self.labelled_at, self.label_id = effect[0], effect[2]
        _, _, _, _, self.label, self.correction, self.labelled_by, self.label_reason, self.seen = effect

    def _cleared(self, effect: Effect) -> None:
        self.labelled_at, self.label_id = effect[0], effect[2]
        self.label = self.correction = ""
        self.labelled_by, self.label_reason = effect[4], effect[5]
        self.seen = None


def sort_in(
    facts: dict[Key, list[Fact]],
    keys: Sequence[Key],
    events: Sequence[WireEvent],
    times: Sequence[int],
    ids: Sequence[str],
    digests: Sequence[bytes],
    start: int,
    effects: Mapping[str, Effects],
) -> None:
    """Sort the facts of a batch in under their conversations; the first of them has place `start`."""
    for number, key in enumerate(keys):
        digest = digests[number]
        pair = xxh3_64_digest(ids[number].encode()) + digest[:8]
        fact = Fact(effects[key[0]].of(events[number], times[number]), digest, pair, start + number)
        known = facts.get(key)
        if known is None:
            facts[key] = [fact]
        else:
            known.append(fact)


def fold_into(
    conversations: Sequence[Conversation], facts: Mapping[Key, Sequence[Fact]], epoch: int, known: set[int]
) -> tuple[list[Conversation], list[Key], int]:
    """Fold what came for each of these conversations into it.

    Adds to `known` the places of facts that are not to be stored: known already, or taken by an erasure. Gives the
    conversations that hold, those that have to be read as a whole, and how many facts an erasure took.
    """
    folded: list[Conversation] = []
    dropped: list[Key] = []
    erased = 0
    for conversation in conversations:
        conversation.epoch = epoch
        try:
            for fact in facts[conversation.key]:
                try:
                    if not conversation.add(fact.effect, fact.pair):
                        known.add(fact.place)
                except Erased:
                    known.add(fact.place)
                    erased += 1
        except Reload:
            dropped.append(conversation.key)
        else:
            folded.append(conversation)
    return folded, dropped, erased


_BASE_BYTES: Final = 1_500
"""Slots, integers, the key, cells and the place in the cache; checked against tracemalloc in the tests."""
_FACT_BYTES: Final = 66
"""Beside the packed effect: its object, its place in the log, 16 bytes of identity."""


class Reload(Exception):  # noqa: N818  (an instruction, not an error)
    """The conversation has to be folded from its whole set of facts."""


class Erased(Exception):  # noqa: N818  (an instruction, not an error)
    """The fact lies at or before the cut of an erasure: it does not count and is not to be stored."""


_moment = itemgetter(0, 1, 2)


def _moment_of_fact(fact: Fact) -> Effect:
    return fact.effect[:3]


_STEPS: Final = {
    code.REPORTED: Conversation._reported,  # noqa: SLF001
    code.PROFILE: Conversation._profile,  # noqa: SLF001
    code.ESCALATED: Conversation._escalated,  # noqa: SLF001
    code.ASSIGNED: Conversation._assigned,  # noqa: SLF001
    code.RATED: Conversation._rated,  # noqa: SLF001
    code.ENDED: Conversation._ended,  # noqa: SLF001
    code.LABELLED: Conversation._labelled,  # noqa: SLF001
    code.CLEARED: Conversation._cleared,  # noqa: SLF001
}
