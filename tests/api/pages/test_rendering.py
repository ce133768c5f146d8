"""What every page has, and that no text becomes markup."""

from datetime import UTC, datetime

import httpx2
import pytest
from fastapi import FastAPI, Request
from markupsafe import Markup

from api.access import guards
from api.access.keys import KeyRing, MemoryKeys
from api.access.sign_in import SignIn, Ways
from api.options import Options
from api.pages import rendering, sign_in
from api.pages.rendering import render, static, user, when
from api.pages.words import NOTHING
from api.parts import Parts
from schemas.failures import Unavailable

AT = datetime(2026, 11, 9, 9, 12, 33, 125_000, tzinfo=UTC)
NOW = datetime(2026, 11, 11, 14, 2, tzinfo=UTC)
HERE = "http://here.test"
HOSTILE = "<script>alert('1')</script>\u202e\"&amp;" + "x" * 1_000


class Down:
    """ClickHouse, when it does not answer."""

    async def rows(self, sql, parameters=None):
        raise Unavailable("ClickHouse does not answer")

    async def records(self, sql, parameters=None):
        raise Unavailable("ClickHouse does not answer")

    def stream(self, sql, parameters, output):
        raise Unavailable("ClickHouse does not answer")

    async def write(self, sql, parameters=None):
        raise Unavailable("ClickHouse does not answer")


@pytest.fixture
def parts():
    nothing = None
    return Parts(
        queries=Down(),
        log=nothing,
        keys=KeyRing(MemoryKeys()),
        sign_in=SignIn("a secret of the tests, long enough for anybody", HERE, Ways(local_name="ana")),
        leases=nothing,
        options=Options(public_url=HERE, version="1.2.3", embedded=True),
    )


@pytest.fixture
async def browser(parts):
    app = FastAPI()
    app.state.parts = parts
    app.include_router(sign_in.router)

    @app.get("/page")
    async def page(request: Request):
        return await render(
            request,
            "error.html",
            title=HOSTILE,
            detail=HOSTILE,
            faults=[],
            to_do="",
            code=200,
            again=False,
            here="/page",
        )

    guards.install(app, parts)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=HERE, follow_redirects=True) as client:
        yield client


async def _signed_in(browser, parts):
    answer = await browser.get(parts.sign_in.new_link(), params={"next": "/page"})
    assert answer.status_code == 200
    return answer.text


async def test_who_is_not_signed_in_sees_no_links_and_nothing_of_the_rows(browser):
    text = (await browser.get("/page")).text
    assert "open now" not in text
    assert "/statistics" not in text
    assert "v1.2.3" in text


async def test_who_is_signed_in_sees_their_name_the_pages_and_the_way_out(browser, parts):
    text = await _signed_in(browser, parts)
    assert '<bdi title="ana">ana</bdi>' in text
    for address in ("/learning/all", "/review", "/statistics"):
        assert f'href="{address}"' in text
    assert 'method="post" action="/sign-out"' in text


async def test_a_page_comes_without_freshness_when_clickhouse_does_not_answer(browser, parts):
    assert "freshness not known" in await _signed_in(browser, parts)


async def test_a_hostile_text_stays_a_text(browser):
    text = (await browser.get("/page")).text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;" in text


async def test_a_page_is_not_kept_by_caches(browser):
    assert (await browser.get("/page")).headers["Cache-Control"] == "no-store"


def test_a_time_has_its_exact_time_in_the_title():
    assert when(AT, NOW) == Markup(
        '<time datetime="2026-11-09T09:12:33.125+00:00" title="2026-11-09 09:12:33 UTC" data-style="moment">'
        "Mon 09:12</time>"
    )
    assert ">09:12<" in when(AT, NOW, "clock")
    assert ">Mon 9 Nov 2026<" in when(AT, NOW, "date")
    assert 'data-since="2026-11-09T09:12:33.125+00:00">09:12<' in when(AT, NOW, since=AT)


def test_no_time_is_a_dash():
    assert when(None, NOW) == NOTHING


def test_what_a_user_chose_keeps_its_direction_to_itself():
    assert user('"\u202e<b>') == Markup('<bdi title="&#34;\u202e&lt;b&gt;">&#34;\u202e&lt;b&gt;</bdi>')
    assert user("") == NOTHING


def test_a_static_file_has_an_address_of_its_contents():
    address = static("afterword.css")
    assert address.startswith("/static/afterword.css?v=")
    assert address != static("theme.js").replace("theme.js", "afterword.css")


def test_every_template_can_be_read():
    environment = rendering._environment()
    for name in environment.list_templates():
        environment.get_template(name)
