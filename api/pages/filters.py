"""The filter panel: every filter with its values and counts, and the chips that take one away."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from api.queries.languages import language_name
from api.queries.listing import FacetValue
from api.queries.selection import NONE, Range, Selection, State

Chosen = TypeVar("Chosen", bound=Selection)

FLAGS: Final = {"rated": "Rated", "claimed": "Claim of an agent", "escalated": "Escalated"}
VALUES: Final = {
    "assigned_to": "Assigned to",
    "language": "Language",
    "topic": "Topic",
    "subtopic": "Subtopic",
    "channel": "Channel",
    "device": "Device",
    "location": "Location",
}
ORDER: Final = (
    "rated", "claimed", "client", "assigned_to", "language", "topic", "subtopic",
    "escalated", "channel", "device", "location", "state",
)  # fmt: skip
"""Those that the mission names come first, in its order."""

STATES: Final = {State.CLOSED: "Archived", State.OPEN: "Open now", State.ALL: "Archived and open"}
RANGES: Final = {
    Range.DAY: "Last 24 hours",
    Range.WEEK: "Last week",
    Range.MONTH: "Last month",
    Range.YEAR: "Last year",
}
_NEGATED: Final = {"rated": "Not rated", "claimed": "No claim of an agent", "escalated": "Not escalated"}


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a filter: what the address says, what the page says, and how many it would show."""

    value: str
    words: str
    count: int | None
    chosen: bool


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter of the panel. `kind`: `choice` (one of a few), `values` (any of many) or `text`."""

    name: str
    title: str
    kind: str
    choices: tuple[Choice, ...] = ()
    text: str = ""

    @property
    def chosen(self) -> tuple[Choice, ...]:
        """What is chosen of the values."""
        return tuple(choice for choice in self.choices if choice.chosen)


@dataclass(frozen=True, slots=True)
class Active(Generic[Chosen]):
    """One filter that is on: in words, and the selection without it."""

    name: str
    title: str
    words: str
    rest: Chosen


def panel(selection: Selection, facets: Mapping[str, list[FacetValue]]) -> list[Filter]:
    """Give the filters of the panel, in its order."""
    return [_filter(name, selection, facets) for name in ORDER]


def _filter(name: str, selection: Selection, facets: Mapping[str, list[FacetValue]]) -> Filter:
    if name == "client":
        return Filter(name, "Client", "text", text=selection.client or "")
    if name == "state":
        states = tuple(
            Choice("" if state is State.CLOSED else state, words, None, selection.state is state)
            for state, words in STATES.items()
        )
        return Filter(name, "State", "choice", states)
    if name in FLAGS:
        counts = {one.value: one.count for one in facets.get(name, ())}
        chosen: bool | None = getattr(selection, name)
        return Filter(
            name,
            FLAGS[name],
            "choice",
            (
                Choice("", "Any", None, chosen is None),
                Choice("true", "Yes", counts.get("true", 0), chosen is True),
                Choice("false", "No", counts.get("false", 0), chosen is False),
            ),
        )
    values: tuple[str, ...] = getattr(selection, name)
    choices = tuple(
        Choice(one.value or NONE, in_words(name, one.value), one.count, (one.value or NONE) in values)
        for one in facets.get(name, ())
    )
    return Filter(name, VALUES[name], "values", choices)


def in_words(name: str, value: str) -> str:
    """Say a value as people do: a language by its name, an empty one as `none`."""
    if value in {"", NONE}:
        return "none"
    return language_name(value) if name == "language" else value


def reset(selection: Chosen) -> Chosen:
    """Take every filter away; section, range, order and columns stay."""
    return selection.but(
        **{change: value for *_, changes in _active(selection) for change, value in changes.items()}
        | dict.fromkeys(("assistant", *VALUES), ())
    )


def active(selection: Chosen) -> list[Active[Chosen]]:
    """Give the filters that are on, each with the selection that is left without it; the section is not one."""
    return [Active(name, title, words, selection.but(**change)) for name, title, words, change in _active(selection)]


def _active(selection: Selection) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    if selection.q:
        yield "q", "Text", selection.q, {"q": None}
    yield from _values("assistant", "Assistant", selection)
    for name in ORDER:
        if name in FLAGS:
            on: bool | None = getattr(selection, name)
            if on is not None:
                yield name, "", FLAGS[name] if on else _NEGATED[name], {name: None}
        elif name == "client":
            if selection.client:
                yield name, "Client", selection.client, {name: None}
        elif name == "state":
            if selection.state is not State.CLOSED:
                yield name, "State", STATES[selection.state].lower(), {name: State.CLOSED}
        else:
            yield from _values(name, VALUES[name], selection)


def _values(name: str, title: str, selection: Selection) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    values: tuple[str, ...] = getattr(selection, name)
    for value in values:
        yield name, title, in_words(name, value), {name: tuple(other for other in values if other != value)}


@dataclass(frozen=True, slots=True)
class Link:
    """A link of the page, and whether it is where the reader is; `count`: what it leads to, where that is known."""

    words: str
    address: str
    current: bool
    count: int | None = None


def ranges(selection: Selection, address: Callable[[Selection], str]) -> list[Link]:
    """Give the time ranges, and everything; the custom one is a form."""
    anew = {"from_": None, "to": None}
    links = [
        Link(words, address(selection.but(range=one, **anew)), selection.range is one) for one, words in RANGES.items()
    ]
    return [*links, Link("All time", address(selection.but(range=None, **anew)), selection.range is None)]


def assistants(
    selection: Selection, facets: Mapping[str, list[FacetValue]], address: Callable[[Selection], str]
) -> list[Link]:
    """Give the assistants that the reader may see, after all of them together; nothing when there is one only."""
    found = facets.get("assistant", [])
    if len(found) < 2 and not selection.assistant:
        return []
    return [
        Link("All assistants", address(selection.but(assistant=())), not selection.assistant),
        *(
            Link(
                one.value,
                address(selection.but(assistant=(one.value,))),
                selection.assistant == (one.value,),
                one.count,
            )
            for one in found
        ),
    ]
