"""Addresses that requests name: where to go on, and where a request came from."""

from typing import Final
from urllib.parse import quote, urlsplit

HOME: Final = "/"
_LONGEST: Final = 4_000


def local(address: str | None) -> str:
    """Give a path of this site to go on to: this one, or the first page when it might lead anywhere else.

    Browsers take a backslash for a slash and leave out tabs and line breaks; so nothing of the kind is let through.
    """
    if not address or len(address) > _LONGEST or any(one <= " " or one in "\\\x7f" for one in address):
        return HOME
    if not address.startswith("/") or address.startswith("//"):
        return HOME
    return address


def with_next(path: str, address: str) -> str:
    """Put where to go on behind the path of a page that comes first."""
    return path if address == HOME else f"{path}?next={quote(address, safe='')}"


def origin_of(url: str) -> str:
    """Give the scheme, host and port of a URL as browsers send them in `Origin`; '' for what has none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}".lower() if parts.scheme and parts.netloc else ""
