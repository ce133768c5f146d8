"""The kinds of failure that are expected; everything else is a bug and stops the process."""

from enum import StrEnum


class Reason(StrEnum):
    """Why a record can never succeed as it is. The value is what dashboards and `--reason` see."""

    EMPTY = "empty"
    MALFORMED = "malformed"
    UNKNOWN_TYPE = "unknown_type"
    INVALID = "invalid"
    OUT_OF_RANGE = "out_of_range"
    FUTURE_TIME = "future_time"
    WRONG_TOPIC = "wrong_topic"
    NO_HOME = "no_home"
    REFUSED = "refused"


REASONS: dict[Reason, str] = {
    Reason.EMPTY: "the record has no value",
    Reason.MALFORMED: "the value is not one JSON object in UTF-8",
    Reason.UNKNOWN_TYPE: "`type` is missing or names no event",
    Reason.INVALID: "a field is missing, of the wrong type or out of bounds",
    Reason.OUT_OF_RANGE: "`at` lies before the year 2000",
    Reason.FUTURE_TIME: "`at` lies more than five minutes after the record's own Kafka timestamp",
    Reason.WRONG_TOPIC: "the type belongs to the other topic",
    Reason.NO_HOME: "the record was sent home three times and never arrived",
    Reason.REFUSED: "ClickHouse refuses the record itself",
}


class Invalid(ValueError):  # noqa: N818  (reads as what it is)
    """A record that can never succeed: it becomes a dead letter with the reason and what to mend."""

    def __init__(self, reason: Reason, detail: str) -> None:
        """`detail`: one line for a person."""
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Unavailable(Exception):  # noqa: N818
    """The world is down: wait and retry, acknowledge nothing."""


class TooMuch(Exception):  # noqa: N818  (an answer: ask for less)
    """A query hit its limit of time or memory; the text says which, and how to ask for less."""


class Refused(Exception):  # noqa: N818
    """The store refuses what it was given; the same input will be refused again. Bisect to the record at fault."""
