"""Signing people in and out: the ways that there are here, and the session that each of them ends in."""

from dataclasses import dataclass, field
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access.addresses import local
from api.access.cookies import SignedCookie
from api.access.links import Links, new_link
from api.access.oidc import Issuer, Oidc
from api.access.people import Identity, People
from api.access.principal import Principal, Scope

SESSION: Final = "afterword"
"""How the name of the cookie begins that keeps somebody signed in."""

SESSION_S: Final = 12 * 3_600
FLOW_S: Final = 600
"""So long somebody may take at the issuer."""

OIDC_PATH: Final = "/sign-in/oidc"
CALLBACK_PATH: Final = OIDC_PATH + "/callback"


class NotAdmitted(Exception):  # noqa: N818  (an answer)
    """The issuer knows somebody, but they are not among the people who may sign in; the text names them."""


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways to sign in that there are: `local_name`, by one-time links, as whom; `issuer`, by OpenID Connect."""

    local_name: str | None = None
    issuer: Issuer | None = None
    people: People = field(default_factory=People)


class SignIn:
    """Everything that makes and reads a session. The endpoints are in `api.pages.sign_in`."""

    def __init__(self, secret: str, public_url: str, ways: Ways) -> None:
        """`secret`: at least 32 characters, kept; `public_url`: where people reach this, without a slash at the end."""
        secure = public_url.startswith("https://")
        self.ways = ways
        self.links = Links(secret) if ways.local_name is not None else None
        self.oidc = Oidc(ways.issuer, public_url + CALLBACK_PATH) if ways.issuer is not None else None
        self._secret = secret
        self._session = SignedCookie(SESSION, secret, seconds=SESSION_S, secure=secure)
        self._flow = SignedCookie(f"{SESSION}-oidc", secret, seconds=FLOW_S, secure=secure, path=OIDC_PATH)

    def new_link(self) -> str:
        """Give the path of a new one-time link."""
        return new_link(self._secret)

    def who(self, request: Request) -> Principal | None:
        """Give who is signed in on the browser that sent this, as they may today; None when nobody is."""
        session = self._session.read(request)
        if session is None:
            return None
        if session.get("by") == "link":
            return self._local()
        if session.get("by") == "oidc" and self.oidc is not None:
            return self.ways.people.principal(Identity(session["subject"], session["email"], session["name"]))
        return None

    def by_link(self, token: str, to: str | None) -> Response:
        """Sign in whoever opened a link, and send them on. Raises LinkRefused."""
        assert self.links is not None
        self.links.take(token)
        return self._signed_in({"by": "link"}, to)

    async def to_issuer(self, to: str | None) -> Response:
        """Send somebody to the issuer. Raises Unavailable."""
        assert self.oidc is not None
        address, begun = await self.oidc.begin()
        response = _see(address)
        self._flow.put(response, {**begun, "to": local(to)})
        return response

    async def from_issuer(self, request: Request) -> Response:
        """Sign in who comes back from the issuer, and send them on.

        Raises SignInRefused, NotAdmitted, Unavailable.
        """
        assert self.oidc is not None
        begun = self._flow.read(request) or {}
        who = await self.oidc.finish(begun, dict(request.query_params))
        if self.ways.people.principal(who) is None:
            raise NotAdmitted(who.email or who.name or who.subject)
        session = {"by": "oidc", "subject": who.subject, "email": who.email, "name": who.name}
        response = self._signed_in(session, begun.get("to"))
        self._flow.drop(response)
        return response

    def sign_out(self) -> Response:
        """Forget who is signed in, and say so."""
        response = _see("/sign-in?signed_out=1")
        self._session.drop(response)
        return response

    def _signed_in(self, session: dict[str, Any], to: str | None) -> Response:
        response = _see(local(to))
        self._session.put(response, session)
        return response

    def _local(self) -> Principal | None:
        """Who opens the link that this machine's own user was shown is that user, and may everything."""
        if self.ways.local_name is None:
            return None
        return Principal("person:local", self.ways.local_name, frozenset(Scope))


def _see(address: str) -> Response:
    return RedirectResponse(address, 303, {"Cache-Control": "no-store"})
