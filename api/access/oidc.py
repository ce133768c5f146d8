"""Signing in with an OpenID Connect issuer: authorization code, PKCE, state and nonce, a signed ID token.

What must come back unchanged (state, nonce, verifier, where to go on) travels in a short-lived signed cookie.
"""

import hmac
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
from authlib.integrations.httpx_client import OAuthError
from authlib.integrations.starlette_client import OAuth
from joserfc.errors import JoseError

from api.access.people import Identity
from schemas.failures import Unavailable

log = logging.getLogger(__name__)

ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "Ed25519",
    "EdDSA",
)
"""How an ID token may be signed: with a private key of the issuer's, never `none` and never with a shared secret."""

_SCOPE: Final = "openid email profile"
_SECONDS: Final = 10.0
_LEEWAY_S: Final = 120


class SignInRefused(Exception):  # noqa: N818  (an answer)
    """Somebody could not be signed in; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who says who people are. `url`: its issuer identifier."""

    url: str
    client_id: str
    client_secret: str = field(repr=False)


class Oidc:
    """Sends people to the issuer, and reads who they are when they come back."""

    def __init__(self, issuer: Issuer, redirect_uri: str) -> None:
        self._issuer = issuer
        self._redirect_uri = redirect_uri
        self._client: Any = OAuth().register(
            "issuer",
            client_id=issuer.client_id,
            client_secret=issuer.client_secret,
            server_metadata_url=issuer.url.rstrip("/") + "/.well-known/openid-configuration",
            client_kwargs={"scope": _SCOPE, "code_challenge_method": "S256", "timeout": _SECONDS},
        )

    async def begin(self) -> tuple[str, dict[str, Any]]:
        """Give where to send somebody, and what must be there when they come back.

        Raises Unavailable when the issuer does not answer.
        """
        async with _answering(self._issuer.url):
            await self._discover()
            begun: dict[str, Any] = await self._client.create_authorization_url(self._redirect_uri)
        return begun.pop("url"), begun

    async def finish(self, begun: Mapping[str, Any], returned: Mapping[str, str]) -> Identity:
        """Say who came back, with `returned` in the address. Raises SignInRefused, Unavailable."""
        if not hmac.compare_digest(str(begun.get("state")).encode(), returned.get("state", "").encode()):
            raise SignInRefused("Signing in was begun somewhere else, or too long ago. Please begin again.")
        if returned.get("iss", self._issuer.url) != self._issuer.url:
            raise SignInRefused("The answer came from another issuer than the one that was asked.")
        if "code" not in returned:
            told = returned.get("error_description") or returned.get("error") or "without a reason"
            raise SignInRefused(f"The issuer did not let you in: {told[:300]}")
        async with _answering(self._issuer.url):
            await self._discover()
            claims = await self._claims(begun, returned["code"])
        return _identity(claims)

    async def _discover(self) -> None:
        """Learn the issuer's addresses, once; and never accept an ID token that is not signed with its private key."""
        known = await self._client.load_server_metadata()
        if known.get("issuer") != self._issuer.url:
            known.pop("_loaded_at", None)
            raise Unavailable(f"what {self._issuer.url} says of itself names another issuer, {known.get('issuer')!r}")
        said = known.get("id_token_signing_alg_values_supported") or ["RS256"]
        known["id_token_signing_alg_values_supported"] = [one for one in said if one in ALGORITHMS]

    async def _claims(self, begun: Mapping[str, Any], code: str) -> dict[str, Any]:
        token = await self._client.fetch_access_token(
            code=code, redirect_uri=self._redirect_uri, code_verifier=begun["code_verifier"]
        )
        if not isinstance(token.get("id_token"), str):
            raise SignInRefused(
                "The issuer gave no ID token: is `openid` among the scopes that this client may ask for?"
            )
        claims = await self._client.parse_id_token(
            token,
            nonce=begun["nonce"],
            claims_options={
                "iss": {"essential": True, "value": self._issuer.url},
                "aud": {"essential": True, "value": self._issuer.client_id},
            },
            leeway=_LEEWAY_S,
        )
        if "email" not in claims and "userinfo_endpoint" in self._client.server_metadata:
            more = await self._client.userinfo(token=token)
            if more.get("sub") == claims["sub"]:
                return {**more, **claims}
        return dict(claims)


class _answering:  # noqa: N801  (reads as what it is: async with _answering(…))
    """Turns what goes wrong with the issuer into Unavailable and SignInRefused."""

    def __init__(self, where: str) -> None:
        self._where = where

    async def __aenter__(self) -> None:
        """Begin."""

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        match error:
            case httpx2.HTTPError() | httpx2.InvalidURL() | json.JSONDecodeError():
                log.warning("signing in: %s: %r", self._where, error)
                raise Unavailable(f"{self._where}, which says who people are, does not answer") from error
            case OAuthError():
                log.warning("signing in: %s refused the code: %s", self._where, error.error)
                raise SignInRefused("The issuer did not accept the sign-in. Please begin again.") from error
            case JoseError() | ValueError():
                log.warning("signing in: the ID token of %s: %s: %s", self._where, type(error).__name__, error)
                raise SignInRefused("What the issuer says of you cannot be believed. Please begin again.") from error


def _identity(claims: Mapping[str, Any]) -> Identity:
    email = claims.get("email")
    email = email if isinstance(email, str) else ""
    if email and str(claims.get("email_verified", True)).lower() == "false":
        raise SignInRefused(f"The issuer has not verified that {email} is yours.")
    name = claims.get("name") or claims.get("preferred_username")
    return Identity(str(claims["sub"]), email, name if isinstance(name, str) else "")
