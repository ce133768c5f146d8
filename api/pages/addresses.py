"""Where pages are: the whole state of each stands in its address."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from api.queries.selection import ListRequest, Selection

Pairs = list[tuple[str, str]]

_OF_A_LIST: Final = frozenset({"cursor", "limit", "sort"})
_OF_A_TABLE: Final = frozenset({"columns"})


def learning(selection: Selection) -> str:
    """Give the address of a list: the section is its path, the rest its query."""
    return _with(f"/learning/{selection.section}", without(selection, "section"))


def filtered(selection: Selection) -> str:
    """Give the address of a list of the same conversations in the default order: what another page links to."""
    return _with(f"/learning/{selection.section}", without(selection, "section", *_OF_A_LIST, *_OF_A_TABLE))


def conversation(assistant: str, conversation_id: str, selection: Selection) -> str:
    """Give the address of a conversation, and of which list it is an entry."""
    return _with("/conversation", [("of", assistant), ("id", conversation_id), *_of_list(selection)])


def review(selection: Selection) -> str:
    """Give the address where this list is walked."""
    return _with("/review", _of_list(selection))


def statistics(selection: Selection) -> str:
    """Give the address of the rates of these conversations."""
    return _with("/statistics", without(selection, *_OF_A_LIST, *_OF_A_TABLE))


def download(kind: str, selection: Selection) -> str:
    """Give the address of a list as a file: `csv`, `jsonl` or `parquet`."""
    return _with(f"/v1/conversations.{kind}", without(selection, "cursor", "limit", *_OF_A_TABLE))


def examples(style: str, selection: Selection, by: str | None = None, since: datetime | None = None) -> str:
    """Give the address of the training export of these conversations: `openai`, `preference` or `raw`.

    `by`, `since`: of those only with a label of this author, of this time or later.
    """
    pairs = [("format", style), *without(selection, *_OF_A_LIST, *_OF_A_TABLE)]
    if by is not None:
        pairs.append(("labelled_by", by))
    if since is not None:
        pairs.append(("labelled_since", since.isoformat(timespec="milliseconds")))
    return _with("/v1/examples.jsonl", pairs)


def without(selection: Selection, *names: str) -> Pairs:
    """Give what the address says of a selection, without these: for links and for the hidden fields of a form."""
    return [(name, value) for name, value in selection.items() if name not in names]


def _of_list(selection: Selection) -> Pairs:
    left_out = {"cursor", "limit"} | _OF_A_TABLE
    kept = without(selection, *left_out)
    return kept if isinstance(selection, ListRequest) else [pair for pair in kept if pair[0] != "sort"]


def _with(path: str, pairs: Iterable[tuple[str, str]]) -> str:
    query = urlencode(list(pairs))
    return f"{path}?{query}" if query else path
