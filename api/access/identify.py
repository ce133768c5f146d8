"""Who asks: found once a request, from its key or its session, and held to their rate; and what endpoints ask of them.

A request with an `Authorization` header is judged by that alone: its session counts for nothing.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPBearer

from api.access.addresses import HOME, local, origin_of, with_next
from api.access.key_format import PATTERN
from api.access.principal import Principal, Scope
from api.access.rates import Buckets, Left, network_of
from api.access.sign_in import SESSION
from api.parts import parts_of
from api.problems import Problem, ProblemDetails, refused

CHALLENGE: Final = 'Bearer realm="Afterword"'
SIGN_IN: Final = "/sign-in"

_BEARER: Final = HTTPBearer(
    scheme_name="key",
    description=f"An API key, made by `afterword keys create`; it looks like `{PATTERN}`.",
    auto_error=False,
)
_COOKIE: Final = APIKeyCookie(
    name=SESSION,
    scheme_name="session",
    description="What signing in at /sign-in sets: a cookie whose name begins so. Writes with it are taken from pages "
    "of the same site only (Sec-Fetch-Site, Origin).",
    auto_error=False,
)


REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    401: refused("nobody is known by this key or session", ProblemDetails, "WWW-Authenticate"),
    403: refused("a right is missing, or another site sent this"),
    429: refused("asked too often", ProblemDetails, "Retry-After", "RateLimit", "RateLimit-Policy"),
    503: refused("a store cannot be reached now", ProblemDetails, "Retry-After"),
}
"""What every endpoint behind `needs` may answer instead: for `responses=` of a router."""


class SignInFirst(Exception):  # noqa: N818  (an answer)
    """A page is only for people who are signed in; `address`: where they sign in, and come back from."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address


class Limits:
    """The buckets of one application: of those who are known, and of addresses that tried to be."""

    def __init__(self, rate: float, failures: Buckets, asking: Buckets | None = None) -> None:
        self.asking = asking or Buckets(rate, 2 * rate)
        self.failures = failures


async def identify(request: Request) -> Principal | None:
    """Give who asks, None when nobody is known. Raises, once a request, Problem (401, 429) and Unavailable.

    401 is for a key that is nobody's; a request without any key or session is nobody's too, and no problem yet.
    """
    state = request.scope.setdefault("state", {})
    if "principal" in state:
        principal: Principal | None = state["principal"]
        return principal
    state["principal"] = None  # an error page asks again
    principal = state["principal"] = await _found(request)
    if principal is not None:
        left = request.app.state.limits.asking.take(principal.id)
        state["rate"] = left
        if not left.granted:
            raise _too_often(left, "You")
    return principal


async def _found(request: Request) -> Principal | None:
    authorization = request.headers.get("Authorization")
    if authorization is None:
        return parts_of(request).sign_in.who(request)
    scheme, _, text = authorization.partition(" ")
    principal = await _of_key(request, text.strip()) if scheme.lower() == "bearer" else None
    if principal is None:
        raise _unknown(
            "This key is unknown or revoked, or it is no key: send `Authorization: Bearer aw_…`.", wrong=True
        )
    return principal


async def _of_key(request: Request, text: str) -> Principal | None:
    """Look a key up. One that is not known already counts as a failed attempt until it turns out to be good."""
    keys = parts_of(request).keys
    if keys.knows(text):
        return await keys.find(text)
    with_address = attempt(request)
    principal = await keys.find(text)
    if principal is not None:
        with_address.succeeded()
    return principal


class Attempt:
    """A token taken from a client's address, for what may be guessing."""

    def __init__(self, failures: Buckets, client: str) -> None:
        self._failures = failures
        self._client = client

    def succeeded(self) -> None:
        """It was no guessing: give the token back."""
        self._failures.give_back(self._client)


def attempt(request: Request) -> Attempt:
    """Count an attempt to be let in by this client's address. Raises Problem 429 when there were too many."""
    client = network_of(request.client)
    failures: Buckets = request.app.state.limits.failures
    left = failures.take(client)
    if not left.granted:
        raise _too_often(left, "Your address")
    return Attempt(failures, client)


def needs(scope: Scope) -> Callable[..., Awaitable[Principal]]:
    """Give a dependency that gives who asks, when they have this right; else it raises Problem 401 or 403."""

    async def needed(
        request: Request,
        _key: Annotated[object, Security(_BEARER, scopes=[scope.value])],
        _session: Annotated[object, Security(_COOKIE, scopes=[scope.value])],
    ) -> Principal:
        principal = await identify(request)
        if principal is None:
            raise _unknown(
                "This is for those who are known: send `Authorization: Bearer aw_…`, or sign in at /sign-in."
            )
        return _entitled(principal, scope)

    return needed


def page_needs(scope: Scope) -> Callable[..., Awaitable[Principal]]:
    """Give a dependency as `needs` does, for a page: it sends people who are not signed in to /sign-in first."""

    async def needed(request: Request) -> Principal:
        principal = await identify(request)
        if principal is None:
            raise SignInFirst(with_next(SIGN_IN, _back_to(request)))
        return _entitled(principal, scope)

    return needed


signed_in: Final = page_needs(Scope.READ)

Reader = Annotated[Principal, Depends(needs(Scope.READ))]
Emitter = Annotated[Principal, Depends(needs(Scope.EVENTS_WRITE))]
Labeller = Annotated[Principal, Depends(needs(Scope.LABELS_WRITE))]
Eraser = Annotated[Principal, Depends(needs(Scope.ERASE))]

Visitor = Annotated[Principal, Depends(signed_in)]
"""Of a page: whoever is signed in and may read."""
Judge = Annotated[Principal, Depends(page_needs(Scope.LABELS_WRITE))]
"""Of a page's form: whoever is signed in and may label."""


def _entitled(principal: Principal, scope: Scope) -> Principal:
    if not principal.may(scope):
        has = ", ".join(sorted(principal.scopes)) or "none"
        raise Problem(
            HTTPStatus.FORBIDDEN,
            f"This needs the scope `{scope}`; {principal.name} has: {has}.",
            title="A right is missing",
            headers={"WWW-Authenticate": f'{CHALLENGE}, error="insufficient_scope", scope="{scope}"'},
        )
    return principal


def _unknown(detail: str, *, wrong: bool = False) -> Problem:
    challenge = CHALLENGE + (', error="invalid_token"' if wrong else "")
    return Problem(HTTPStatus.UNAUTHORIZED, detail, title="Who asks?", headers={"WWW-Authenticate": challenge})


def _too_often(left: Left, who: str) -> Problem:
    wait = max(1, round(left.wait_s + 0.5))
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        f"{who} asked more than {left.per_second:g} times a second. Try again in {wait} s.",
        headers={"Retry-After": str(wait), **left.headers("rate")},
    )


def _back_to(request: Request) -> str:
    """Give where to come back to: this page, or the page whose form was sent."""
    if request.method in {"GET", "HEAD"}:
        return local(request.url.path + (f"?{request.url.query}" if request.url.query else ""))
    referer = request.headers.get("Referer", "")
    if origin_of(referer) not in {origin_of(str(request.base_url)), origin_of(parts_of(request).options.public_url)}:
        return HOME
    parts = urlsplit(referer)
    return local(parts.path + (f"?{parts.query}" if parts.query else ""))
