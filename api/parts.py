"""What the application is made of: given by `runtime`, found by every endpoint."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from api.access.keys import KeyRing
from api.access.sign_in import SignIn
from api.options import Options
from api.queries.asking import Queries
from api.queries.leases import Leases
from api.writing.log import EventLog


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that an endpoint may need."""

    queries: Queries
    log: EventLog
    keys: KeyRing
    sign_in: SignIn
    leases: Leases
    options: Options


def parts_of(request: Request) -> Parts:
    """Give the parts of the application that answers this request."""
    parts = request.app.state.parts
    assert isinstance(parts, Parts)
    return parts


Given = Annotated[Parts, Depends(parts_of)]
"""An endpoint's parameter: the parts."""
