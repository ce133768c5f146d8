"""What a failure of ClickHouse means: wait and retry, never send this again, or a bug."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
from clickhouse_connect.driver.exceptions import (
    DatabaseError,
    DataError,
    Error,
    NotSupportedError,
    ProgrammingError,
)

from schemas.failures import Refused, Unavailable

REFUSED = {
    6: "CANNOT_PARSE_TEXT",
    25: "CANNOT_PARSE_ESCAPE_SEQUENCE",
    26: "CANNOT_PARSE_QUOTED_STRING",
    27: "CANNOT_PARSE_INPUT_ASSERTION_FAILED",
    38: "CANNOT_PARSE_DATE",
    41: "CANNOT_PARSE_DATETIME",
    53: "TYPE_MISMATCH",
    69: "ARGUMENT_OUT_OF_BOUND",
    70: "CANNOT_CONVERT_TYPE",
    72: "CANNOT_PARSE_NUMBER",
    117: "INCORRECT_DATA",
    128: "TOO_LARGE_ARRAY_SIZE",
    131: "TOO_LARGE_STRING_SIZE",
    321: "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE",
    349: "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN",
    407: "DECIMAL_OVERFLOW",
    467: "CANNOT_PARSE_BOOL",
}
"""Error codes that speak of the values in an insert."""

UNMIGRATED = {
    8: "THERE_IS_NO_COLUMN",
    16: "NO_SUCH_COLUMN_IN_TABLE",
    47: "UNKNOWN_IDENTIFIER",
    60: "UNKNOWN_TABLE",
    81: "UNKNOWN_DATABASE",
}
"""Error codes that say that tables or columns are not there yet."""

BUGS = {
    36: "BAD_ARGUMENTS",
    42: "NUMBER_OF_ARGUMENTS_DOESNT_MATCH",
    43: "ILLEGAL_TYPE_OF_ARGUMENT",
    46: "UNKNOWN_FUNCTION",
    49: "LOGICAL_ERROR",
    62: "SYNTAX_ERROR",
    115: "UNKNOWN_SETTING",
}
"""Error codes that no waiting mends: a statement of ours is wrong, or the server is too old."""

_AUTHENTICATION_FAILED = 516

_OURS = (ProgrammingError, NotSupportedError)
_UNBUILDABLE = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowCapacityError, OverflowError, UnicodeEncodeError)


def first_line(error: BaseException) -> str:
    """Give what a person needs of an error of ClickHouse: the first line, without stack traces."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:500]


def meaning(error: Exception, where: str, *, inserting: bool) -> Exception:
    """Say what `error` means to whoever called: Refused, Unavailable, or the error itself when it is a bug.

    `where` names the database. Values are refused only while `inserting`: in a query the values are ours.
    """
    if _speaks_of_values(error):
        return Refused(first_line(error)) if inserting else error
    if isinstance(error, OSError):
        return Unavailable(f"ClickHouse at {where}: {first_line(error)}")
    if not isinstance(error, DatabaseError) or error.code in BUGS or (error.code is None and isinstance(error, _OURS)):
        return error
    if error.code is None:
        why = f"no answer from ClickHouse at {where}: is it running, is the address right?"
    elif error.code in UNMIGRATED:
        why = f"ClickHouse at {where} lacks a table or column: run `afterword migrate`."
    elif error.code == _AUTHENTICATION_FAILED:
        why = f"ClickHouse at {where} refuses user or password."
    else:
        why = f"ClickHouse at {where} cannot do this now:"
    return Unavailable(f"{why} {first_line(error)}")


def _speaks_of_values(error: Exception) -> bool:
    if isinstance(error, _UNBUILDABLE):
        return True
    return isinstance(error, Error) and (error.code in REFUSED or (error.code is None and isinstance(error, DataError)))


@contextmanager
def answers(where: str, *, inserting: bool = False) -> Iterator[None]:
    """Turn failures of the store inside this block into Unavailable and Refused; bugs pass unchanged."""
    try:
        yield
    except (Error, OSError, *_UNBUILDABLE) as error:
        meant = meaning(error, where, inserting=inserting)
        if meant is error:
            raise
        raise meant from error
