"""ClickHouse's HTTP interface on embedded ClickHouse, so that others reach the folder that one process holds.

chDB lets one process open a data folder. While `afterword up` has it, other commands and dashboards speak to that
process as to any ClickHouse server: through clickhouse-connect's HTTP client, curl, or whatever else knows it.

Not offered: sessions (SET, USE and temporary tables are refused), external tables, roles, ClickHouse's own block
compression and TLS. Answers are never compressed: on loopback 10 MB take 3 ms as they are and 15 ms by lz4.
"""

import ipaddress
import json
import re
import secrets
import socket
import socketserver
import sys
import threading
import time
import uuid
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import structlog

from runtime.clickhouse_engine import Engine, Result
from runtime.clickhouse_requests import RequestBody, admitted, arguments_in, request_in
from runtime.clickhouse_statements import QueryError

logger = structlog.get_logger(__name__)

LONGEST_URL: Final = 1 << 20
"""Bytes of a request's first line: ClickHouse's own default of `http_max_uri_size`."""

_CODE: Final = re.compile(r"Code: (\d+)\. ")
_STATUSES: Final = {
    400: {26, 27, 36, 38, 41, 53, 62, 69, 72, 117, 271, 457},
    403: {516},
    404: {16, 46, 47, 50, 56, 60, 63, 73, 81, 115},
    408: {159},
    501: {48},
}
"""The status of an answer for ClickHouse's error codes; 500 for all others."""

_CONTENT_TYPES: Final = (
    ("JSONEachRow", "application/x-ndjson; charset=UTF-8"),
    ("JSON", "application/json; charset=UTF-8"),
    ("CSV", "text/csv; charset=UTF-8; header=absent"),
    ("TabSeparated", "text/tab-separated-values; charset=UTF-8"),
    ("TSV", "text/tab-separated-values; charset=UTF-8"),
    ("Arrow", "application/vnd.apache.arrow.file"),
    ("Native", "application/octet-stream"),
    ("RowBinary", "application/octet-stream"),
    ("Parquet", "application/octet-stream"),
)
"""By how the format's name begins; first match."""


class ClickHouseHttp:
    """Serves the engine of a chDB folder over HTTP on loopback, from `start` to `stop`, on threads of its own."""

    def __init__(self, path: Path, password: str | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        """`path`: the folder. `password`: what every request but /ping must bring. `port`: 0 for any free one.

        Raises ValueError for a `host` that is not loopback: what travels here is in the clear.
        """
        if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"ClickHouse's interface is served on loopback only, not on {host}")
        self._engine = Engine(path)
        self._password = password
        self._address = (host, port)
        self._listener: _Listener | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        assert self._listener is not None, "not started"
        return int(self._listener.server_address[1])

    @property
    def url(self) -> str:
        """Where clients find it."""
        host = self._address[0]
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def start(self) -> None:
        """Open the engine and listen.

        Raises OSError when the port is taken, RuntimeError when another process has the folder.
        """
        self._engine.open()
        try:
            self._listener = _Listener(self._address, self._engine, self._password)
        except BaseException:
            self._engine.close()
            raise
        self._thread = threading.Thread(
            target=self._listener.serve_forever, kwargs={"poll_interval": 0.05}, name="clickhouse-http", daemon=True
        )
        self._thread.start()

    def stop(self, grace_s: float = 5.0) -> None:
        """Listen no more, let running requests end, kill what still runs after `grace_s` seconds, close everything."""
        if self._listener is None or self._thread is None:
            return
        self._listener.shutdown()
        self._thread.join()
        self._listener.server_close()
        if not self._listener.finish(grace_s):
            logger.warning("clickhouse_http_requests_abandoned")
        self._engine.close()
        self._listener = self._thread = None


