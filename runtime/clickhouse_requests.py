"""What a request of ClickHouse's HTTP interface asks, read from its URL, headers and body; nothing is run here."""

import base64
import binascii
import hmac
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from functools import partial
from typing import Final, Protocol
from urllib.parse import parse_qsl

import pyarrow as pa

from runtime.clickhouse_statements import QueryError

TRANSPORT: Final = frozenset(
    {
        "query",
        "database",
        "user",
        "password",
        "default_format",
        "query_id",
        "wait_end_of_query",
        # Without a meaning here: there are no sessions (each statement has a connection of its own), quotas or
        # server buffers, and the Native format is always that of protocol version 0, as clickhouse-connect finds out.
        "session_id",
        "session_timeout",
        "session_check",
        "close_session",
        "quota_key",
        "buffer_size",
        "stacktrace",
        "client_protocol_version",
    }
)
"""Names in the URL that are not settings of the engine."""

NOT_OFFERED: Final = {"compress", "decompress", "role"}
_NAME: Final = re.compile(r"\w+", re.ASCII)
_CODECS: Final = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "gzip", "lz4": "lz4", "zstd": "zstd"}
"""Arrow's codec for each content encoding. Its gzip knows zlib's header too, and frames in a row are one text."""

_CHUNK: Final = 1 << 20


class Readable(Protocol):
    """A stream of bytes; an empty answer is its end."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes."""


@dataclass(frozen=True, slots=True)
class Request:
    """One statement with everything that applies to it. `sql` comes before `body`, and both are one text."""

    sql: bytes
    body: Readable
    parameters: dict[str, str]
    settings: dict[str, str]
    database: str
    format: str
    query_id: str
    whole: bool  # the answer's status must be that of the whole statement: nothing is sent before its end


class RequestBody:
    """A body as HTTP/1.1 delimits it, by its length or in chunks.

    Raises ConnectionAbortedError when the client goes away before the end: half an INSERT must never look whole.
    """

    closed = False
    """Arrow asks before it reads."""

    def __init__(self, connection: io.BufferedIOBase, headers: Message) -> None:
        self._connection = connection
        self._chunked = headers.get("Transfer-Encoding", "").strip().lower() == "chunked"
        self._left = 0 if self._chunked else _length(headers)
        self._more_chunks = self._chunked

    def read(self, size: int, /) -> bytes:
        """Read what has come, at most `size` bytes."""
        if not self._left and self._more_chunks:
            self._begin_chunk()
        if not self._left:
            return b""
        piece = self._connection.read1(min(self._left, size))
        if not piece:
            raise ConnectionAbortedError("the request ended before its body")
        self._left -= len(piece)
        if self._chunked and not self._left:
            self._line()
        return piece

    def close(self) -> None:
        """Do nothing: Arrow closes what it has read, but the connection goes on."""

    def drain(self) -> None:
        """Read to the end: a client that is still sending would not see the answer."""
        while self.read(_CHUNK):
            pass

    def _begin_chunk(self) -> None:
        size = self._line().partition(b";")[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]+", size):
            raise ConnectionAbortedError("the body's chunks are malformed")
        self._left = int(size, 16)
        if not self._left:
            self._more_chunks = False
            while self._line().strip():
                pass

    def _line(self) -> bytes:
        line = self._connection.readline(1 << 16)
        if not line.endswith(b"\n"):
            raise ConnectionAbortedError("the request ended before its body")
        return line


def _length(headers: Message) -> int:
    text = headers.get("Content-Length", "0").strip()
    if not (text.isascii() and text.isdigit()):
        raise ConnectionAbortedError("the body's length is malformed")
    return int(text)


