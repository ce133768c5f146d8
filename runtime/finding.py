"""A finding of `afterword check`: what was looked at, whether it is right, and what to do when it is not."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How something was found."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


_MARKS = {Verdict.OK: "\N{CHECK MARK}", Verdict.NOTE: "\N{BULLET}", Verdict.WRONG: "\N{BALLOT X}"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: of `what`, what was found, and what to `do` about it. A note is worth knowing, but not wrong."""

    verdict: Verdict
    what: str
    found: str
    do: str = ""

    def line(self) -> str:
        """Write it, with mark and word, so that it can be read without colours."""
        remedy = f": {self.do}" if self.do else ""
        return f"{_MARKS[self.verdict]} {self.verdict:<5}  {self.what}: {self.found}{remedy}"


def ok(what: str, found: str) -> Finding:
    """Say that something is right."""
    return Finding(Verdict.OK, what, found)


def note(what: str, found: str, do: str = "") -> Finding:
    """Say something that is worth knowing."""
    return Finding(Verdict.NOTE, what, found, do)


def wrong(what: str, found: str, do: str = "") -> Finding:
    """Say that something is wrong."""
    return Finding(Verdict.WRONG, what, found, do)


def any_wrong(findings: Iterable[Finding]) -> bool:
    """Whether something is wrong."""
    return any(one.verdict is Verdict.WRONG for one in findings)
