"""A small OpenID Connect issuer on loopback, which knows one person and lies when it is told to."""

import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from joserfc.jws import JWSRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from runtime.server import HttpServer

CLIENT_ID = "afterword"
CLIENT_SECRET = "the client's secret"


class TestIssuer:
    """Grants every request a code, and every code once a token about `person`, unless told otherwise.

    `claims` replace those of the ID token, `without` are left out of it; `signed_with` and `algorithm` sign it; `error`
    is what /authorize answers instead of a code; `metadata` replaces what it says of itself.
    """

    __test__ = False

    def __init__(self) -> None:
        self.url = ""
        self.key = RSAKey.generate_key(2_048, {"kid": "one"})
        self.signed_with: RSAKey | OctKey = self.key
        self.algorithm = "RS256"
        self.person: dict[str, Any] = {"sub": "u-1", "email": "ana@example.org", "email_verified": True, "name": "Ana"}
        self.claims: dict[str, Any] = {}
        self.without: set[str] = set()
        self.userinfo: dict[str, Any] = {}
        self.error = ""
        self.metadata: dict[str, Any] = {}
        self.asked: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        self.application = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._configuration),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/jwks", self._jwks),
                Route("/userinfo", self._userinfo),
            ]
        )

    async def _configuration(self, _: Request) -> Response:
        self.asked.append("configuration")
        return JSONResponse(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/jwks",
                "userinfo_endpoint": f"{self.url}/userinfo",
                "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
                **self.metadata,
            }
        )

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT_ID
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        assert asked["nonce"]
        answer = {"state": asked["state"], "iss": self.url}
        if self.error:
            answer |= {"error": self.error, "error_description": f"<b>{self.error}</b>"}
        else:
            answer["code"] = f"code-{len(self._codes)}"
            self._codes[answer["code"]] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(answer)}")

    async def _token(self, request: Request) -> Response:
        given = {name: str(value) for name, value in (await request.form()).items()}
        login = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        asked = self._codes.pop(given.get("code", ""), None)
        challenge = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        if (
            asked is None
            or request.headers.get("Authorization") != f"Basic {login}"
            or given["redirect_uri"] != asked["redirect_uri"]
            or asked["code_challenge"] != base64.urlsafe_b64encode(challenge).rstrip(b"=").decode()
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            **self.person,
            **self.claims,
        }
        token = self._signed({name: value for name, value in claims.items() if name not in self.without})
        return JSONResponse({"access_token": "an access token", "token_type": "Bearer", "id_token": token})

    def _signed(self, claims: dict[str, Any]) -> str:
        header = {"alg": self.algorithm, "kid": self.signed_with.kid}
        if self.algorithm == "none":
            parts = (
                base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in (header, claims)
            )
            return ".".join([*parts, ""])
        return jwt.encode(header, claims, self.signed_with, registry=JWSRegistry(algorithms=[self.algorithm]))

    async def _jwks(self, _: Request) -> Response:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    async def _userinfo(self, request: Request) -> Response:
        self.asked.append("userinfo")
        assert request.headers["Authorization"] == "Bearer an access token"
        return JSONResponse(self.userinfo)


@asynccontextmanager
async def running() -> AsyncIterator[TestIssuer]:
    """An issuer that answers."""
    issuer = TestIssuer()
    server = HttpServer(issuer.application, host="127.0.0.1", port=0)
    await server.start()
    issuer.url = server.address
    try:
        yield issuer
    finally:
        await server.stop()
