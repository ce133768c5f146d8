"""The load: conversations as they arrive in bad times, the same ones for the same seed.

Half of the events are chitchat-dataset's, the others a simulated shop's and those of short conversations made to be
awkward. They come out of order and more than once, with two contents for one id, with labels before, during and after
the conversation, ratings and new messages long after it, and poison among them. All of it lies so far in the past that
every conversation is closed, whatever the clock says.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from random import Random
from typing import Any, Final

from runtime.simulator import Simulation
from tests import oracle
from tests.builders import DAY, HOUR, MINUTE, Event, line
from tests.e2e import chitchat
from tests.e2e.rows import Rows, of_the_oracle
from tests.e2e.truth import truth

NOW: Final = datetime(2025, 6, 1, tzinfo=UTC)
"""Everything happened before it, or some days later."""
ASSISTANT: Final = "awkward"
MENDED: Final = "mended"
"""The assistant of events that name none, once one is configured: that is how most of the poison is mended."""

_NOW_MS: Final = int(NOW.timestamp() * 1000)
_QUESTIONS: Final = (
    "Where is my order {n}?",
    "I want to send back parcel {n}, please.",
    "Wo ist meine Bestellung {n} geblieben?",
    "¿Cuándo llega el pedido {n}?",
    "thanks",
    "hello",
)
_ANSWERS: Final = ("It arrives on Tuesday.", "Sorry, I did not understand.", "Das habe ich leider nicht verstanden.")


@dataclass(frozen=True)
class Size:
    """How large a load is. `chitchat` is in events, the others in conversations."""

    chitchat: int
    simulated: int
    awkward: int


WHOLE: Final = Size(chitchat=112_000, simulated=4_300, awkward=13_500)
SHORT: Final = Size(chitchat=5_000, simulated=150, awkward=800)


@dataclass(frozen=True)
class Load:
    """Everything that is produced, in that order; it follows from `seed` and `size` alone.

    `poison` is the share of records that can never be stored as they are. Of these two thirds are `mendable`: they lack
    an assistant, and count once a default one is configured.
    """

    seed: int = 1
    size: Size = SHORT
    poison: float = 0.01

    @cached_property
    def conversations(self) -> dict[str, list[bytes]]:
        """The good events by conversation id, each event once, in no order that matters."""
        random = Random(f"conversations {self.seed}")
        told = {
            **_chitchat(random, self.size.chitchat),
            **_simulated(self.seed, self.size.simulated),
            **{name: list(_awkward(random, name)) for name in map("awkward-{:06}".format, range(self.size.awkward))},
        }
        for name, lines in told.items():
            lines.extend(list(_afterthoughts(random, name, lines)))
        return told

    @cached_property
    def good(self) -> list[bytes]:
        """All good events, each once."""
        return [one for lines in self.conversations.values() for one in lines]

    @cached_property
    def mendable(self) -> list[bytes]:
        """Poison that a default assistant mends: further messages of conversations of their own."""
        random = Random(f"mendable {self.seed}")
        count = round(len(self.good) * self.poison * 2 / 3)
        return [
            line(
                {
                    "id": f"mendable-{number}",
                    "type": "message.sent",
                    "conversation_id": f"mendable-{number % 97}",
                    "at": _NOW_MS - random.randrange(DAY),
                    "role": "user",
                    "text": f"who am I talking to? {number}",
                }
            )
            for number in range(count)
        ]

    @cached_property
    def broken(self) -> list[bytes]:
        """Poison that nothing mends."""
        kinds = (b'{"id": "broken-%d", "type": "message.s', b"\xff\xfe broken %d", b'["broken", %d]')
        return [kinds[number % 3] % number for number in range(round(len(self.good) * self.poison / 3))]

    @cached_property
    def arrivals(self) -> list[bytes]:
        """All records in the order in which they are produced."""
        random = Random(f"arrivals {self.seed}")
        timed: list[tuple[float, bytes]] = []
        for lines in self.conversations.values():
            begin, span = random.random() * 0.8, random.uniform(0.02, 0.2)
            for place, one in enumerate(lines):
                at = begin + span * place / len(lines) if random.random() > 0.08 else random.random()
                timed.append((at, one))
                if random.random() < 0.04:
                    timed.append((random.uniform(at, 1.0), one))
        timed += [(random.random(), one) for one in (*self.mendable, *self.broken)]
        timed.sort()
        return [one for _, one in timed]

    def truth(self) -> Rows:
        """The rows that the oracle gives the good events."""
        return truth(self.good, f"load-{self.seed}-{self.size.chitchat}")

    def truth_when_mended(self) -> Rows:
        """The rows of the good events and of the mendable ones, once `MENDED` is the default assistant."""
        mended = [line({**json.loads(one), "assistant": MENDED}) for one in self.mendable]
        return self.truth() | of_the_oracle(mended, int(time.time() * 1000))


def _chitchat(random: Random, events: int) -> dict[str, list[bytes]]:
    """Whole conversations of the dataset until there are so many events."""
    conversations: dict[str, list[bytes]] = {}
    for one in chitchat.lines():
        conversations.setdefault(chitchat.conversation_of(one), []).append(one)
    names = sorted(conversations)
    random.shuffle(names)
    taken: dict[str, list[bytes]] = {}
    for name in names:
        if events <= 0:
            break
        taken[name] = conversations[name]
        events -= len(taken[name])
    return taken


def _simulated(seed: int, conversations: int) -> dict[str, list[bytes]]:
    simulation = Simulation(now=NOW, seed=seed, conversations=conversations, labels=0.2)
    told = map(simulation.conversation, range(conversations))
    return {chitchat.conversation_of(lines[0]): lines for lines in told}


def _awkward(random: Random, name: str) -> Iterator[bytes]:
    """A short conversation: with or without a beginning and an end, with pauses that begin a new session."""
    at = _NOW_MS - random.randrange(2 * DAY, 40 * DAY)
    fields: dict[str, Any] = {"assistant": ASSISTANT, "conversation_id": name}
    number = 0

    def event(kind: str, **more: Any) -> bytes:
        nonlocal at, number
        at += random.choice((0, 0, 1, 30_000, 5 * MINUTE, 4 * HOUR - 1, 4 * HOUR, DAY)) if number else 0
        number += 1
        return line({"id": f"{name}-{number}", "type": kind, **fields, "at": at, **more})

    if random.random() < 0.6:
        yield event("conversation.started", user={"id": f"u-{random.randrange(500)}"}, channel=random.choice("ab"))
    for turn in range(random.choice((1, 1, 2, 2, 3))):
        text = random.choice(_QUESTIONS).format(n=random.randrange(40))
        yield event("message.sent", role="user", text=text, topic=random.choice(("billing", "shipping")))
        if random.random() < 0.7:
            yield event("message.sent", role="assistant", text=random.choice(_ANSWERS), sources=random.randrange(3))
        if turn and random.random() < 0.2:
            yield event("conversation.updated", user={"name": f"Name {turn}"}, attributes={"turn": turn})
    if random.random() < 0.3:
        yield event("conversation.ended", reason="user left")
    if random.random() < 0.1:
        yield event("conversation.escalated", to="humans")
        yield event("message.sent", role="agent", text="Let me look into it.")


def _afterthoughts(random: Random, name: str, lines: Sequence[bytes]) -> Iterator[bytes]:
    """What comes to a conversation later or earlier than it should: labels, ratings, messages, second contents."""
    first: Event = json.loads(lines[0])
    last = max(oracle.milliseconds(json.loads(one)["at"]) for one in (lines[0], lines[-1]))
    fields = {"assistant": first["assistant"], "conversation_id": name}

    def event(kind: str, at: int, **more: Any) -> bytes:
        return line({"id": f"{name}-after-{kind}-{at}", "type": kind, **fields, "at": at, **more})

    if random.random() < 0.2:
        when = last + random.choice((-HOUR, 0, HOUR, 6 * DAY))
        value = random.choice(("positive", "negative"))
        yield event("label.set", when, label=value, by="dana", seen_messages=random.randrange(12))
        if random.random() < 0.2:
            yield event("label.cleared", when + random.choice((0, MINUTE)), by="dana")
    if random.random() < 0.05:
        yield event("conversation.rated", last + 3 * DAY, rating=random.randint(1, 5), comment="late")
    if random.random() < 0.04:
        yield event("message.sent", last + 4 * HOUR + random.choice((0, 1, 2 * DAY)), role="user", text="me again")
    if random.random() < 0.005:  # a second content for an id
        yield line({**json.loads(lines[-1]), "language": "fr"})
