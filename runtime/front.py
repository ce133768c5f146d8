"""What listens at the address: the probes from the first moment, the application once there is one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from runtime.metrics import PrometheusMetrics
from runtime.probes import Health, index, probes

_AWAY: Final = PlainTextResponse(
    "Afterword is starting, or stopping. Try again in a moment; /readyz says what it waits for.\n",
    503,
    {"Retry-After": "2", "Cache-Control": "no-store"},
)


class Front:
    """An ASGI application: /livez, /readyz and /metrics by itself, everything else by the application that it shows.

    While it shows none, everything else is answered 503; a worker, which has none, says where a person finds what.
    """

    def __init__(self, health: Health, metrics: PrometheusMetrics, *, alone: bool) -> None:
        """`alone`: there will never be an application."""
        routes = probes(health, metrics)
        self._probes = Starlette(routes=[*routes, index()] if alone else routes)
        self._probed = frozenset(route.path for route in routes)
        self._alone = alone
        self._application: ASGIApp | None = None

    @contextmanager
    def showing(self, application: ASGIApp) -> Iterator[None]:
        """Let the application answer for as long as the context lasts."""
        self._application = application
        try:
            yield
        finally:
            self._application = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let who is asked answer."""
        if self._alone or scope["type"] != "http" or scope["path"] in self._probed:
            await self._probes(scope, receive, send)
        else:
            await (self._application or _AWAY)(scope, receive, send)
