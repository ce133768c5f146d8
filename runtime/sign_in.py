"""How people sign in, as the settings say; and `afterword link`, which makes a link for a running `afterword up`."""

import getpass
from typing import Final

from api.access.links import new_link
from api.access.oidc import Issuer
from api.access.people import People
from api.access.sign_in import SignIn, Ways
from runtime.folder import Folder
from runtime.secret import known_secret
from runtime.settings import Settings

_SOMEBODY: Final = "you"


def sign_in_of(settings: Settings, secret: str, public_url: str, *, links: bool) -> SignIn:
    """Give what signs people in. `links`: by one-time links too, as the user whose process this is."""
    issuer = None
    if settings.oidc_issuer and settings.oidc_client_id and settings.oidc_client_secret:
        issuer = Issuer(settings.oidc_issuer, settings.oidc_client_id, settings.oidc_client_secret.get_secret_value())
    people = People(settings.people, settings.erasers or ())
    return SignIn(secret, public_url, Ways(local_user() if links else None, issuer, people))


def local_user() -> str:
    """Give the name of the user whose process this is."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user may have no name
        return _SOMEBODY


def fresh_link(folder: Folder) -> str:
    """Give the address of a new one-time link of the `afterword up` that has the folder.

    Raises ValueError when none has it, Taken while it is only starting.
    """
    running = folder.running()
    secret = known_secret(folder) if running is not None else None
    if running is None or secret is None:
        raise ValueError(
            f"no `afterword up` has {folder.path}: start one with `afterword up --data {folder.path}`, it prints a link"
        )
    return running.http + new_link(secret)
