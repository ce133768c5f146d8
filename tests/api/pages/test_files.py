"""Scripts and styles, as browsers keep them."""

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from api.application import STATIC
from api.pages.files import Files


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("/frame.js", "no-cache"),
        ("/frame.js?v=0123456789", "public, max-age=31536000, immutable"),
        ("/frame.js?x=1", "no-cache"),
    ],
)
def test_only_an_address_with_a_version_is_kept_unasked(address: str, kept: str) -> None:
    client = TestClient(Files(directory=STATIC))
    answer = client.get(address)
    assert answer.headers["Cache-Control"] == kept
    again = client.get(address, headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    assert again.headers["Cache-Control"] == kept


def test_what_is_no_file_is_not_found() -> None:
    client = TestClient(Starlette())
    client.app.mount("/static", Files(directory=STATIC))
    assert client.get("/static/none.js").status_code == 404
    assert client.get("/static/../application.py").status_code == 404
