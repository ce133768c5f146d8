"""Signing in and out: the page that offers the ways there are, and the addresses that each of them goes through."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from api.access.addresses import HOME, local, with_next
from api.access.identify import SIGN_IN, attempt, identify
from api.access.links import PATH as LINK
from api.access.links import LinkRefused
from api.access.oidc import SignInRefused
from api.access.sign_in import CALLBACK_PATH, OIDC_PATH, NotAdmitted
from api.pages.rendering import render
from api.parts import Given

router: Final = APIRouter()

Next = Annotated[str, Query(description="where to go on to: a path of this site; others lead to the first page")]


@router.get(SIGN_IN)
async def show(request: Request, next: Next = HOME, signed_out: str = "") -> Response:  # noqa: A002
    """Offer the ways to sign in; who is signed in already goes on."""
    if await identify(request) is not None:
        return RedirectResponse(local(next), 303)
    return await _page(request, next, note="You are signed out." if signed_out else "")


@router.get(LINK + "{token}")
async def by_link(request: Request, given: Given, token: str, next: Next = HOME) -> Response:  # noqa: A002
    """Sign in whoever opens a one-time link first."""
    if given.sign_in.links is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    if given.sign_in.who(request) is not None:
        return RedirectResponse(local(next), 303)  # the link stays for whoever needs it
    tried = attempt(request)
    try:
        response = given.sign_in.by_link(token, next)
    except LinkRefused as refused:
        return await _page(request, next, problem=str(refused), status=HTTPStatus.FORBIDDEN)
    tried.succeeded()
    return response


@router.get(OIDC_PATH)
async def to_issuer(given: Given, next: Next = HOME) -> Response:  # noqa: A002
    """Send somebody to the issuer, to say who they are."""
    if given.sign_in.oidc is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return await given.sign_in.to_issuer(next)


@router.get(CALLBACK_PATH)
async def from_issuer(request: Request, given: Given) -> Response:
    """Sign in who comes back from the issuer."""
    if given.sign_in.oidc is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    tried = attempt(request)
    try:
        response = await given.sign_in.from_issuer(request)
    except SignInRefused as refused:
        return await _page(request, HOME, problem=str(refused), status=HTTPStatus.FORBIDDEN)
    except NotAdmitted as unknown:
        tried.succeeded()
        problem = f"{unknown} may not sign in here. Whoever runs Afterword can add you to AFTERWORD_PEOPLE."
        return await _page(request, HOME, problem=problem, status=HTTPStatus.FORBIDDEN)
    tried.succeeded()
    return response


@router.post("/sign-out")
async def sign_out(given: Given) -> Response:
    """Forget who is signed in on this browser."""
    return given.sign_in.sign_out()


async def _page(
    request: Request, to: str, *, problem: str = "", note: str = "", status: HTTPStatus = HTTPStatus.OK
) -> Response:
    ways = request.app.state.parts.sign_in.ways
    return await render(
        request,
        "sign_in.html",
        status=status,
        problem=problem,
        note=note,
        by_link=ways.local_name is not None,
        issuer=with_next(OIDC_PATH, local(to)) if ways.issuer is not None else "",
    )
