"""The columns of the conversations table: which there are, which are shown, and how a header sorts."""

from dataclasses import dataclass
from typing import Final

from api.queries.selection import Section
from api.queries.sorting import Sort


@dataclass(frozen=True, slots=True)
class Column:
    """One column: by the row's name of it, with its title.

    `number`: figures, aligned right. `downward`: the first click on its header sorts the greatest first. `usual`:
    shown unless the address says otherwise. `hint`: what it means, where the title does not say it all.
    """

    name: str
    title: str
    number: bool = False
    downward: bool = False
    usual: bool = True
    hint: str = ""


ID: Final = Column("conversation_id", "ID", hint="unique identifier of the conversation")
CAUSE: Final = Column("fallbacks", "Fallback", downward=True, usual=False, hint="main cause of its fallbacks")
ASSISTANT: Final = Column("assistant", "Assistant", usual=False)

COLUMNS: Final = (
    ID,
    Column("label", "Label", hint="what a manager said of it"),
    CAUSE,
    ASSISTANT,
    Column("started_at", "Start", downward=True),
    Column("ended_at", "End", downward=True),
    Column("duration_ms", "Duration", number=True, downward=True),
    Column("queries", "Queries", number=True, downward=True, hint="unique questions of the user"),
    Column("messages", "Messages", number=True, downward=True, hint="messages by user and assistant"),
    Column("rating", "Rating", number=True, downward=True, hint="1 to 5; a red dot where the user left a comment"),
    Column("user_name", "User"),
    Column("user_id", "User ID"),
    Column("escalated", "Escalated", downward=True, hint="whether it went to a human agent"),
    Column("assigned_to", "Assigned", hint="agent or team responsible"),
    Column("language", "Language"),
    Column("location", "Location"),
    Column("channel", "Channel"),
    Column("device", "Device"),
    Column("topic", "Topic", usual=False),
    Column("subtopic", "Subtopic", usual=False),
    Column("claimed", "Claimed", downward=True, usual=False, hint="taken over by a human agent"),
    Column("reopened", "Reopened", number=True, downward=True, usual=False, hint="how often it came to life again"),
)


def usual(section: Section, *, several: bool) -> tuple[Column, ...]:
    """Give the columns that a section shows unless told otherwise; `several`: whether assistants need telling apart."""
    return tuple(
        column
        for column in COLUMNS
        if column.usual or (column is CAUSE and section is Section.FALLBACK) or (column is ASSISTANT and several)
    )


def shown(names: tuple[str, ...], section: Section, *, several: bool) -> tuple[Column, ...]:
    """Give the columns to show: those named, in the table's order, and always the id; the usual ones when none is."""
    if not names:
        return usual(section, several=several)
    return tuple(column for column in COLUMNS if column is ID or column.name in names)


def next_sort(column: Column, sort: Sort) -> str:
    """Say what a click on the header asks for: this column, and the other way when it is sorted by it already."""
    descending = not sort.descending if sort.column == column.name else column.downward
    return f"-{column.name}" if descending else column.name


def aria_sort(column: Column, sort: Sort) -> str:
    """Say in ARIA's words how the table is sorted by this column."""
    if sort.column != column.name:
        return "none"
    return "descending" if sort.descending else "ascending"
