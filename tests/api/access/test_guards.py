"""What stands before every endpoint."""

import logging
from collections.abc import AsyncIterator

import pytest

from api.access.bodies import LIMIT
from api.access.headers import POLICY
from api.access.links import new_link
from api.access.principal import Scope
from api.access.requests_log import loggable
from tests.api.access.world import HERE, SECRET, application, asking, bearer, made, session

KEY, STORED = made(*Scope)


# Headers.


@pytest.mark.parametrize("path", ["/v1/read", "/page", "/nowhere", "/bug", "/static/x"])
async def test_every_answer_tells_the_browser_to_trust_nothing_else(path: str) -> None:
    async with asking(application()) as client:
        answer = await client.get(path)
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "Strict-Transport-Security" not in answer.headers
    assert answer.headers.get("Cache-Control") == (None if path.startswith("/static/") else "no-store")
    assert "unsafe" not in POLICY
    assert "*" not in POLICY


async def test_over_tls_it_stays_tls() -> None:
    async with asking(application(public_url="https://here.test")) as client:
        assert (await client.get("/page")).headers["Strict-Transport-Security"] == "max-age=31536000"


# Bodies.


async def _pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 1_024):
        yield b" " * 1_024
    yield b" " * (size % 1_024)


async def test_a_body_up_to_the_limit_is_taken_and_a_larger_one_is_not() -> None:
    async with asking(application(STORED)) as client:
        good = await client.post("/v1/label", content=b" " * LIMIT, headers=bearer(KEY))
        assert (good.status_code, good.json()) == (200, LIMIT)
        streamed = await client.post("/v1/label", content=_pieces(LIMIT), headers=bearer(KEY))
        assert (streamed.status_code, streamed.json()) == (200, LIMIT)
        announced = await client.post("/v1/label", content=b" " * (LIMIT + 1), headers=bearer(KEY))
        assert announced.status_code == 413
        assert announced.headers["Content-Type"] == "application/problem+json"
        assert "1,048,576 bytes" in announced.json()["detail"]
        for path in ("/v1/label", "/v1/bodies"):
            counted = await client.post(path, content=_pieces(LIMIT + 1), headers=bearer(KEY))
            assert counted.status_code == 413, path


# Writes from other sites.

SAME = {"Sec-Fetch-Site": "same-origin"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (SAME, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": HERE}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": HERE}, 403),
        ({"Origin": HERE}, 200),
        ({"Origin": HERE.upper()}, 200),
        ({"Origin": "http://here.test:8080"}, 403),
        ({"Origin": "http://elsewhere.test"}, 403),
        ({"Origin": "http://here.test.elsewhere.test"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({}, 403),
    ],
)
async def test_a_session_writes_from_this_site_only(headers: dict[str, str], status: int) -> None:
    app = application()
    async with asking(app, cookies=session(app)) as client:
        answer = await client.post("/page", headers=headers)
        assert answer.status_code == status
        assert (await client.get("/page", headers=headers)).status_code == 200
        assert (await client.post("/v1/label", headers=headers)).status_code == status


async def test_behind_a_proxy_the_public_address_is_this_site_too() -> None:
    app = application(public_url="https://reviews.test")
    async with asking(app, url="http://10.0.0.1:8080", cookies=session(app)) as client:
        client.cookies.jar.clear()
        cookie = "; ".join(f"{name}={value}" for name, value in session(app).items())
        answers = [
            await client.post("/page", headers={"Cookie": cookie, "Origin": origin})
            for origin in ("https://reviews.test", "http://10.0.0.1:8080", "http://reviews.test")
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 403]


async def test_a_key_writes_from_anywhere_and_a_session_beside_it_counts_for_nothing() -> None:
    reader, stored = made(Scope.READ)
    app = application(STORED, stored)
    async with asking(app, cookies=session(app)) as client:
        foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "http://elsewhere.test"}
        assert (await client.post("/v1/label", headers={**bearer(KEY), **foreign})).status_code == 200
        assert (await client.post("/v1/label", headers={**bearer(reader), **foreign})).status_code == 403
        assert (await client.post("/v1/label", headers={**bearer("aw_x"), **foreign})).status_code == 401
        assert (await client.post("/v1/label", headers={"Authorization": "Basic eDp4", **foreign})).status_code == 401


async def test_nobody_without_a_word_of_where_they_come_from_is_nobody_and_no_attack() -> None:
    async with asking(application()) as client:
        assert (await client.post("/v1/label")).status_code == 401
        refused = await client.post("/v1/label", headers={"Origin": "http://elsewhere.test"})
    assert refused.status_code == 403
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.headers["X-Content-Type-Options"] == "nosniff"


# The log.


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.set_level(logging.INFO, "api.access.requests_log")
    return caplog.messages


async def test_a_request_is_one_line_with_who_and_how_it_ended(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "api.access.requests_log")
    async with asking(application(STORED)) as client:
        await client.get("/v1/read?q=a+secret+word", headers=bearer(KEY))
        await client.get("/v1/read")
        await client.get("/bug")
        await client.get("/static/x")
    said = [message.split(" ") for message in caplog.messages if "/" in message]
    assert [(one[0], one[1], one[2], one[-1]) for one in said] == [
        ("GET", "/v1/read", "200", f"key:{STORED.id}"),
        ("GET", "/v1/read", "401", "nobody"),
        ("GET", "/bug", "500", "nobody"),
    ]
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/learning/all", "/learning/all"),
        ("/a\r\nfake line", "/a%0D%0Afake%20line"),
        ("/a\x1b[2J\u2028\u202e", "/a%1B%5B2J%E2%80%A8%E2%80%AE"),
        pytest.param(f"/v1/{KEY}/x", "/v1/aw_***/x", id="key"),
        pytest.param(new_link(SECRET), "/sign-in/link/***", id="link"),
        ("/\udcff", "/%3F"),
    ],
)
def test_a_path_in_the_log_is_one_word_without_a_secret(path: str, shown: str) -> None:
    assert loggable(path) == shown


def test_a_path_in_the_log_is_not_endless() -> None:
    assert len(loggable("/" + "é" * 10_000)) <= 303
