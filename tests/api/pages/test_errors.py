"""What a person sees when something goes wrong: what it was, and what to do."""

from collections.abc import AsyncIterator
from http import HTTPStatus

import pytest
from fastapi import Request
from fastapi.responses import Response

from api.pages import errors
from api.problems import Fault, Problem, unavailable
from sinks.connection import Database
from tests.api.pages.shop import Browser, opened

HOSTILE = "<script>alert(1)</script>"
PROBLEMS = {
    "down": unavailable("ClickHouse does not answer. Try again in a moment."),
    "gone": Problem(HTTPStatus.NOT_FOUND, "There is nothing at this address."),
    "wrong": Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "no", faults=[Fault(where="rated", what=f"{HOSTILE} is neither yes nor no")]
    ),
    "odd": Problem(HTTPStatus.IM_A_TEAPOT, HOSTILE, title="Tea only"),
}


@pytest.fixture
async def ana(database: Database) -> AsyncIterator[Browser]:
    async with opened(database) as shop:

        @shop.app.get("/problem/{name}")
        async def problem(request: Request, name: str) -> Response:
            return await errors.page(request, PROBLEMS[name])

        async with shop.browser() as browser:
            yield browser


async def test_a_store_that_is_down_is_said_with_what_to_do(ana):
    answer = await ana.client.get("/problem/down")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    page = await ana.open("/problem/down?language=en", status=503)
    assert page.one("main").one("h1").words == "Afterword cannot reach what it needs"
    assert "ClickHouse does not answer" in page.one("p", class_="notice").words
    assert "Nothing is lost" in page.text
    assert page.one("main").one("a", class_="primary").attributes["href"] == "/problem/down?language=en"
    assert "freshness not known" in page.one("footer").words


async def test_a_page_that_is_not_there_leads_to_the_list(ana):
    page = await ana.open("/problem/gone", status=404)
    assert [one.words for one in page.one("main").all("a")] == ["All conversations"]
    assert "erased" in page.text


async def test_everything_that_is_wrong_with_an_address_is_listed(ana):
    page = await ana.open("/problem/wrong", status=422)
    (fault,) = page.one("ul", class_="faults").all("li")
    assert fault.words == f"rated {HOSTILE} is neither yes nor no"


async def test_a_problem_of_any_kind_has_a_page_and_stays_a_text(ana):
    page = await ana.open("/problem/odd", status=418)
    assert page.one("main").one("h1").words == "Tea only"
    assert page.one("p", class_="notice").words == HOSTILE
