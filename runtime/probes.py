"""What a supervisor and Prometheus ask: /livez, /readyz, /metrics; and at / where a person finds what."""

from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from runtime.logs import masked
from runtime.metrics import CONTENT_TYPE, PrometheusMetrics

_FRESH = {"Cache-Control": "no-store"}
_INDEX = """Afterword is running.

/readyz   whether it does its work, and if not why
/livez    whether the process should be started anew
/metrics  figures for Prometheus

Conversations are in ClickHouse: afterword sql "SELECT * FROM conversations FINAL LIMIT 5 FORMAT Vertical"
"""


class Health(Protocol):
    """What is known of the process, in words for an operator."""

    def live(self) -> str:
        """Say why the process should be started anew, '' when it is fine."""

    def ready(self) -> list[str]:
        """Say what keeps it from its work; empty when nothing does."""

    def notes(self) -> list[str]:
        """Say what an operator should know although it works."""


def probes(health: Health, metrics: PrometheusMetrics) -> list[Route]:
    """Give the routes of the probes. 503 means: /livez, start it anew; /readyz, it does not do its work now.

    That /livez answers at all says that the event loop turns.
    """

    async def livez(_: Request) -> Response:
        reason = masked(health.live())
        return _answer({"live": not reason, "reason": reason}, good=not reason)

    async def readyz(_: Request) -> Response:
        reasons = [masked(one) for one in (health.live(), *health.ready()) if one]
        notes = [masked(one) for one in health.notes()]
        return _answer({"ready": not reasons, "reasons": reasons, "notes": notes}, good=not reasons)

    async def show_metrics(_: Request) -> Response:
        return Response(metrics.render(), headers={**_FRESH, "Content-Type": CONTENT_TYPE})

    return [
        Route("/livez", livez),
        Route("/readyz", readyz),
        Route("/metrics", show_metrics),
    ]


def index() -> Route:
    """Give the route of / for a process without pages."""

    async def show(_: Request) -> Response:
        return PlainTextResponse(_INDEX, headers=_FRESH)

    return Route("/", show)


def _answer(said: dict[str, object], *, good: bool) -> JSONResponse:
    return JSONResponse(said, 200 if good else 503, _FRESH)