class _Listener(ThreadingHTTPServer):
    """Accepts connections, a thread each, and knows the open ones."""

    daemon_threads = True  # a client that keeps its connection open must not keep the process
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], engine: Engine, password: str | None) -> None:
        self.engine = engine
        self.password = password
        self._open: dict[threading.Thread, socket.socket] = {}
        self._lock = threading.Lock()
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Connection)

    def server_bind(self) -> None:
        """Bind; without HTTPServer's look-up of the host's name, which may wait for a name server."""
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection on a thread of its own."""
        thread = threading.Thread(
            target=self.process_request_thread,
            args=(request, client_address),
            name="clickhouse-http-client",
            daemon=True,
        )
        with self._lock:
            self._open[thread] = request
        thread.start()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._open.pop(threading.current_thread(), None)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Log what broke a connection, but not that its client went away."""
        failure = sys.exception()
        if not isinstance(failure, ConnectionError):
            logger.error("clickhouse_http_connection_failed", exc_info=failure)

    def finish(self, grace_s: float) -> bool:
        """End the connections: idle ones now, busy ones after their answer, by force at last. False if one remains."""
        self._shut(socket.SHUT_RD)
        if self._join(grace_s):
            return True
        end = time.monotonic() + grace_s + 1
        while time.monotonic() < end:
            self.engine.kill()
            self._shut(socket.SHUT_RDWR)
            if self._join(0.1):
                return True
        return False

    def _shut(self, side: int) -> None:
        with self._lock:
            for connection in self._open.values():
                with suppress(OSError):  # closed meanwhile
                    connection.shutdown(side)

    def _join(self, within_s: float) -> bool:
        end = time.monotonic() + within_s
        with self._lock:
            threads = list(self._open)
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)


