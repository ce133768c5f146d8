"""Signing in with an issuer: a real one, on loopback, and what happens when it or a browser lies."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI
from joserfc.jwk import OctKey, RSAKey

from api.access.oidc import Issuer
from api.access.people import People
from api.access.sign_in import Ways
from tests.api.access.issuer import CLIENT_ID, CLIENT_SECRET, TestIssuer, running
from tests.api.access.world import HERE, application, asking

SAME = {"Sec-Fetch-Site": "same-origin"}


@pytest_asyncio.fixture
async def issuer() -> AsyncIterator[TestIssuer]:
    async with running() as issuer:
        yield issuer


def application_of(issuer: TestIssuer, people: People | None = None, public_url: str = HERE) -> FastAPI:
    known = Issuer(issuer.url, CLIENT_ID, CLIENT_SECRET)
    return application(ways=Ways(issuer=known, people=people or People()), public_url=public_url)


async def at_the_issuer(client: httpx2.AsyncClient, to: str = "/page") -> str:
    """Begin, say who one is at the issuer, and give the address that it leads back to."""
    begun = await client.get("/sign-in/oidc", params={"next": to})
    assert begun.status_code == 303, begun.text
    async with httpx2.AsyncClient() as browser:
        back = await browser.get(begun.headers["Location"])
    assert back.status_code == 307
    location: str = back.headers["Location"]
    assert location.startswith(f"{HERE}/sign-in/oidc/callback?")
    return location


async def signed_in(client: httpx2.AsyncClient, to: str = "/page") -> httpx2.Response:
    """Go all the way, and give the last answer."""
    return await client.get(await at_the_issuer(client, to))


async def assert_refused(client: httpx2.AsyncClient, answer: httpx2.Response, because: str) -> None:
    assert answer.status_code == 403, answer.headers
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert because in answer.text
    assert (await client.get("/page")).status_code == 303


async def test_a_person_signs_in_goes_on_and_signs_out(issuer: TestIssuer) -> None:
    app = application_of(issuer, People(erasers=("ana@example.org",)))
    async with asking(app) as client:
        assert (await client.get("/page")).headers["Location"] == "/sign-in?next=%2Fpage"
        offered = await client.get("/sign-in?next=%2Fpage")
        assert 'href="/sign-in/oidc?next=%2Fpage"' in offered.text
        answer = await signed_in(client, "/page?q=1")
        assert (answer.status_code, answer.headers["Location"]) == (303, "/page?q=1")
        told = [one.lower() for one in answer.headers.get_list("Set-Cookie")]
        session = next(one for one in told if "max-age=43200" in one)
        assert "httponly" in session
        assert "samesite=lax" in session
        assert "path=/;" in session
        assert "domain" not in session
        assert (await client.get("/page")).text == "ana@example.org"
        assert (await client.delete("/v1/erase", headers=SAME)).json() == "person:u-1"
        assert (await client.get("/sign-in?next=/page")).headers["Location"] == "/page"
        out = await client.post("/sign-out", headers=SAME)
        assert (out.status_code, out.headers["Location"]) == (303, "/sign-in?signed_out=1")
        assert (await client.get("/page")).status_code == 303
        assert "You are signed out." in (await client.get("/sign-in?signed_out=1")).text
    assert issuer.asked == ["configuration"]


async def test_over_tls_the_cookies_are_for_tls_and_this_host_only(issuer: TestIssuer) -> None:
    app = application_of(issuer, public_url="https://here.test")
    async with asking(app, url="https://here.test") as client:
        begun = await client.get("/sign-in/oidc")
        flow = begun.headers["Set-Cookie"]
        assert flow.startswith("__Secure-afterword-oidc-")
        assert "Secure" in flow
        assert "Path=/sign-in/oidc" in flow
        async with httpx2.AsyncClient() as browser:
            back = (await browser.get(begun.headers["Location"])).headers["Location"]
        answer = await client.get(back)
    session = next(one for one in answer.headers.get_list("Set-Cookie") if "Max-Age=43200" in one)
    assert session.startswith("__Host-afterword-")
    assert "Secure" in session


async def test_where_to_go_on_never_leads_elsewhere(issuer: TestIssuer) -> None:
    async with asking(application_of(issuer)) as client:
        answer = await signed_in(client, "//elsewhere.test/")
    assert answer.headers["Location"] == "/"


async def test_people_are_recognised_by_what_the_issuer_calls_them_and_a_session_gives_what_the_list_gives_today(
    issuer: TestIssuer,
) -> None:
    app = application_of(issuer)
    async with asking(app) as client:
        await signed_in(client)
        assert (await client.get("/v1/read")).json()["id"] == "person:u-1"
        sign_in = app.state.parts.sign_in
        assert (await client.delete("/v1/erase", headers=SAME)).status_code == 403
        sign_in.ways = Ways(issuer=sign_in.ways.issuer, people=People(("@elsewhere.org",)))
        assert (await client.get("/page")).status_code == 303


async def test_who_is_not_on_the_list_is_told_so(issuer: TestIssuer) -> None:
    async with asking(application_of(issuer, People(("bo@example.org", "@elsewhere.org")))) as client:
        await assert_refused(client, await signed_in(client), "ana@example.org may not sign in here")


async def test_an_address_that_was_not_verified_is_not_believed(issuer: TestIssuer) -> None:
    async with asking(application_of(issuer, People(("@example.org",)))) as client:
        for unverified in (False, "false", "False"):
            issuer.claims = {"email_verified": unverified}
            await assert_refused(client, await signed_in(client), "has not verified")
        issuer.without = {"email_verified"}
        assert (await signed_in(client)).status_code == 303


async def test_an_issuer_that_says_the_address_elsewhere_is_asked_there(issuer: TestIssuer) -> None:
    issuer.without = {"email", "email_verified"}
    issuer.userinfo = {"sub": "u-1", "email": "ana@example.org", "email_verified": True}
    app = application_of(issuer, People(("@example.org",)))
    async with asking(app) as client:
        assert (await signed_in(client)).status_code == 303
        assert (await client.get("/page")).text == "ana@example.org"
    async with asking(app) as client:
        issuer.userinfo["sub"] = "u-2"
        await assert_refused(client, await signed_in(client), "Ana may not sign in here")


async def test_another_state_is_refused_and_so_is_an_answer_without_a_beginning(issuer: TestIssuer) -> None:
    app = application_of(issuer)
    async with asking(app) as attacker, asking(app) as victim:
        theirs = await at_the_issuer(attacker)
        await assert_refused(victim, await victim.get(theirs), "begun somewhere else")
        own = await at_the_issuer(victim)
        state = parse_qs(urlsplit(own).query)["state"][0]
        for wrong in (own.replace(state, "another"), theirs, own.replace(f"state={state}", "")):
            await assert_refused(victim, await victim.get(wrong), "begun somewhere else")
        assert (await victim.get(own)).status_code == 303


async def test_a_code_works_once(issuer: TestIssuer) -> None:
    async with asking(application_of(issuer)) as client:
        back = await at_the_issuer(client)
        flow = dict(client.cookies)
        assert (await client.get(back)).status_code == 303
    async with asking(application_of(issuer), cookies=flow) as replayed:
        await assert_refused(replayed, await replayed.get(back), "did not accept")


@pytest.mark.parametrize(
    ("claims", "without"),
    [
        ({"nonce": "another"}, set()),
        ({}, {"nonce"}),
        ({"iss": "http://elsewhere.test"}, set()),
        ({}, {"iss"}),
        ({"aud": "another client"}, set()),
        ({"aud": "another client", "azp": CLIENT_ID}, set()),
        ({"aud": [CLIENT_ID, "another"], "azp": "another"}, set()),
        ({"exp": 1_700_000_000}, set()),
        ({}, {"exp"}),
        ({"iat": 4_000_000_000}, set()),
        ({}, {"sub"}),
    ],
    ids=str,
)
async def test_an_id_token_that_is_not_for_this_sign_in_is_not_believed(
    issuer: TestIssuer, claims: dict[str, Any], without: set[str]
) -> None:
    issuer.claims, issuer.without = claims, without
    async with asking(application_of(issuer)) as client:
        await assert_refused(client, await signed_in(client), "cannot be believed")


@pytest.mark.parametrize("how", ["another key", "none", "the client's secret"])
async def test_an_id_token_that_the_issuer_did_not_sign_is_not_believed(issuer: TestIssuer, how: str) -> None:
    if how == "another key":
        issuer.signed_with = RSAKey.generate_key(2_048, {"kid": "one"})
    else:
        issuer.algorithm = {"none": "none", "the client's secret": "HS256"}[how]
        issuer.signed_with = OctKey.import_key(CLIENT_SECRET, {"kid": "one"})
    async with asking(application_of(issuer)) as client:
        await assert_refused(client, await signed_in(client), "cannot be believed")


async def test_a_changed_key_of_the_issuer_is_fetched(issuer: TestIssuer) -> None:
    async with asking(application_of(issuer)) as client:
        assert (await signed_in(client)).status_code == 303
        issuer.key = issuer.signed_with = RSAKey.generate_key(2_048, {"kid": "two"})
        await client.post("/sign-out", headers=SAME)
        assert (await signed_in(client)).status_code == 303


async def test_an_issuer_that_says_no_is_quoted_as_text(issuer: TestIssuer) -> None:
    issuer.error = "access_denied"
    async with asking(application_of(issuer)) as client:
        answer = await signed_in(client)
        await assert_refused(client, answer, "&lt;b&gt;access_denied&lt;/b&gt;")
    assert "<b>" not in answer.text


async def test_an_answer_in_the_name_of_another_issuer_is_refused(issuer: TestIssuer) -> None:
    async with asking(application_of(issuer)) as client:
        back = await at_the_issuer(client)
        wrong = back.partition("&iss=")[0] + "&iss=http%3A%2F%2Felsewhere.test&code=" + "code-0"
        await assert_refused(client, await client.get(wrong), "another issuer")


async def test_metadata_in_the_name_of_another_issuer_is_not_used(issuer: TestIssuer) -> None:
    issuer.metadata = {"issuer": "http://elsewhere.test"}
    async with asking(application_of(issuer)) as client:
        assert (await client.get("/sign-in/oidc")).status_code == 503
        issuer.metadata = {}
        assert (await signed_in(client)).status_code == 303


async def test_an_issuer_that_does_not_answer_is_503_and_asked_again_later() -> None:
    async with running() as gone:
        pass
    async with asking(application_of(gone)) as client:
        assert (await client.get("/sign-in/oidc")).status_code == 503
    async with running() as broken:
        app = application_of(broken)
        broken.metadata = {"token_endpoint": f"{broken.url}/nowhere"}
        async with asking(app) as client:
            assert (await signed_in(client)).status_code == 503


async def test_without_an_issuer_there_is_no_such_way() -> None:
    async with asking(application()) as client:
        assert (await client.get("/sign-in/oidc")).status_code == 404
        assert (await client.get("/sign-in/oidc/callback?code=x&state=y")).status_code == 404
        assert "Sign in with your organisation" not in (await client.get("/sign-in")).text
