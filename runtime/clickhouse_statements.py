"""What must be known of a ClickHouse statement before the engine gets it: its verb, its format, where its rows begin.

The engine parses SQL; this only tells words from strings and comments. It is needed because embedded ClickHouse differs
from a server in four ways: it cuts the rows behind an INSERT at the first line break, runs several statements given as
one, writes INTO OUTFILE to the local disk, and offers the objects of the Python process as tables.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final


class QueryError(Exception):
    """A statement or request that ClickHouse itself, as a server, would answer with this error."""

    def __init__(self, code: int, name: str, text: str) -> None:
        """`code` and `name` are those of ClickHouse's list of errors (`system.errors`)."""
        super().__init__(f"Code: {code}. DB::Exception: {text}. ({name})")
        self.code = code


@dataclass(frozen=True, slots=True)
class Insert:
    """An INSERT that brings its rows along: `into` up to SETTINGS, FORMAT or VALUES, and where the rows begin.

    `settings` is its clause of that name, empty without one.
    """

    into: bytes
    settings: bytes
    format: str
    rows_at: int


@dataclass(frozen=True, slots=True)
class Query:
    """Any other statement; `format` is the one written in it, `totals` whether it may ask for WITH TOTALS."""

    sql: bytes
    verb: str
    format: str | None
    totals: bool

    @property
    def gives_rows(self) -> bool:
        """Whether the answer is a table, be it an empty one."""
        return self.verb in _GIVE_ROWS


_GIVE_ROWS: Final = {"SELECT", "WITH", "FROM", "(", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "CHECK", "KILL"}

_TOKEN: Final = re.compile(
    rb"""
      (?P<space> \s+ | --[^\n]* | \#[\ !][^\n]* | /\*.*?\*/ )
    | (?P<quoted> '[^'\\]*(?:(?:\\.|'')[^'\\]*)*' | "[^"\\]*(?:(?:\\.|"")[^"\\]*)*" | `[^`\\]*(?:(?:\\.|``)[^`\\]*)*`
                | \$(?P<heredoc>\w*)\$.*?\$(?P=heredoc)\$ )
    | (?P<word> \w+ )
    | (?P<mark> . )
    """,
    re.DOTALL | re.VERBOSE,
)
_QUOTED: Final = "''"
"""Stands for any quoted token: a string or an identifier, never a keyword."""

_BEFORE_A_NAME: Final = {".", "INTO", "TABLE", "FUNCTION", "AS"}
_GAP_BEFORE_ROWS: Final = re.compile(rb"[ \t\f]*\r?\n?")


@dataclass(frozen=True, slots=True)
class _Token:
    text: str  # in capitals
    start: int
    end: int
    depth: int  # of the brackets around it


def _tokens(sql: bytes) -> Iterator[_Token]:
    depth = 0
    for match in _TOKEN.finditer(sql):
        if match.lastgroup == "space":
            continue
        text = _QUOTED if match["quoted"] is not None else match[0].decode("latin-1").upper()
        depth -= text == ")"
        yield _Token(text, match.start(), match.end(), depth)
        depth += text == "("


def insert_in(head: bytes) -> Insert | None:
    """The INSERT that `head` begins with, when its rows follow in a format or as VALUES; None for other statements."""
    tokens = _tokens(head)
    first = next(tokens, None)
    if first is None or first.text != "INSERT":
        return None
    before, settings_at = first, -1
    for token in tokens:
        if token.depth == 0 and before.text not in _BEFORE_A_NAME:
            if token.text in {"SELECT", "WITH", "FROM", ";"}:
                return None
            end = token.start if settings_at < 0 else settings_at
            into, settings = head[:end], head[end : token.start]
            if token.text == "SETTINGS" and settings_at < 0:
                settings_at = token.start
            if token.text == "VALUES":
                return Insert(into, settings, "Values", token.end)
            if token.text == "FORMAT" and (name := next(tokens, None)) is not None:
                gap = _GAP_BEFORE_ROWS.match(head, name.end)
                written = head[name.start : name.end].decode("latin-1")
                return Insert(into, settings, written, gap.end() if gap else name.end)
        before = token
    return None


def query_in(sql: bytes) -> Query:
    """The one statement of `sql`.

    Raises QueryError where there is none or more than one, and for what a server does not do for its clients: to read
    and write files by INFILE and OUTFILE, or to look into the process by the table function Python().
    """
    tokens = list(_tokens(sql))
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    if not tokens:
        raise QueryError(62, "SYNTAX_ERROR", "Syntax error: Empty query")
    written = None
    for at, token in enumerate(tokens):
        before, after = (tokens[at - 1].text if at else ""), (tokens[at + 1].text if at + 1 < len(tokens) else "")
        if token.text == ";":
            raise QueryError(62, "SYNTAX_ERROR", "Syntax error (Multi-statements are not allowed)")
        if (before, token.text) == ("INTO", "OUTFILE"):
            raise QueryError(358, "INTO_OUTFILE_NOT_ALLOWED", "INTO OUTFILE is not allowed")
        if tokens[0].text == "INSERT" and (before, token.text) == ("FROM", "INFILE"):
            raise QueryError(78, "UNKNOWN_TYPE_OF_QUERY", "Query has infile and was send directly to server")
        if after == "(" and sql[token.start : token.end].strip(b'`"').upper() == b"PYTHON":
            raise QueryError(46, "UNKNOWN_FUNCTION", "Unknown table function Python")
        if token.text == "FORMAT" and token.depth == 0 and after and _ends_at(tokens, at + 2):
            written = sql[tokens[at + 1].start : tokens[at + 1].end].decode("latin-1")
    words = {token.text for token in tokens}
    return Query(sql, tokens[0].text, written, totals="TOTALS" in words)


def _ends_at(tokens: list[_Token], at: int) -> bool:
    return at >= len(tokens) or tokens[at].text == "SETTINGS"
