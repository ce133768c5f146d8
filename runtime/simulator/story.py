"""What happens in one conversation, drawn from a seed: who writes, what is asked and answered, what goes wrong.

A story is told in the order of time. Its shares are those of the constants here; only labels are told apart, because
they come from the managers' tools, later and with ids of their own.
"""

from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from runtime.simulator.payload import LABEL_NUMBERS, NUMBERS, Kind, Step
from runtime.simulator.phrasebook import Exchange, Line, Subject, written_date
from runtime.simulator.rhythm import HOUR
from runtime.simulator.shopper import Draw, shopper

RATED = 0.25
ESCALATED = 0.08
ESCALATED_AFTER_FALLBACK = 0.3
REOPENED = 0.04
ENDED = 0.55
ASKED_TWICE = 0.2

_DAY = 24 * HOUR

_USER = b'","role":"user","text":"'
_ASSISTANT = b'","role":"assistant","text":"'
_AGENT = b'","role":"agent","text":"'
_SYSTEM = b'","role":"system","text":"'

_HUNDREDTHS = tuple(b"%.2f" % (share / 100) for share in range(100))
_CONFIDENCES = tuple(b',"confidence":%b' % share for share in _HUNDREDTHS)
_LATENCIES = tuple(b',"model":"shop-2026-10","latency_ms":%d' % (34 * share + 590) for share in range(100))
"""What runtimes add for themselves: fields that Afterword keeps and does not read."""
_SOURCES = tuple(b',"sources":%d' % count for count in range(7))

_FALLBACK_INTENTS = (b"nlu_fallback", b"out_of_scope", b"Default Fallback Intent", b"AMAZON.FallbackIntent")
_FALLBACK_REASONS = (b"no_knowledge", b"low_confidence", b"not_understood", b"error", b"other")
_TEAMS = (b"support", b"returns desk", b"payments", b"logistics")
_STAFF = (b"rachel.m", b"tom.b", b"sabine.k", b"marta.g", b"nathalie.d", b"raul.s")
_MANAGERS = (b"c.okafor", b"j.lindqvist", b"m.duarte")
_ESCALATION_REASONS = (b"asked for a person", b"the assistant could not answer", b"complaint", b"payment dispute")
_END_REASONS = (b"resolved", b"user_left", b"closed_by_user", b"timeout")
_BUTTONS = (b"/start", b"/menu", b'/choose{\\"topic\\":\\"help\\"}')
_PAGES = (b"/help", b"/orders", b"/checkout", b"/products/new", b"/account/settings")
_PLANS = (b"guest", b"standard", b"plus")


@dataclass(frozen=True, slots=True)
class Shares:
    """What may differ between uses of the stories."""

    fallback: float = 0.12
    """Conversations in which the assistant could not help at least once."""
    labels: float = 0.0
    """Conversations that a manager labels."""


class Names(NamedTuple):
    """What is unique to a conversation."""

    conversation_id: bytes
    order: bytes
    """The number of the order that it is about, as it stands in the texts."""
    reference: bytes = b""
    """What stands behind each question, to make the texts of many conversations as different as people's are."""