class _Decompressed:
    """The body behind its content encoding; what cannot be decompressed is the client's error."""

    def __init__(self, body: RequestBody, codec: str) -> None:
        self._stream = pa.input_stream(pa.PythonFile(body, mode="r"), compression=codec)

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, decompressed."""
        try:
            return bytes(self._stream.read(size))
        except ConnectionError:
            raise
        except OSError as failure:
            raise QueryError(271, "CANNOT_DECOMPRESS", f"Cannot decompress the request: {failure}") from None


def arguments_in(query: str) -> dict[str, str]:
    """Read the arguments of a URL; of one given twice the last counts."""
    try:
        return dict(parse_qsl(query, keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError:
        raise QueryError(36, "BAD_ARGUMENTS", "The URL's arguments are not UTF-8") from None


def admitted(password: str | None, arguments: Mapping[str, str], headers: Message) -> bool:
    """Whether the request brings the password, under any user's name; without a password everyone is welcome.

    As with a server it may stand in X-ClickHouse-Key, in HTTP's Basic authentication or in the URL.
    """
    if password is None:
        return True
    scheme, _, basic = headers.get("Authorization", "").partition(" ")
    if (key := headers.get("X-ClickHouse-Key")) is not None:
        given = key.encode("latin-1")  # as http.server decodes headers
    elif scheme.lower() == "basic":
        given = _password_in(basic)
    else:
        given = arguments.get("password", "").encode()
    return hmac.compare_digest(given, password.encode())


def _password_in(basic: str) -> bytes:
    try:
        return base64.b64decode(basic, validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""


def request_in(method: str, arguments: dict[str, str], headers: Message, body: RequestBody) -> Request:
    """Read what is asked. Raises QueryError for what is not offered and for names that cannot be any setting's."""
    rows = _decoded(body, headers)
    if headers.get("Content-Type", "").lower().startswith("multipart/form-data"):
        arguments = arguments | _form(rows, headers["Content-Type"])
        rows = io.BytesIO()
    for name in NOT_OFFERED:
        if arguments.get(name, "") not in ("", "0"):
            raise QueryError(48, "NOT_IMPLEMENTED", f"The argument '{name}' is not supported by embedded ClickHouse")
    settings = {
        name: value
        for name, value in arguments.items()
        if name not in TRANSPORT and name not in NOT_OFFERED and not name.startswith("param_")
    }
    parameters = {name[6:]: value for name, value in arguments.items() if name.startswith("param_")}
    for name in parameters:
        if not _NAME.fullmatch(name):
            raise QueryError(36, "BAD_ARGUMENTS", f"No parameter can be named {name!r}")
    for name in settings:
        if not _NAME.fullmatch(name):
            raise QueryError(115, "UNKNOWN_SETTING", f"Unknown setting {name!r}")
    if method == "GET" and settings.get("readonly", "0") in ("", "0"):
        settings["readonly"] = "2"  # as with a server: following a link changes nothing
    return Request(
        sql=arguments.get("query", "").encode(),
        body=rows,
        parameters=parameters,
        settings=settings,
        database=arguments.get("database") or headers.get("X-ClickHouse-Database") or "",
        format=headers.get("X-ClickHouse-Format") or arguments.get("default_format") or "TabSeparated",
        query_id=arguments.get("query_id", ""),
        whole=arguments.get("wait_end_of_query", "0") not in ("", "0"),
    )


def _decoded(body: RequestBody, headers: Message) -> Readable:
    encoding = headers.get("Content-Encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in _CODECS:
        raise QueryError(48, "NOT_IMPLEMENTED", f"Unknown compression method {encoding!r}")
    return _Decompressed(body, _CODECS[encoding])


def read_up_to(body: Readable, size: int) -> bytes:
    """The next `size` bytes of `body`; fewer only at its end."""
    pieces = []
    while size and (piece := body.read(min(size, _CHUNK))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def pieces_of(body: Readable) -> Iterator[bytes]:
    """What is left of `body`, piece by piece."""
    return iter(partial(body.read, _CHUNK), b"")


_FIELD_NAME: Final = re.compile(rb'^content-disposition:.*?;\s*name="([^"]*)"(.*)$', re.IGNORECASE | re.MULTILINE)


def _form(body: Readable, content_type: str) -> dict[str, str]:
    """Read the fields of a multipart form: the arguments that were too long for a URL, the statement among them."""
    boundary = re.search(r'boundary="?([^";]+)', content_type)
    if boundary is None:
        raise QueryError(36, "BAD_ARGUMENTS", "The form has no boundary")
    text = b"\r\n" + b"".join(pieces_of(body))
    fields = {}
    for part in text.split(b"\r\n--" + boundary[1].encode())[1:-1]:
        head, _, value = part.partition(b"\r\n\r\n")
        name = _FIELD_NAME.search(head)
        if name is None or b"filename=" in name[2]:
            raise QueryError(48, "NOT_IMPLEMENTED", "External tables are not supported by embedded ClickHouse")
        try:
            fields[name[1].decode()] = value.decode()
        except UnicodeDecodeError:
            raise QueryError(36, "BAD_ARGUMENTS", "The form's fields are not UTF-8") from None
    return fields
