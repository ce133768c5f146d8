"""What a guard answers in place of the application: always a problem document, for whoever sent this is no page."""

from starlette.responses import JSONResponse

from api.problems import MEDIA_TYPE, Problem


def refusal(problem: Problem) -> JSONResponse:
    """Give the answer."""
    headers = {"Cache-Control": "no-store", **problem.headers}
    return JSONResponse(problem.details.model_dump(), int(problem.status), headers, media_type=MEDIA_TYPE)
