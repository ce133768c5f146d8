"""Scripts and styles: kept by browsers for as long as they are what they were."""

from os import PathLike, stat_result
from typing import Final

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_FOR_EVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"


class Files(StaticFiles):
    """A folder of files. An address with a version in it (`?v=`) is kept for ever, any other is asked for again.

    Modules import each other without a version: kept unasked, they would outlive an upgrade.
    """

    def file_response(
        self, full_path: str | PathLike[str], stat_result: stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """See StaticFiles."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        versioned = scope["query_string"].startswith(b"v=")
        response.headers["Cache-Control"] = _FOR_EVER if versioned else _ASK_AGAIN
        return response
