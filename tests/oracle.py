"""An oracle of the fold: the rows that accepted facts give, written from docs/fold.md and the event contract alone.

It shares no code with the fold and wants to be read beside that page, section by section. It takes everything at once,
keeps everything, and reads it again for every column: slow, and plain enough to be checked by eye.
"""

import json
import math
import re
import sys
import tomllib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import py3langid
import ua_parser
import xxhash

Row = dict[str, object]
Cause = tuple[str, str, str, float | None]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PROFILE = ("conversation.started", "conversation.updated")
TELEVISION = re.compile(
    r"tizen.*\btv\b|web[o0]s|smart-?tv|apple ?tv|google ?tv|android ?tv|hbbtv|bravia|\baft", re.IGNORECASE
)
TIMES = ("started_at", "last_activity_at", "closes_at", "ended_at", "labelled_at")


def rows(
    lines: Iterable[bytes],
    rules: dict[str, Any],
    clock: int | None,
    default_assistant: str | None = None,
    *,
    fold_revision: int = 1,
) -> dict[tuple[str, str], Row]:
    """The rows that the facts in `lines` give, by (assistant, conversation id).

    `lines` are the payloads of accepted facts, in any order and as often as one likes; `rules` is the parsed rules
    file; `clock` is in epoch milliseconds, and without one nothing closes idle.
    """
    conversations: dict[tuple[str, str], set[bytes]] = {}
    for line in lines:
        event = present(json.loads(line))
        assistant = event.get("assistant", default_assistant)
        if assistant is None:
            raise ValueError(f"no assistant in {line!r}, and none is configured")
        conversations.setdefault((assistant, event["conversation_id"]), set()).add(line)
    return {
        (assistant, conversation_id): row
        for (assistant, conversation_id), payloads in conversations.items()
        if (
            row := conversation_row(
                assistant, conversation_id, payloads, Rules.of(rules, assistant), clock, fold_revision
            )
        )
    }


def as_json(row: Row) -> dict[str, object]:
    """The row as it stands in a golden file: times as ISO 8601 in UTC with milliseconds, causes as lists."""
    written = dict(row)
    for column in TIMES:
        at = row[column]
        if isinstance(at, int):
            moment = EPOCH + timedelta(milliseconds=at)
            written[column] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    day = row["opened_on"]
    written["opened_on"] = day.isoformat() if isinstance(day, date) else None
    causes = row["fallback_causes"]
    written["fallback_causes"] = [list(cause) for cause in causes] if isinstance(causes, list) else []
    return written


# Rules and facts.


@dataclass(frozen=True)
class Rules:
    """The rules in force for one assistant; phrases are lists of folded words."""

    revision: int
    idle_gap: int
    fallback_threshold: float
    fallback_intents: list[str]
    could_not_help: list[list[str]]
    small_talk: list[list[str]]
    stop_words: set[str]

    @classmethod
    def of(cls, rules: dict[str, Any], assistant: str) -> "Rules":
        """The default section with the assistant's own laid over it, tables of languages language by language."""
        section = dict(rules["default"])
        for key, value in rules.get("assistants", {}).get(assistant, {}).items():
            section[key] = {**section.get(key, {}), **value} if isinstance(value, dict) else value

        def phrases(key: str) -> list[list[str]]:
            texts = [text for language in section.get(key, {}).values() for text in language]
            return [folded for text in texts if (folded := words(text))]

        return cls(
            revision=rules["revision"],
            idle_gap=round(section["idle_gap_minutes"] * 60_000),
            fallback_threshold=section["fallback_threshold"],
            fallback_intents=section.get("fallback_intents", []),
            could_not_help=phrases("could_not_help"),
            small_talk=phrases("small_talk"),
            stop_words={word for phrase in phrases("stop_words") for word in phrase},
        )


