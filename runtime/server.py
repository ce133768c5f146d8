"""HTTP inside the event loop that runs already: uvicorn without its own loop, signal handlers and logs."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from runtime.settings import SettingsError, variable

_BACKLOG: Final = 2_048
_STOP_SECONDS: Final = 3
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (read, not bound)


class HttpServer:
    """Serves an application from `start` to `stop`. Both may be called once."""

    def __init__(self, application: ASGIApp, *, host: str, port: int) -> None:
        """`port`: 0 picks a free one."""
        self._application = application
        self._host = host
        self._port = port
        self._server: _Server
        self._serving: asyncio.Task[None] | None = None
        self._address = ""

    @property
    def address(self) -> str:
        """Where it can be reached from this machine, such as http://127.0.0.1:8080; '' before the start."""
        return self._address

    async def start(self) -> None:
        """Bind and serve. Raises SettingsError when the address cannot be had."""
        config = uvicorn.Config(
            self._application,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
        config.load()
        listening = await _bound(self._host, self._port)  # from here on requests wait in its queue, and none is refused
        self._address = _url(listening)
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listening]))

    async def stop(self) -> None:
        """Answer what was asked, for 3 s at most, and stop. Does nothing when it was not started."""
        if self._serving is not None:
            self._server.should_exit = True
            await self._serving


class _Server(uvicorn.Server):
    """Leaves the signals to the process: uvicorn would take SIGINT and SIGTERM away from the worker."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _bound(host: str, port: int) -> socket.socket:
    """A listening socket: bound here, so that its port is known and a taken one can be explained."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (socket.gaierror, UnicodeError) as error:  # the latter when it cannot be a name at all
        raise SettingsError([_elsewhere(host)]) from error
    family, kind, protocol, _, where = min(found, key=lambda one: one[0] != socket.AF_INET)
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(where)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise SettingsError([_why_not(error, host, port)]) from error
    return listening


def _why_not(error: OSError, host: str, port: int) -> str:
    another = f"choose another with --port or {variable('port')}"
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken: {another}"
    if error.errno == errno.EACCES:
        return f"port {port} is not for every user: {another}, 1024 or above"
    return _elsewhere(host)


def _elsewhere(host: str) -> str:
    return f"{host} is not an address of this machine: {variable('host')} may be 127.0.0.1, or 0.0.0.0 for all of them"


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    host = _EVERYWHERE.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
