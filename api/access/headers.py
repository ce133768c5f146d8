"""The headers that every answer has, so that a browser lets nobody else use, frame or sniff what it is shown."""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access.rates import Left

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""Nothing from elsewhere and nothing inline. (A link leads to the issuer, not a form, so `form-action` need not.)"""

_ALWAYS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_OVER_TLS: Final = {"Strict-Transport-Security": "max-age=31536000"}
_STATIC: Final = "/static/"


class SecurityHeaders:
    """Puts the headers on every answer, what is left of a rate, and `no-store` unless the answer says otherwise."""

    def __init__(self, application: ASGIApp, *, https: bool) -> None:
        """`https`: people come by https only."""
        self._application = application
        self._always = {**_ALWAYS, **(_OVER_TLS if https else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        state = scope.setdefault("state", {})

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._always.items():
                    headers[name] = value
                if not scope["path"].startswith(_STATIC):
                    headers.setdefault("Cache-Control", "no-store")
                if isinstance(left := state.get("rate"), Left):
                    for name, value in left.headers("rate").items():
                        headers[name] = value
            await send(message)

        await self._application(scope, receive, send_with_headers)
