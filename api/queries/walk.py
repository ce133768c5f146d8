"""A walk through a list, one conversation after the other: which one comes next, and how far it has come.

What is walked is a list as it stood when the walk began: conversations that the walker labels on the way stay in it,
although they are judged now. So the position of each is the same going forth, going back and after a reload, and
nothing has to be remembered but when the walk began.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel

from api.queries.asking import Queries
from api.queries.conditions import SECTIONS, TABLE, compile_selection
from api.queries.selection import Section, Selection
from api.queries.sorting import Cursor, Direction, Sort
from schemas.facts import Key

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BEGUN: Final = "c.started_at <= fromUnixTimestamp64Milli({walk_since:Int64}, 'UTC')"
_PENDING: Final = "(c.label = '' OR c.label_stale)"
_MINE: Final = (
    "(c.labelled_by = {walk_by:String} AND c.labelled_at >= fromUnixTimestamp64Milli({walk_since:Int64}, 'UTC'))"
)


class Through(StrEnum):
    """What a walk goes through."""

    PENDING = "pending"
    """What has no label, and what was said more in since it got one."""
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Walk:
    """Whose walk through which list. `by`: the author of the labels given on the way; `since`: when it began."""

    selection: Selection
    sort: Sort
    through: Through
    by: str
    since: datetime


class Standing(BaseModel):
    """How far a walk has come. `position` counts from 1; what was labelled on the way is counted by its label now."""

    position: int
    total: int
    positive: int
    negative: int
    cleared: int
    pending: int


async def beside(queries: Queries, walk: Walk, place: Cursor | None, limit: int, only: str | None) -> list[Key]:
    """Give the conversations of a walk behind (or before) a place, the nearest first.

    Without a place from the beginning, but for what was labelled on the way. `only`: the only assistant that may be
    seen.
    """
    sql, bound = _list(walk, only)
    backwards = False
    if place is None:
        sql = f"{sql} AND NOT {_MINE}"
    else:
        backwards = place.direction is Direction.BEFORE
        side, more = place.condition()
        sql, bound = f"{sql} AND ({side})", {**bound, **more}
    found = await queries.rows(
        f"SELECT c.assistant, c.conversation_id FROM {TABLE} WHERE {sql} "
        f"ORDER BY {walk.sort.order_by(backwards=backwards)} LIMIT {{walk_limit:UInt32}}",
        {**bound, "walk_limit": limit},
    )
    return [(assistant, conversation_id) for assistant, conversation_id in found]


async def standing(queries: Queries, walk: Walk, before: Cursor | None, only: str | None) -> Standing:
    """Say how far a walk has come at the conversation that the cursor lies before; without one, at its end."""
    sql, bound = _list(walk, only)
    passed_by = "1"
    if before is not None:
        passed_by, more = before.condition()
        bound = {**bound, **more}
    ((passed, total, positive, negative, cleared, pending),) = await queries.rows(
        f"SELECT countIf({passed_by}), count(), countIf({_MINE} AND c.label = 'positive'), "
        f"countIf({_MINE} AND c.label = 'negative'), countIf({_MINE} AND c.label = ''), countIf({_PENDING}) "
        f"FROM {TABLE} WHERE {sql}",
        bound,
    )
    return Standing(
        position=passed + (before is not None),
        total=total,
        positive=positive,
        negative=negative,
        cleared=cleared,
        pending=pending,
    )


def _list(walk: Walk, only: str | None) -> tuple[str, dict[str, Any]]:
    """Say which conversations a walk goes through, and what is bound.

    Ranges end when the walk began: none slips out of `24h` on the way, and new ones do not shift the positions.
    """
    everything = compile_selection(walk.selection.but(section=Section.ALL), only, walk.since)
    entered = SECTIONS.get(walk.selection.section, "1")
    if walk.through is Through.PENDING:
        entered += f" AND {_PENDING}"
    return f"({everything.sql}) AND {_BEGUN} AND ({entered} OR {_MINE})", {
        **everything.parameters,
        "walk_by": walk.by,
        "walk_since": (walk.since - _EPOCH) // timedelta(milliseconds=1),
    }
