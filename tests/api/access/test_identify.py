"""Who asks, what they may, and how often."""

import json

import pytest

from api.access.identify import REFUSALS
from api.access.principal import Scope
from api.access.rates import FAILURES_AT_ONCE
from tests.api.access.world import HERE, application, asking, bearer, made, session

READER, READER_KEY = made(Scope.READ, name="dashboard", assistant="shop")
LABELLER, LABELLER_KEY = made(Scope.LABELS_WRITE)
SAME = {"Sec-Fetch-Site": "same-origin"}


async def test_a_key_says_who_asks() -> None:
    async with asking(application(READER_KEY)) as client:
        answer = await client.get("/v1/read", headers={"Authorization": f"bearer  {READER}"})
    assert answer.json() == {"id": f"key:{READER_KEY.id}", "name": "dashboard", "assistant": "shop"}


async def test_a_session_says_who_asks_and_may_everything_of_a_local_user() -> None:
    app = application()
    async with asking(app, cookies=session(app)) as client:
        assert (await client.get("/v1/read")).json() == {"id": "person:local", "name": "ana", "assistant": None}
        assert (await client.delete("/v1/erase", headers=SAME)).json() == "person:local"


@pytest.mark.parametrize("authorization", ["Bearer aw_nonsense", "Bearer ", "Bearer", "Basic eDp4", "", "Bearer \xff"])
async def test_a_wrong_key_is_401_even_beside_a_session(authorization: str) -> None:
    app = application(READER_KEY)
    async with asking(app, cookies=session(app)) as client:
        answer = await client.get("/v1/read", headers={"Authorization": authorization.encode("latin-1")})
    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="Afterword", error="invalid_token"'


async def test_without_anything_an_endpoint_says_how_to_be_known_and_a_page_leads_to_signing_in() -> None:
    async with asking(application()) as client:
        answer = await client.get("/v1/read")
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="Afterword"'
        page = await client.get("/page?q=a%20b&sort=x")
        assert page.status_code == 303
        assert page.headers["Location"] == "/sign-in?next=%2Fpage%3Fq%3Da%2520b%26sort%3Dx"


async def test_a_form_of_somebody_whose_session_ended_leads_back_to_the_page_it_was_on() -> None:
    async with asking(application()) as client:
        for referer, to in [
            (f"{HERE}/page?q=1", "/sign-in?next=%2Fpage%3Fq%3D1"),
            ("http://elsewhere.test/page", "/sign-in"),
            ("", "/sign-in"),
        ]:
            answer = await client.post("/page", headers={**SAME, "Referer": referer})
            assert (answer.status_code, answer.headers["Location"]) == (303, to)


async def test_a_script_whose_session_ended_is_told_to_take_the_whole_page_there() -> None:
    async with asking(application()) as client:
        answer = await client.get("/page", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/sign-in?next=%2Fpage")


async def test_a_missing_right_is_403_and_named() -> None:
    async with asking(application(READER_KEY, LABELLER_KEY)) as client:
        answers = [
            await client.request(method, path, headers=bearer(key))
            for method, path, key in [
                ("POST", "/v1/label", READER),
                ("DELETE", "/v1/erase", READER),
                ("GET", "/v1/read", LABELLER),
                ("GET", "/page", LABELLER),
                ("POST", "/page", READER),
            ]
        ]
    assert [answer.status_code for answer in answers] == [403] * 5
    assert answers[0].json()["detail"] == "This needs the scope `labels:write`; dashboard has: read."
    assert 'scope="labels:write"' in answers[0].headers["WWW-Authenticate"]


async def test_nobody_can_tell_is_503() -> None:
    app = application(READER_KEY)
    app.state.parts.keys._store.down = True
    async with asking(app) as client:
        assert (await client.get("/v1/read", headers=bearer(READER))).status_code == 503


@pytest.mark.parametrize("changed", ["{}", "", "e30.aaaa.bbbb", "null", "é"])
async def test_a_session_that_was_not_signed_here_is_none(changed: str) -> None:
    app = application()
    name, value = session(app).popitem()
    foreign = application(ways=app.state.parts.sign_in.ways)
    async with asking(app) as client:
        swapped = (
            value[:-5] + ("a" if value[-5] != "a" else "b") + value[-4:]
        )  # the last one has bits that do not count
        for cookie in (changed, swapped):
            answer = await client.get("/page", headers={"Cookie": f"{name}={cookie}".encode()})
            assert answer.status_code == 303
        assert (await client.get("/page", headers={"Cookie": f"{name}={value}"})).status_code == 200
    async with asking(foreign) as client:  # the same secret: every process of a cluster knows the session
        assert (await client.get("/page", headers={"Cookie": f"{name}={value}"})).status_code == 200


# How often.


async def test_a_key_may_ask_so_often_and_another_is_not_held_up_by_it() -> None:
    async with asking(application(READER_KEY, LABELLER_KEY, rate_limit=1)) as client:
        answers = [await client.get("/v1/read", headers=bearer(READER)) for _ in range(3)]
        other = await client.post("/v1/label", headers=bearer(LABELLER))
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].headers["RateLimit-Policy"] == '"rate";q=2;w=2'
    assert answers[0].headers["RateLimit"] == '"rate";r=1;t=1'
    assert answers[2].headers["Retry-After"] == "1"
    assert answers[2].headers["RateLimit"].startswith('"rate";r=0;')
    assert answers[2].headers["Content-Type"] == "application/problem+json"
    assert other.status_code == 200


async def test_guessing_is_held_up_by_address_and_good_keys_from_there_are_not() -> None:
    app = application(READER_KEY, LABELLER_KEY)
    async with asking(app) as client:
        await client.get("/v1/read", headers=bearer(READER))
        guesses = [await client.get("/v1/read", headers=bearer("aw_x")) for _ in range(int(FAILURES_AT_ONCE) + 5)]
        assert [guess.status_code for guess in guesses[: int(FAILURES_AT_ONCE)]] == [401] * int(FAILURES_AT_ONCE)
        assert guesses[-1].status_code == 429
        assert "Retry-After" in guesses[-1].headers
        assert (await client.get("/v1/read", headers=bearer(READER))).status_code == 200
    async with asking(app, client="192.0.2.2") as elsewhere:
        assert (await elsewhere.get("/v1/read", headers=bearer("aw_x"))).status_code == 401


async def test_good_keys_that_are_new_here_do_not_use_up_an_address() -> None:
    many = [made(Scope.READ) for _ in range(int(FAILURES_AT_ONCE) + 10)]
    app = application()
    app.state.parts.keys._store.keys.extend(stored for _, stored in many)
    async with asking(app) as client:
        answers = [await client.get("/v1/read", headers=bearer(key)) for key, _ in many]
    assert {answer.status_code for answer in answers} == {200}


# What is said of it.


def test_openapi_says_which_key_and_right_an_endpoint_needs() -> None:
    schema = application().openapi()
    assert schema["paths"]["/v1/erase"]["delete"]["security"] == [{"key": ["erase"]}, {"session": ["erase"]}]
    schemes = schema["components"]["securitySchemes"]
    assert (schemes["key"]["scheme"], schemes["session"]["in"]) == ("bearer", "cookie")
    assert "#/$defs" not in json.dumps(REFUSALS)
