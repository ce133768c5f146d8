"""People: who may sign in, and what they may then. Asked anew at every request, so that a session gives no more."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from api.access.principal import Principal, Scope
from schemas.events import MAX_NAME

EVERYBODY_MAY: Final = frozenset({Scope.READ, Scope.LABELS_WRITE})
"""What every person may who is signed in."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the issuer says somebody is. `subject`: its own name for them, which stays; `email`, `name`: '' without."""

    subject: str
    email: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class People:
    """`admitted`: e-mail addresses and @domains, None for all whom the issuer lets in; `erasers`: who may erase."""

    admitted: tuple[str, ...] | None = None
    erasers: tuple[str, ...] = ()

    def principal(self, who: Identity) -> Principal | None:
        """Give what somebody is here, None when they are not on the list."""
        if self.admitted is not None and not _among(who.email, self.admitted):
            return None
        scopes = EVERYBODY_MAY | {Scope.ERASE} if _among(who.email, self.erasers) else EVERYBODY_MAY
        shown = (who.email or who.name or who.subject)[:MAX_NAME]
        return Principal(f"person:{who.subject}", shown, scopes)


def _among(email: str, listed: Iterable[str]) -> bool:
    """Whether an address, or its domain as `@domain`, is listed; capitals do not matter."""
    address = email.casefold()
    domain = "@" + address.rpartition("@")[2]
    return "@" in address and any(one.casefold() in {address, domain} for one in listed)
