"""The place of a walk: through which list, since when, at which conversation. All of it stands in the address."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final, Self
from urllib.parse import urlencode

from api.access.principal import Principal
from api.pages import addresses
from api.problems import Problem
from api.queries.selection import ListRequest, Section
from api.queries.sorting import Cursor
from api.queries.walk import Through, Walk
from schemas.facts import Key

OWN: Final = ("walk", "since", "skipped", "of", "id", "go", "passed", "last_of", "last_id", "last_event", "about")
"""The parameters of a walk beside those of its list."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS: Final = 4_102_444_799_999  # of the year 2099
_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a walk is.

    `key`: the conversation, None before the first one; `go`: where to go on from, and which way; `passed`: how many
    were passed over on the way here because somebody else reviews them; `last`: what was done last, with the id of the
    label event, '' when it was skipped.
    """

    asked: ListRequest
    through: Through
    since: datetime
    skipped: int = 0
    key: Key | None = None
    go: Cursor | None = None
    passed: int = 0
    last: tuple[Key, str] | None = None

    @classmethod
    def of(cls, pairs: list[tuple[str, str]]) -> Self:
        """Read an address. Raises ValidationError for a faulty list, Problem 422 or 400 for a faulty place."""
        asked = ListRequest.from_items(pair for pair in pairs if pair[0] not in OWN)
        own = dict.fromkeys(OWN, "") | {name: value for name, value in pairs if name in OWN}
        try:
            return cls(
                asked,
                Through(own["walk"]) if own["walk"] else usual(asked),
                _EPOCH + _number(own["since"], _LAST_MS) * _MILLISECOND if own["since"] else datetime.now(UTC),
                _number(own["skipped"]),
                (own["of"], own["id"]) if own["of"] and own["id"] else None,
                Cursor.parse(own["go"], asked.order) if own["go"] else None,
                _number(own["passed"]),
                ((own["last_of"], own["last_id"]), own["last_event"]) if own["last_of"] and own["last_id"] else None,
            )
        except ValueError as error:
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "The address of this walk is broken. Begin it anew.",
                title="No such walk",
            ) from error

    def pairs(self) -> addresses.Pairs:
        """Give the walk without its place, for hidden fields; `of` reads it back."""
        through = [("walk", str(self.through))] if self.through is not usual(self.asked) else []
        return [
            *addresses.without(self.asked, "cursor", "limit"),
            *through,
            ("since", str((self.since - _EPOCH) // _MILLISECOND)),
            ("skipped", str(self.skipped)),
        ]

    def address(self, **changes: Any) -> str:
        """Give the address of this walk, but for what changes. What goes on is nowhere until it has arrived."""
        there = replace(self, **changes)
        pairs = there.pairs()
        if there.go is not None:
            pairs.append(("go", str(there.go)))
        elif there.key is not None:
            pairs += [("of", there.key[0]), ("id", there.key[1])]
        if there.passed:
            pairs.append(("passed", str(there.passed)))
        return f"/review?{urlencode([*pairs, *(there.undoing() if there.last else [])])}"

    def undoing(self) -> addresses.Pairs:
        """Give what says what was done last, for hidden fields too: empty when nothing was."""
        (assistant, conversation_id), event = self.last or (("", ""), "")
        return [("last_of", assistant), ("last_id", conversation_id), ("last_event", event)]

    def walk(self, principal: Principal) -> Walk:
        """Give whose walk through what this is."""
        return Walk(self.asked.selection, self.asked.order, self.through, principal.name, self.since)


def usual(asked: ListRequest) -> Through:
    """Say what a walk goes through unless told: among all, what nobody has judged yet; among the labelled ones, all."""
    return Through.ALL if asked.section in {Section.POSITIVE, Section.NEGATIVE} else Through.PENDING


def _number(text: str, most: int = 1_000_000) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()) or int(text[:20]) > most:
        raise ValueError(text)
    return int(text)
