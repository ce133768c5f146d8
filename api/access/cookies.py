"""Signed cookies: what they hold can be read by whoever has them, and is believed only when it was signed here.

The signing key is derived from the secret and the purpose, so that a value signed for one purpose is nothing for
another.
"""

import hashlib
from typing import Any, Final

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

_SHORT: Final = 8


def signer(secret: str, purpose: str) -> URLSafeTimedSerializer:
    """Give what signs values for one purpose."""
    return URLSafeTimedSerializer(
        secret,
        salt=f"afterword.{purpose}",
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )


class SignedCookie:
    """One cookie: HttpOnly, SameSite=Lax, for this host only, and Secure where people come by https.

    Cookies know no ports: so its name has a mark of the secret, and two Afterwords on one host do not sign each other's
    people out.
    """

    def __init__(self, name: str, secret: str, *, seconds: int, secure: bool, path: str = "/") -> None:
        mark = hashlib.sha256(f"name of a cookie {secret}".encode()).hexdigest()[:_SHORT]
        prefix = "" if not secure else "__Host-" if path == "/" else "__Secure-"
        self.name = f"{prefix}{name}-{mark}"
        self._signer = signer(secret, name)
        self._seconds = seconds
        self._secure = secure
        self._path = path

    def put(self, response: Response, value: dict[str, Any]) -> None:
        """Set the cookie on a response."""
        signed = self._signer.dumps(value)
        assert isinstance(signed, str)
        response.set_cookie(
            self.name,
            signed,
            max_age=self._seconds,
            path=self._path,
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )

    def read(self, request: Request) -> dict[str, Any] | None:
        """Give what the cookie of a request holds, None without one that was signed here and is still good."""
        signed = request.cookies.get(self.name)
        if signed is None:
            return None
        try:
            value = self._signer.loads(signed, max_age=self._seconds)
        except BadData:
            return None
        return value if isinstance(value, dict) else None

    def drop(self, response: Response) -> None:
        """Make the browser forget the cookie."""
        response.delete_cookie(self.name, path=self._path, secure=self._secure, httponly=True, samesite="lax")