class _Story:
    """A conversation while it is told: where time stands, and what was said so far."""

    __slots__ = (
        "at",
        "book",
        "client",
        "draw",
        "labels",
        "lines",
        "name",
        "reference",
        "said",
        "slots",
        "steps",
        "who",
    )

    def __init__(self, draw: Draw, at: int, names: Names) -> None:
        self.draw = draw
        self.name = names.conversation_id
        self.reference = names.reference
        self.at = at
        self.who = shopper(draw, at)
        self.book = book = self.who.book
        self.lines = book.nameless if self.who.anonymous else book.lines
        self.client = b',"client":"shop-%b/4.2.1"' % self.who.channel.name
        if draw() < 0.6:
            self.client += b',"language":"%b"' % book.code.encode()
        self.steps: list[Step] = []
        self.labels: list[Step] = []
        self.said = 0
        self.slots = {
            b"order": names.order,
            b"product": self.pick(book.goods),
            b"date": written_date(book.code, at // _DAY + int(draw() * 12) - 6),
            b"amount": book.amount(9 + int(draw() * 190), int(draw() * 20) * 5),
            b"tracking": b"TRK" + names.order + b"7",
            b"days": b"%d" % (2 + int(draw() * 8)),
            b"city": self.who.city,
            b"customer": self.who.name,
            b"agent": self.pick(book.agents),
            b"ask": b"",
        }

    def pick(self, options: tuple[bytes, ...]) -> bytes:
        return options[int(self.draw() * len(options))]

    def wait(self, least: float, most: float) -> None:
        """Let seconds pass."""
        self.at += int((least + (most - least) * self.draw()) * 1000)

    def chance(self, share: float) -> bool:
        return self.draw() < share

    def tell(self, kind: bytes, body: bytes) -> None:
        steps = self.steps
        steps.append(Step(self.at, kind, NUMBERS[len(steps)], body))

    def say(self, role: bytes, line: Line, more: bytes = b"") -> None:
        self.said += role is _USER or role is _ASSISTANT
        self.tell(Kind.SENT, role + line % self.slots + b'"' + more + b"}")

    def user(self, line: Line, more: bytes = b"") -> None:
        pace = self.who.channel.pace
        self.wait(4 * pace, 60 * pace)
        self.say(_USER, line, self.client + more)

    def assistant(self, line: Line, more: bytes = b"") -> None:
        taken = self.draw()
        self.at += 600 + int(3400 * taken)
        self.say(_ASSISTANT, line, more + _LATENCIES[int(taken * 100)])

    def agent(self, line: Line) -> None:
        pace = self.who.channel.pace
        self.wait(15 * pace, 110 * pace)
        self.say(_AGENT, line)

    # What conversations are made of.

    def begin(self) -> None:
        who = self.who
        user = b"" if who.anonymous else b"," + who.user
        self.tell(
            Kind.STARTED,
            b'"%b%b,"attributes":{"simulated":"true","plan":"%b","page":"%b"}}'
            % (user, who.profile, self.pick(_PLANS), self.pick(_PAGES)),
        )

    def greet(self) -> None:
        lines = self.lines
        opening = self.draw()
        if opening < 0.1:
            self.user(self.pick(_BUTTONS))
        elif opening < 0.6:
            self.user(self.pick(lines["greeting"]))
        if opening < 0.75:
            self.assistant(self.pick(lines["greeted"]))

    def log_in(self) -> None:
        self.wait(1, 20)
        self.tell(Kind.UPDATED, b'",%b,"attributes":{"plan":"plus"}}' % self.who.user)

    def ask(self, subject: Subject, line: Line) -> None:
        understood = self.draw()
        if understood < 0.6:
            confidence = _HUNDREDTHS[60 + int(self.draw() * 40)]
            more = b'%b,"intent":{"name":"%b","confidence":%b}' % (subject.named, subject.intent, confidence)
        else:
            more = b',"is_question":true' if understood < 0.7 else b""
        self.user(line + self.reference, more)

    def answer(self, subject: Subject, exchange: Exchange) -> None:
        self.assistant(
            self.pick(exchange.answers),
            _CONFIDENCES[55 + int(self.draw() * 45)] + _SOURCES[1 + int(self.draw() * 6)] + subject.named,
        )

    def turn(self, subject: Subject, exchanges: tuple[Exchange, ...]) -> None:
        exchange = exchanges[int(self.draw() * len(exchanges))]
        self.ask(subject, exchange.question)
        self.answer(subject, exchange)
        if self.chance(ASKED_TWICE):
            self.user(self.pick(exchange.again) + self.reference)
            self.answer(subject, exchange)

    def subject(self) -> Subject:
        subjects = self.book.subjects
        return subjects[int(self.draw() * len(subjects))]

    def opening(self, subject: Subject) -> Exchange:
        return subject.ask[int(self.draw() * len(subject.ask))]

    def talk(self, subject: Subject) -> Subject:
        """Ask and answer a few times; give the subject it ends with."""
        self.turn(subject, subject.ask)
        follow = self.draw()
        if follow < 0.85:
            self.turn(subject, subject.more)
        if follow < 0.5:
            subject = self.subject()
            self.turn(subject, subject.ask)
        if follow < 0.25:
            self.turn(subject, subject.more)
        return subject

    def fall_back(self, subject: Subject) -> None:
        """Let the assistant fail in one of six ways, one for each rule of docs/fold.md."""
        lines = self.lines
        way = int(self.draw() * 6)
        if way == 0:
            self.ask(subject, self.opening(subject).question)
            self.assistant(self.pick(lines["stalled"]))
            self.report()
        elif way == 1:
            self.user(self.pick(lines["off_topic"]))
            self.assistant(self.pick(lines["redirect"]), b',"fallback":true')
        elif way == 2:
            confidence = _HUNDREDTHS[10 + int(self.draw() * 40)]
            intent = b',"intent":{"name":"%b","confidence":%b}' % (self.pick(_FALLBACK_INTENTS), confidence)
            self.user(self.pick(lines["off_topic"]), intent)
            self.assistant(self.pick(lines["redirect"]))
        elif way == 3:
            self.ask(subject, self.opening(subject).question)
            self.assistant(self.pick(lines["guess"]), _CONFIDENCES[3 + int(self.draw() * 27)] + subject.named)
        elif way == 4:
            self.ask(subject, self.opening(subject).question)
            self.assistant(self.pick(lines["unfounded"]), _CONFIDENCES[40 + int(self.draw() * 40)] + _SOURCES[0])
        else:
            self.user(self.pick(lines["off_topic"]))
            self.assistant(self.pick(lines["unable"]), _CONFIDENCES[40 + int(self.draw() * 30)])

    def report(self) -> None:
        """Report the message just sent as a fallback; sometimes without naming it."""
        about = b',"message_id":"%b-%02d"' % (self.name, len(self.steps) - 1) if self.chance(0.8) else b""
        sure = b',"confidence":' + _HUNDREDTHS[5 + int(self.draw() * 40)] if self.chance(0.5) else b""
        self.wait(0.01, 0.3)
        self.tell(Kind.FALLBACK, b'"%b,"reason":"%b"%b}' % (about, self.pick(_FALLBACK_REASONS), sure))

    def hand_over(self) -> None:
        lines = self.lines
        if self.chance(0.5):
            self.user(self.pick(lines["person"]))
            self.assistant(self.pick(lines["connecting"]))
        team, who = self.pick(_TEAMS), self.pick(_STAFF)
        self.wait(0.05, 2)
        self.tell(Kind.ESCALATED, b'","to":"%b","reason":"%b"}' % (team, self.pick(_ESCALATION_REASONS)))
        self.wait(1, 240)
        self.tell(Kind.ASSIGNED, b'","assigned_to":"%b","team":"%b"}' % (who, team))
        self.wait(0.1, 5)
        if self.chance(0.5):
            self.say(_SYSTEM, self.pick(lines["joined"]))
        self.agent(self.pick(lines["agent_hello"]))
        self.agent(self.pick(lines["agent_answer"]))
        if self.chance(0.7):
            self.user(self.pick(lines["agent_reply"]))
            self.agent(self.pick(lines["agent_bye"]))
        if self.chance(0.1):
            self.wait(5, 60)
            self.tell(Kind.ASSIGNED, b'","team":"%b"}' % team)

    def part(self) -> None:
        lines = self.lines
        if self.chance(0.65):
            self.user(self.pick(lines["thanks"]))
            self.assistant(self.pick(lines["welcome"]))

    def end(self) -> bool:
        """End the conversation by an announcement, or leave it to the silence."""
        ended = self.chance(ENDED)
        if ended:
            self.wait(5, 180)
            self.tell(Kind.ENDED, b'","reason":"%b"}' % self.pick(_END_REASONS))
        return ended

    def rate(self, *, well: bool) -> None:
        score = 5 - int(self.draw() ** 2 * 3) if well else 1 + int(self.draw() ** 1.5 * 4)
        said = self.chance(0.35)
        lines = self.lines["praise" if score > 3 else "complaint"]
        comment = b',"comment":"%b"' % (self.pick(lines) % self.slots) if said else b""
        self.tell(Kind.RATED, b'","rating":%d%b}' % (score, comment))

    def rate_sometime(self, *, well: bool) -> None:
        """Rate a quarter of the conversations: most at once, some hours after, a few twice or in words only."""
        fate = self.draw()
        if fate < RATED:
            if fate < RATED * 0.7:
                self.wait(2, 60)
            else:
                self.wait(300, 15_000)
            self.rate(well=well)
            if fate < RATED * 0.05:
                self.wait(10, 120)
                self.rate(well=not well)
        elif fate < RATED + 0.01:
            self.wait(5, 600)
            self.tell(Kind.RATED, b'","comment":"%b"}' % (self.pick(self.lines["complaint"]) % self.slots))

    def come_back(self, subject: Subject, *, ended: bool) -> None:
        """Write again: soon after an announced end, or after more than the four hours of silence."""
        lines = self.lines
        if ended and self.chance(0.5):
            self.wait(120, 9_000)
        else:
            self.wait(4.2 * 3600, 20 * 3600)
        if self.chance(0.5):
            exchange = self.opening(subject)
            self.ask(subject, self.pick(lines["more_time"]))
        else:
            subject = self.subject()
            exchange = self.opening(subject)
            self.slots[b"ask"] = exchange.question % self.slots
            self.ask(subject, self.pick(lines["again"]))
        self.answer(subject, exchange)
        self.part()
        self.end()

    def judge(self, at: int, seen: int, number: int, *, well: bool) -> None:
        """Let a manager label the conversation after having seen some of its messages."""
        by = self.pick(_MANAGERS)
        if well:
            verdict = b'"label":"positive","by":"%b"' % by
        else:
            better = self.pick(self.lines["correction"]) % self.slots
            verdict = b'"label":"negative","by":"%b","reason":"not answered","correction":"%b"' % (by, better)
        self.labels.append(
            Step(at, Kind.LABEL_SET, LABEL_NUMBERS[number], b'",%b,"seen_messages":%d}' % (verdict, seen))
        )

    def judge_afterwards(self, middle: int, seen: int, *, well: bool) -> None:
        """Label the conversation, mostly a while after it, else in its middle; take some labels back."""
        draw = self.draw
        if draw() < 0.15:
            at = middle + 1 + int(draw() * 300)
        else:
            at, seen = self.at + 60_000 + int(draw() * 8 * HOUR), self.said
        self.judge(at, seen, 0, well=well)
        if draw() < 0.12:
            at += 60_000 + int(draw() * HOUR)
            body = b'","by":"%b","reason":"second look"}' % self.pick(_MANAGERS)
            self.labels.append(Step(at, Kind.LABEL_CLEARED, LABEL_NUMBERS[1], body))
            if draw() < 0.4:
                self.judge(at + 30_000 + int(draw() * HOUR), seen, 2, well=not well)


def tell_story(random: Random, at: int, names: Names, shares: Shares) -> list[Step]:
    """Tell a conversation from its start `at` (epoch milliseconds), in the order of time."""
    draw = random.random
    story = _Story(draw, at, names)
    story.begin()
    story.greet()
    if story.who.anonymous and draw() < 0.4:
        story.log_in()
    fails = draw() < shares.fallback
    subject = story.subject()
    if fails:
        story.fall_back(subject)
        if draw() < 0.25:
            story.fall_back(subject)
        escalates = draw() < ESCALATED_AFTER_FALLBACK
    else:
        escalates = draw() < (ESCALATED - ESCALATED_AFTER_FALLBACK * shares.fallback) / (1 - shares.fallback)
    if not fails or draw() < 0.5:
        subject = story.talk(subject)
    middle, seen = story.at, story.said
    if escalates:
        story.hand_over()
    story.part()
    well = not (fails or draw() < 0.12)
    ended = story.end()
    story.rate_sometime(well=well)
    if draw() < REOPENED:
        story.come_back(subject, ended=ended)
    if draw() < shares.labels:
        story.judge_afterwards(middle, seen, well=well)
        return sorted(story.steps + story.labels)
    return story.steps