@dataclass(frozen=True)
class Fact:
    """One event, without what is null or '' in it, and the digest of its payload."""

    event: dict[str, Any]
    digest: bytes
    at: int

    @classmethod
    def of(cls, payload: bytes) -> "Fact":
        """The fact that a payload states."""
        event = present(json.loads(payload))
        return cls(event, xxhash.xxh3_128_digest(payload), milliseconds(event["at"]))

    @property
    def id(self) -> str:
        return str(self.event["id"])

    @property
    def type(self) -> str:
        return str(self.event["type"])

    @property
    def moment(self) -> tuple[int, int, bytes]:
        return self.at, self.event.get("seq", 0), self.id.encode()

    def get(self, field: str) -> Any:
        """A field's value, None when it is absent."""
        return self.event.get(field)

    def is_sent_by(self, *roles: str) -> bool:
        """Whether it is a message of one of these roles."""
        return self.type == "message.sent" and self.event["role"] in roles


def present(value: Any) -> Any:
    """The value without the members, at any depth, that are null or ''."""
    if isinstance(value, dict):
        return {key: present(member) for key, member in value.items() if member not in (None, "")}
    return value


def milliseconds(at: str | float) -> int:
    """Whole epoch milliseconds of an ISO 8601 time with zone or of epoch milliseconds, what is finer being cut off."""
    if isinstance(at, str):
        return (datetime.fromisoformat(at) - EPOCH) // timedelta(milliseconds=1)
    return math.floor(at)


# From the set to the sequence.


def conversation_row(
    assistant: str, conversation_id: str, payloads: set[bytes], rules: Rules, clock: int | None, fold_revision: int
) -> Row | None:
    """The row of one conversation; None while there is none."""
    known = [Fact.of(payload) for payload in payloads]
    erasures = [fact for fact in known if fact.type == "conversation.erased"]
    cut = max((fact.at for fact in erasures), default=None)
    left = [fact for fact in known if cut is None or fact.at > cut]

    first_of: dict[str, Fact] = {}
    for fact in sorted(left, key=lambda fact: (fact.at, fact.digest)):
        first_of.setdefault(fact.id, fact)
    facts = sorted(first_of.values(), key=lambda fact: fact.moment)

    head: Row = {"assistant": assistant, "conversation_id": conversation_id}
    if any(is_of_a_conversation(fact) for fact in facts):
        body = project(facts, rules, clock)
    elif cut is not None:
        body = blank(cut, rules)
    else:
        return None
    version = (
        min(distinct(erasures), 255) * 2**56
        + distinct(left) * 2**24
        + fold_revision * 2**17
        + rules.revision * 2
        + bool(body["closed"])
    )
    return head | body | {"version": version}


def distinct(facts: Iterable[Fact]) -> int:
    """How many different (id, digest) there are."""
    return len({(fact.id, fact.digest) for fact in facts})


def is_of_a_conversation(fact: Fact) -> bool:
    """Whether the fact makes a conversation by itself, as a label does not."""
    return fact.type.startswith(("conversation.", "message."))


def blank(cut: int, rules: Rules) -> Row:
    """The row of an erased conversation: it stands at the cut, since a row must stand somewhere, and says nothing."""
    return {
        "is_deleted": 1,
        "opened_on": utc_day(cut),
        "started_at": cut,
        "last_activity_at": cut,
        "closes_at": cut,
        "closed": False,
        "ended_at": None,
        "close_reason": "",
        "duration_ms": None,
        "reopened": 0,
    } | sayings([], rules)


def project(facts: Sequence[Fact], rules: Rules, clock: int | None) -> Row:
    """The columns that the facts, in order, give."""
    return {"is_deleted": 0} | times(facts, rules, clock) | sayings(facts, rules)


def sayings(facts: Sequence[Fact], rules: Rules) -> Row:
    """The columns that do not ask when: what was said, by whom, and what became of it."""
    return counts(facts, rules) | profile(facts) | people(facts) | fallbacks(facts, rules) | label(facts)


# Sessions, times.


