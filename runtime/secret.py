"""The secret that sessions and one-time links are signed with: a setting on a cluster, made once in a data folder."""

import os
import secrets
from typing import Final

from runtime.folder import Folder
from runtime.settings import LEAST_SECRET

_FILE: Final = "secret"


def secret_of(folder: Folder) -> str:
    """Give the folder's secret, and make it when there is none yet; for the process that has the folder.

    It is in a file that only its owner may read. Without it everybody has to sign in again, and nothing else happens.
    """
    found = known_secret(folder)
    if found is None:
        found = secrets.token_urlsafe(48)
        new = folder.path / f"{_FILE}.new"
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(found)
        new.replace(folder.path / _FILE)
    return found


def known_secret(folder: Folder) -> str | None:
    """Give the folder's secret, None when there is none or what there is cannot be one."""
    try:
        found = (folder.path / _FILE).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return found if len(found) >= LEAST_SECRET else None
