"""What stands before every endpoint: headers, the log, limits of size and rate, and no writes from other sites."""

from fastapi import FastAPI, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp

from api.access.bodies import BodyLimit
from api.access.headers import SecurityHeaders
from api.access.identify import Limits, SignInFirst
from api.access.origins import SameSiteWrites
from api.access.rates import FAILURES_A_SECOND, FAILURES_AT_ONCE, Buckets
from api.access.requests_log import RequestsLog
from api.parts import Parts


def install(app: FastAPI, parts: Parts) -> None:
    """Guard an application. Called last: what it answers in place of endpoints is guarded too, a bug's 500 included."""
    options = parts.options
    app.state.limits = Limits(options.rate_limit, Buckets(FAILURES_A_SECOND, FAILURES_AT_ONCE))
    app.add_exception_handler(SignInFirst, _sign_in_first)
    build = app.build_middleware_stack

    def guarded() -> ASGIApp:
        # Around the whole stack, not within it: Starlette answers a bug outside of all middleware.
        inner = SameSiteWrites(BodyLimit(build()), options.public_url)
        return SecurityHeaders(RequestsLog(inner), https=options.public_url.startswith("https://"))

    app.build_middleware_stack = guarded  # type: ignore[method-assign]


async def _sign_in_first(request: Request, error: Exception) -> Response:
    """Send a person to sign in; a script of ours is told to take the whole page there."""
    assert isinstance(error, SignInFirst)
    if "HX-Request" in request.headers:
        return Response(status_code=401, headers={"HX-Redirect": error.address, "Cache-Control": "no-store"})
    return RedirectResponse(error.address, 303, {"Cache-Control": "no-store"})