def times(facts: Sequence[Fact], rules: Rules, clock: int | None) -> Row:
    """When it began, was alive and ended."""
    started_at = min(fact.at for fact in facts if is_of_a_conversation(fact))
    activity = [fact for fact in facts if fact.is_sent_by("user", "assistant", "agent")]
    endings = [fact.at for fact in facts if fact.type == "conversation.ended"]
    last_activity_at = max((fact.at for fact in activity), default=started_at)
    closes_at = last_activity_at + rules.idle_gap
    sessions = session_starts(activity, endings, rules.idle_gap)

    not_before = [*sessions[-1:], *[fact.at for fact in activity if fact.is_sent_by("user")][-1:]]
    ended = [x for x in endings if all(x >= bound for bound in not_before) and x < closes_at]
    if ended:
        close_reason, ended_at = "ended", min(ended)
    elif clock is not None and clock >= closes_at:
        close_reason, ended_at = "idle", last_activity_at
    else:
        close_reason, ended_at = "", None
    return {
        "opened_on": utc_day(started_at),
        "started_at": started_at,
        "last_activity_at": last_activity_at,
        "closes_at": closes_at,
        "closed": ended_at is not None,
        "ended_at": ended_at,
        "close_reason": close_reason,
        "duration_ms": None if ended_at is None else ended_at - started_at,
        "reopened": max(len(sessions) - 1, 0),
    }


def session_starts(activity: Sequence[Fact], endings: Sequence[int], idle_gap: int) -> list[int]:
    """The time of the first activity of each session."""
    starts: list[int] = []
    before: int | None = None
    user_before = -math.inf
    for fact in activity:
        is_user = fact.is_sent_by("user")
        after_gap = before is not None and fact.at - before >= idle_gap
        after_end = is_user and any(user_before <= x < fact.at for x in endings)
        if before is None or after_gap or after_end:
            starts.append(fact.at)
        before = fact.at
        user_before = fact.at if is_user else user_before
    return starts


def utc_day(at: int) -> date:
    """The day of epoch milliseconds, in UTC."""
    return (EPOCH + timedelta(milliseconds=at)).date()


# Counts.


def counts(facts: Sequence[Fact], rules: Rules) -> Row:
    """Messages by who sent them, and the questions among them."""
    user = [fact for fact in facts if fact.is_sent_by("user")]
    return {
        "messages": sum(fact.is_sent_by("user", "assistant") for fact in facts),
        "user_messages": len(user),
        "agent_messages": sum(fact.is_sent_by("agent") for fact in facts),
        "queries": len({question_key(fact, rules) for fact in user if is_question(fact, rules)}),
    }


def is_question(message: Fact, rules: Rules) -> bool:
    """Whether the runtime says so; else whether there is more in it than a button or small talk."""
    said: bool | None = message.get("is_question")
    if said is not None:
        return said
    text: str | None = message.get("text")
    if text is None:
        return True
    if re.fullmatch(r"/[^\s{}]+(\{.*\})?", text.strip(), re.DOTALL):
        return False
    return not is_small_talk(words(text), rules.small_talk)


def is_small_talk(text: list[str], phrases: list[list[str]]) -> bool:
    """Whether phrases use the words up, the longest that fits being taken from the left each time."""
    while text:
        fitting = [phrase for phrase in phrases if text[: len(phrase)] == phrase]
        if not fitting:
            return False
        text = text[max(map(len, fitting)) :]
    return True


def question_key(message: Fact, rules: Rules) -> str:
    """What two ways of asking the same have in common; the id of a message that has no word."""
    all_words = words(message.get("text") or "")
    telling = [word for word in all_words if word not in rules.stop_words]
    return " ".join(sorted(telling or all_words)) or message.id


