"""The HTTP interface under fire: whatever is sent, no failure of the server and no answer that OpenAPI does not tell.

`/v1/stream` is left out: its answer does not end. What it tells is tested in tests/api/endpoints, and in a browser.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
import pytest_asyncio
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from runtime.simulator import Simulation
from tests.browser.stack import ALL_RIGHTS, Stack, running

pytestmark = pytest.mark.embedded

OPERATIONS = (
    "POST /v1/events",
    "POST /v1/labels",
    "DELETE /v1/conversations/{assistant}/{conversation_id}",
    "GET /v1/conversations",
    "GET /v1/conversations/{assistant}/{conversation_id}",
    "GET /v1/conversations.csv",
    "GET /v1/conversations.jsonl",
    "GET /v1/conversations.parquet",
    "GET /v1/statistics",
    "GET /v1/facets",
    "GET /v1/examples.jsonl",
)
ENDLESS = {"GET /v1/stream"}
EXAMPLES = 25
WRITES = 10
"""So many of each operation, each way: fewer of those that are answered once they are stored."""

LONGEST = 32_000
"""Characters of an address: HTTP servers take no more than twice as many."""

NO_HTTP = b"Invalid HTTP request received."
"""How the HTTP parser answers what is no HTTP, as some headers are that are made up here; nobody behind it is asked."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

FIRE = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Afterword with a little in it, which writes at once what it is sent and does not count how often it is asked."""
    folder = tmp_path_factory.mktemp("fire")
    file = folder / "shop.jsonl"
    simulation = Simulation(now=datetime.now(UTC), conversations=60, labels=0.3)
    file.write_bytes(b"\n".join(payload for _, payload in simulation.events()))
    settings = {"AFTERWORD_FLUSH_INTERVAL_S": "0.05", "AFTERWORD_RATE_LIMIT": "100000"}
    async with running(folder, file, settings=settings) as stack:
        yield stack


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    """A key that may everything."""
    return stack.key(*ALL_RIGHTS)


@pytest.fixture(scope="module")
def schema(stack: Stack) -> BaseSchema:
    """What the running application says of itself."""
    answer = httpx2.get(stack.url + "/v1/openapi.json", trust_env=False)
    assert answer.status_code == 200
    return schemathesis.openapi.from_dict(answer.json())


def operation(schema: BaseSchema, label: str) -> Any:
    """One operation of the interface, by its method and path."""
    method, path = label.split(" ", 1)
    return schema[path][method]


def test_every_operation_is_under_fire(schema: BaseSchema) -> None:
    told = {one.ok().label for one in schema.get_all_operations()}
    assert told == {*OPERATIONS, *ENDLESS}


@pytest.mark.parametrize("mode", list(GenerationMode), ids=["as documented", "against the documentation"])
@pytest.mark.parametrize("label", OPERATIONS)
def test_who_may_everything_gets_documented_answers(
    label: str, mode: GenerationMode, schema: BaseSchema, stack: Stack, key: str
) -> None:
    statuses = set()
    with requests.Session() as session:
        session.trust_env = False

        @settings(FIRE, max_examples=EXAMPLES if label.startswith("GET") else WRITES)
        @given(case=operation(schema, label).as_strategy(mode))
        def fire(case: Case) -> None:
            assume(len(urlencode(case.query or {}, doseq=True)) < LONGEST)
            answer = case.call(
                base_url=stack.url, session=session, headers={"Authorization": f"Bearer {key}"}, timeout=30
            )
            assume(answer.content != NO_HTTP)
            case.validate_response(answer, checks=CHECKS)
            statuses.add(answer.status_code)

        fire()
    if mode is GenerationMode.POSITIVE:
        assert statuses & {200, 202, 207, 404}, f"only refusals: {statuses}"


@pytest.mark.parametrize("label", OPERATIONS)
def test_nobody_known_gets_nothing(label: str, schema: BaseSchema, stack: Stack) -> None:
    with requests.Session() as session:
        session.trust_env = False

        @settings(FIRE, max_examples=5)
        @given(case=operation(schema, label).as_strategy())
        def fire(case: Case) -> None:
            answer = case.call(base_url=stack.url, session=session, timeout=30)
            case.validate_response(answer, checks=CHECKS)
            assert answer.status_code in {401, 403}, answer.status_code

        fire()