class _Connection(BaseHTTPRequestHandler):
    """One client's connection: reads requests, answers them."""

    server: _Listener
    protocol_version = "HTTP/1.1"
    rbufsize = wbufsize = 1 << 16  # head and body of a small answer leave in one packet
    disable_nagle_algorithm = True  # else the end of an answer can wait 40 ms for a delayed acknowledgement

    def handle_one_request(self) -> None:
        """Read and answer a request; as the base class does it, but with room for a long list in the URL."""
        self.raw_requestline = self.rfile.readline(LONGEST_URL)
        if not self.raw_requestline:
            self.close_connection = True
        elif not self.raw_requestline.endswith(b"\n"):
            self.requestline = self.request_version = self.command = ""
            self.send_error(414)
        elif self.parse_request():
            if self.command in ("GET", "POST"):
                self._answer()
            else:
                self.send_error(501)
            self.wfile.flush()

    def handle_expect_100(self) -> bool:
        """Tell a client that waits for it (curl, with more than 1 MiB) to send its body."""
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def version_string(self) -> str:
        """Name the server as others do."""
        return f"ClickHouse {self.server.engine.version}"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Write nothing: requests are not events of the application."""

    def _answer(self) -> None:
        body = RequestBody(self.rfile, self.headers)
        url = urlsplit(self.path)
        try:
            if url.path == "/ping":
                body.drain()
                self._send(200, b"Ok.\n", {"Content-Type": "text/plain; charset=UTF-8"})
            elif url.path not in ("", "/"):
                body.drain()
                self._send(404, b"There is no such page; statements go to /\n", {"Content-Type": "text/plain"})
            else:
                self._run(url.query, body)
        except QueryError as failure:
            self._refuse(str(failure), body)
        except RuntimeError as failure:  # the engine's; anything else is ours and breaks the connection
            if not _CODE.search(str(failure)):
                raise
            self._refuse(str(failure), body)

    def _run(self, query: str, body: RequestBody) -> None:
        arguments = arguments_in(query)
        if not admitted(self.server.password, arguments, self.headers):
            raise QueryError(516, "AUTHENTICATION_FAILED", "Authentication failed: password is incorrect")
        if self.server.password is None and self._comes_from_a_web_page():
            raise QueryError(516, "AUTHENTICATION_FAILED", "Authentication failed: web pages need a password")
        request = request_in(self.command, arguments, self.headers, body)
        with self.server.engine.run(request) as result:
            body.drain()
            headers = {
                "X-ClickHouse-Query-Id": request.query_id or str(uuid.uuid4()),
                "X-ClickHouse-Timezone": request.settings.get("session_timezone") or self.server.engine.timezone,
            }
            self._send_result(result, headers)

    def _comes_from_a_web_page(self) -> bool:
        """Whether a browser may have sent it: pages can reach loopback, also by a name of theirs that leads here."""
        name = urlsplit(f"//{self.headers.get('Host', 'localhost')}").hostname or ""
        try:
            here = name == "localhost" or ipaddress.ip_address(name).is_loopback
        except ValueError:
            here = False
        return not here or "Origin" in self.headers

    def _send_result(self, result: Result, headers: dict[str, str]) -> None:
        """Send an answer of one piece with its length, one of more pieces as a stream."""
        if result.format is not None:
            headers["X-ClickHouse-Format"] = result.format
            headers["Content-Type"] = _content_type(result.format)
        headers["X-ClickHouse-Summary"] = json.dumps({"read_rows": "0", "read_bytes": "0"} | result.summary)
        first = next(result.pieces, b"")
        second = next(result.pieces, None)
        if second is None:
            self._send(200, first, headers)
        elif self.request_version == "HTTP/1.0":  # knows no chunks
            self._send(200, b"".join(chain((first, second), result.pieces)), headers)
        else:
            self._stream(chain((first, second), result.pieces), headers)

    def _send(self, status: int, body: bytes | memoryview, headers: dict[str, str]) -> None:
        self._send_head(status, headers | {"Content-Length": str(len(body))})
        self.wfile.write(body)

    def _stream(self, pieces: chain[bytes | memoryview], headers: dict[str, str]) -> None:
        """Send pieces as they come. A failure on the way goes into the body, between the announced tags.

        The body then has no last chunk, so that clients which do not know the tags (of ClickHouse 25.11) notice too.
        """
        tag = secrets.token_hex(8)
        self._send_head(200, headers | {"Transfer-Encoding": "chunked", "X-ClickHouse-Exception-Tag": tag})
        try:
            for piece in pieces:
                self._send_chunk(piece)
            self.wfile.write(b"0\r\n\r\n")
        except RuntimeError as failure:
            text = _words(str(failure)).encode()
            mark = b"__exception__"
            self._send_chunk(
                b"\r\n%s\r\n%s\r\n%s%d %s\r\n%s\r\n" % (mark, tag.encode(), text, len(text), tag.encode(), mark)
            )
            self.close_connection = True

    def _send_chunk(self, piece: bytes | memoryview) -> None:
        self.wfile.write(b"%x\r\n" % len(piece))
        self.wfile.write(piece)
        self.wfile.write(b"\r\n")

    def _refuse(self, failure: str, body: RequestBody) -> None:
        body.drain()
        match = _CODE.search(failure)
        code = int(match[1]) if match else 0
        status = next((status for status, codes in _STATUSES.items() if code in codes), 500)
        headers = {"Content-Type": "text/plain; charset=UTF-8", "X-ClickHouse-Exception-Code": str(code)}
        self._send(status, _words(failure).encode(), headers)

    def _send_head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            # What clients sent comes back in some of them: no line breaks, nothing that headers cannot hold.
            self.send_header(name, re.sub(r"[^\x20-\x7e]", "?", value))
        self.end_headers()


def _words(failure: str) -> str:
    """The engine's message, from ClickHouse's code on, as one line's end."""
    return failure[max(failure.find("Code: "), 0) :].rstrip() + "\n"


def _content_type(output: str) -> str:
    for beginning, content_type in _CONTENT_TYPES:
        if output.lower().startswith(beginning.lower()):
            return content_type
    return "text/plain; charset=UTF-8"