def words(text: str) -> list[str]:
    """The folded words of a text: runs of letters, marks and digits, with a letter or digit among them."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    joined = re.sub("['’ʼ]", "", folded)  # noqa: RUF001
    runs = "".join(char if is_of_a_word(char) else " " for char in joined).split()
    return [run for run in runs if any(unicodedata.category(char)[0] != "M" for char in run)]


def is_of_a_word(char: str) -> bool:
    """Whether it is a letter, a mark or a digit."""
    category = unicodedata.category(char)
    return category[0] in "LM" or category == "Nd"


# Who, where, what.


def profile(facts: Sequence[Fact]) -> Row:
    """What was said of the user, the channel and the subject."""
    told = [fact for fact in facts if fact.type in PROFILE]
    spoken = [fact for fact in facts if fact.type in (*PROFILE, "message.sent")]
    rated = [fact for fact in facts if fact.type == "conversation.rated"]
    ids = [user_id for fact in told if (user_id := user(fact).get("id"))]
    feedback = latest([fact.get("comment") for fact in rated]) or ""
    return {
        "user_id": ids[-1] if ids else "",
        "user_name": user_name(told, ids),
        "channel": latest([fact.get("channel") for fact in told]) or "",
        "device": device(told),
        "location": latest([fact.get("location") or fact.get("country") for fact in told]) or "",
        "language": latest([fact.get("language") for fact in spoken]) or detected_language(facts),
        "topic": latest([fact.get("topic") for fact in spoken]) or "",
        "subtopic": subtopic(spoken),
        "attributes": {key: as_text(value) for fact in told for key, value in (fact.get("attributes") or {}).items()},
        "rating": latest([fact.get("rating") for fact in rated]),
        "feedback": feedback,
        "has_feedback": feedback != "",
    }


def latest(values: Sequence[Any]) -> Any:
    """The last of them that is there, None when none is."""
    return next((value for value in reversed(values) if value is not None), None)


def as_text(value: object) -> str:
    """A text as it is, anything else as JSON writes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def user(fact: Fact) -> dict[str, str]:
    """What the event says of the user."""
    return fact.get("user") or {}


def user_name(told: Sequence[Fact], ids: Sequence[str]) -> str:
    """The latest name of the current user; before any id was said, the events speak of the first one said."""
    names: dict[str | None, str] = {}
    in_force = ids[0] if ids else None
    for fact in told:
        in_force = user(fact).get("id", in_force)
        names[in_force] = user(fact).get("name") or names.get(in_force, "")
    return names.get(in_force, "")


def subtopic(spoken: Sequence[Fact]) -> str:
    """The latest subtopic of the topic in force; a change of topic forgets it."""
    topic, within = "", ""
    for fact in spoken:
        said = fact.get("topic") or topic
        if said != topic:
            topic, within = said, ""
        within = fact.get("subtopic") or within
    return within


def device(told: Sequence[Fact]) -> str:
    """What was said, else the class of the latest user agent."""
    said: str | None = latest([fact.get("device") for fact in told])
    agent: str | None = latest([fact.get("user_agent") for fact in told])
    return said or (device_class(agent) if agent else "")


