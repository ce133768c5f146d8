"""Signing in by a one-time link, signing out, and the page that offers what there is."""

import pytest

from api.access.rates import FAILURES_AT_ONCE
from api.access.sign_in import Ways
from tests.api.access.world import application, asking, session

SAME = {"Sec-Fetch-Site": "same-origin"}


async def test_a_link_signs_in_whoever_opens_it_first_and_nobody_else() -> None:
    app = application()
    link = app.state.parts.sign_in.new_link()
    async with asking(app) as first, asking(app) as second:
        opened = await first.get(link, params={"next": "/page"})
        assert (opened.status_code, opened.headers["Location"]) == (303, "/page")
        cookie = opened.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Max-Age=43200" in cookie
        assert "Secure" not in cookie
        assert (await first.get("/page")).text == "ana"
        late = await second.get(link)
        assert late.status_code == 403
        assert "This link was used already." in late.text
        assert "afterword link" in late.text
        assert (await second.get("/page")).status_code == 303
        again = await first.get(link, params={"next": "/page"})
        assert (again.status_code, again.headers["Location"]) == (303, "/page")


async def test_opening_a_link_while_signed_in_leaves_it_for_somebody_else() -> None:
    app = application()
    link = app.state.parts.sign_in.new_link()
    async with asking(app, cookies=session(app)) as known, asking(app) as other:
        assert (await known.get(link)).status_code == 303
        assert (await other.get(link)).status_code == 303
        assert (await other.get("/page")).text == "ana"


async def test_a_look_at_the_head_of_a_link_does_not_use_it_up() -> None:
    app = application()
    link = app.state.parts.sign_in.new_link()
    async with asking(app) as client:
        assert (await client.head(link)).status_code == 405
        assert (await client.get(link)).status_code == 303


@pytest.mark.parametrize(
    "to", ["//elsewhere.test", "https://elsewhere.test", "/\\elsewhere.test", "/\t/elsewhere.test"]
)
async def test_a_link_never_leads_elsewhere(to: str) -> None:
    app = application()
    async with asking(app) as client:
        opened = await client.get(app.state.parts.sign_in.new_link(), params={"next": to})
        assert opened.headers["Location"] == "/"
        assert (await client.get("/sign-in", params={"next": to})).headers["Location"] == "/"


async def test_guessing_links_is_held_up() -> None:
    async with asking(application()) as client:
        answers = [await client.get("/sign-in/link/x.y.z") for _ in range(int(FAILURES_AT_ONCE) + 3)]
    assert answers[0].status_code == 403
    assert "not a link of this Afterword" in answers[0].text
    assert answers[-1].status_code == 429


async def test_another_site_cannot_sign_anybody_out() -> None:
    app = application()
    async with asking(app, cookies=session(app)) as client:
        assert (await client.post("/sign-out", headers={"Sec-Fetch-Site": "cross-site"})).status_code == 403
        assert (await client.get("/sign-out")).status_code == 405
        assert (await client.get("/page")).status_code == 200
        assert (await client.post("/sign-out", headers=SAME)).status_code == 303


async def test_where_nobody_can_sign_in_the_page_says_what_is_missing() -> None:
    app = application(ways=Ways())
    async with asking(app, cookies=session(application())) as client:
        page = await client.get("/sign-in")
        assert page.status_code == 200
        assert "AFTERWORD_OIDC_ISSUER" in page.text
        assert "afterword link" not in page.text
        assert (await client.get(app.state.parts.sign_in.new_link())).status_code == 404
        assert (await client.get("/page")).status_code == 303


async def test_the_page_runs_nothing_inline_and_is_kept_nowhere() -> None:
    async with asking(application()) as client:
        page = await client.get("/sign-in?next=%2Fpage%22%3E%3Cscript%3E")
    assert page.headers["Cache-Control"] == "no-store"
    assert "<style" not in page.text
    assert "<script>" not in page.text
    assert "style=" not in page.text