_LANGUAGES = (
    *("ar", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "et", "eu", "fa", "fi", "fr", "gl", "he", "hi", "hr"),
    *("hu", "id", "it", "ja", "ka", "ko", "lt", "lv", "ms", "nl", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sr", "sv"),
    *("ta", "te", "th", "tr", "uk", "ur", "vi", "zh"),
)


@cache
def _tell_apart(languages: tuple[str, ...]) -> None:
    py3langid.set_languages(list(languages))


def _language(text: str) -> str:
    _tell_apart(_LANGUAGES)
    return str(py3langid.classify(text)[0])


def device_class(user_agent: str) -> str:
    """desktop, mobile, tablet, tv, bot, or '' when ua-parser cannot tell."""
    parsed = ua_parser.parse(user_agent)
    system = parsed.os.family if parsed.os else ""
    model = parsed.device.family if parsed.device else ""
    if model == "Spider":
        return "bot"
    if TELEVISION.search(user_agent):
        return "tv"
    if "iPad" in model or "tablet" in user_agent.casefold() or (system == "Android" and "Mobile" not in user_agent):
        return "tablet"
    if system in ("iOS", "Android", "Windows Phone"):
        return "mobile"
    if system in ("Windows", "Mac OS X", "Linux", "Chrome OS", "Ubuntu", "Fedora", "Debian", "FreeBSD", "OpenBSD"):
        return "desktop"
    return ""


def detected_language(facts: Sequence[Fact]) -> str:
    """The detector's answer to the first texts of the user, when they have letters enough."""
    taken: list[str] = []
    for text in islice((fact.get("text") for fact in facts if fact.is_sent_by("user") and fact.get("text")), 5):
        taken.append(text[:100])
        if letters(taken) >= 40:
            break
    return _language("\n".join(taken)) if letters(taken) >= 12 else ""


def letters(texts: Sequence[str]) -> int:
    """How many letters there are in the texts."""
    return sum(char.isalpha() for text in texts for char in text)


def people(facts: Sequence[Fact]) -> Row:
    """Who of the staff had to do with it."""
    assigned = [fact for fact in facts if fact.type == "conversation.assigned"]
    by_agent = any(fact.is_sent_by("agent") for fact in facts)
    return {
        "escalated": by_agent or any(fact.type == "conversation.escalated" for fact in facts),
        "claimed": by_agent or any(fact.get("assigned_to") for fact in assigned),
        "assigned_to": (assigned[-1].get("assigned_to") or "") if assigned else "",
        "team": (assigned[-1].get("team") or "") if assigned else "",
    }


# Fallbacks.


def fallbacks(facts: Sequence[Fact], rules: Rules) -> Row:
    """How many messages were tagged, and the first 50 tags."""
    messages: set[str] = set()
    causes: list[Cause] = []
    for fact in facts:
        tags = tags_of(fact, rules)
        causes += tags
        if tags:
            messages.add(fact.get("message_id") or fact.id if fact.type == "message.fallback" else fact.id)
    return {"fallbacks": len(messages), "fallback_causes": causes[:50]}


def tags_of(fact: Fact, rules: Rules) -> list[Cause]:
    """The tags of one event, in the order of the contract's table."""
    confidence: float | None = fact.get("confidence")
    if fact.type == "message.fallback":
        return [(fact.id, "reported", fact.get("reason") or "other", confidence)]
    if fact.type != "message.sent":
        return []
    tags: list[Cause] = []
    intent = fact.get("intent") or {}
    if fact.get("fallback") is True:
        tags.append((fact.id, "flagged", "other", confidence))
    if intent.get("name") in rules.fallback_intents:
        tags.append((fact.id, "intent", "not_understood", intent.get("confidence")))
    if fact.is_sent_by("assistant"):
        if confidence is not None and confidence < rules.fallback_threshold:
            tags.append((fact.id, "low_confidence", "low_confidence", confidence))
        if fact.get("sources") == 0:
            tags.append((fact.id, "no_sources", "no_knowledge", confidence))
        text = words(fact.get("text") or "")
        if any(contains(text, phrase) for phrase in rules.could_not_help):
            tags.append((fact.id, "pattern", "not_understood", confidence))
    return tags


def contains(text: list[str], phrase: list[str]) -> bool:
    """Whether the words of the phrase stand in a row in the text."""
    return any(text[start : start + len(phrase)] == phrase for start in range(len(text)))


# Labels.


def label(facts: Sequence[Fact]) -> Row:
    """What the latest label event says, and whether the manager had seen all there is."""
    given = [fact for fact in facts if fact.type in ("label.set", "label.cleared")]
    if not given:
        texts = ("label", "correction", "label_id", "labelled_by", "label_reason")
        return dict.fromkeys(texts, "") | {"labelled_at": None, "label_stale": False}
    last = given[-1]
    is_set = last.type == "label.set"
    messages = [fact.at for fact in facts if fact.is_sent_by("user", "assistant")]
    seen: int | None = last.get("seen_messages")
    missed = len(messages) > seen if seen is not None else any(last.at < at for at in messages)
    return {
        "label": last.event["label"] if is_set else "",
        "correction": (last.get("correction") or "") if is_set else "",
        "label_id": last.id,
        "labelled_by": last.get("by") or "",
        "labelled_at": last.at,
        "label_reason": last.get("reason") or "",
        "label_stale": is_set and missed,
    }


def golden(events: Path, rules: Path, clock: str) -> str:
    """The text of a golden file: the rows of a file of events at a clock, by conversation id."""
    found = rows(events.read_bytes().splitlines(), tomllib.loads(rules.read_text("utf-8")), milliseconds(clock))
    written = [as_json(row) for _, row in sorted(found.items())]
    return json.dumps(written, ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(golden(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
