"""The probes, asked over HTTP as a supervisor does."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from processors import measures
from runtime.front import Front
from runtime.metrics import PrometheusMetrics
from runtime.server import HttpServer


@dataclass
class Known:
    """What is known of a process that the test makes up."""

    stuck: str = ""
    reasons: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def live(self) -> str:
        return self.stuck

    def ready(self) -> list[str]:
        return self.reasons

    def notes(self) -> list[str]:
        return self.remarks


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        assert self.headers["Content-Type"] == "application/json"
        said: dict[str, Any] = json.loads(self.body)
        return said


class Probed:
    """A process whose state the test sets, and whose probes it asks."""

    def __init__(self) -> None:
        self.known = Known()
        self.metrics = PrometheusMetrics()
        self.server = HttpServer(Front(self.known, self.metrics, alone=True), host="127.0.0.1", port=0)

    async def get(self, path: str, method: str = "GET") -> Answer:
        return await asyncio.to_thread(self._get, path, method)

    def _get(self, path: str, method: str) -> Answer:
        request = urllib.request.Request(self.server.address + path, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return Answer(response.status, response.headers, response.read())
        except urllib.error.HTTPError as refusal:
            with refusal:
                return Answer(refusal.code, refusal.headers, refusal.read())


@pytest_asyncio.fixture
async def process() -> AsyncIterator[Probed]:
    probed = Probed()
    await probed.server.start()
    yield probed
    await probed.server.stop()


async def test_a_process_that_is_fine_is_live_and_ready(process: Probed) -> None:
    live = await process.get("/livez")
    assert (live.status, live.json) == (200, {"live": True, "reason": ""})
    ready = await process.get("/readyz")
    assert (ready.status, ready.json) == (200, {"ready": True, "reasons": [], "notes": []})


async def test_a_process_that_is_stuck_is_neither_live_nor_ready_and_says_why(process: Probed) -> None:
    process.known.stuck = "no progress for 61 s with 5 records to go"
    live = await process.get("/livez")
    assert (live.status, live.json) == (503, {"live": False, "reason": process.known.stuck})
    ready = await process.get("/readyz")
    assert (ready.status, ready.json["reasons"]) == (503, [process.known.stuck])


async def test_a_process_that_waits_is_live_but_not_ready_and_says_for_what(process: Probed) -> None:
    process.known.reasons = ["no partition is assigned", "waiting: store facts: ClickHouse does not answer"]
    assert (await process.get("/livez")).status == 200
    ready = await process.get("/readyz")
    assert ready.status == 503
    assert ready.json == {"ready": False, "reasons": process.known.reasons, "notes": []}


async def test_what_an_operator_should_know_does_not_make_it_unready(process: Probed) -> None:
    process.known.remarks = ["rows of rules revision 4 exist, this worker has 3"]
    ready = await process.get("/readyz")
    assert (ready.status, ready.json) == (200, {"ready": True, "reasons": [], "notes": process.known.remarks})


async def test_no_answer_shows_a_password(process: Probed) -> None:
    said = "clickhouse://ann:hunter2@ch does not answer"
    process.known.stuck, process.known.reasons, process.known.remarks = said, [said], [said]
    for path, shown in (("/livez", 1), ("/readyz", 3)):
        body = (await process.get(path)).body.decode()
        assert body.count("clickhouse://ann:***@ch does not answer") == shown
        assert "hunter2" not in body


async def test_nobody_may_keep_an_answer(process: Probed) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        assert (await process.get(path)).headers["Cache-Control"] == "no-store", path


async def test_metrics_are_what_prometheus_reads(process: Probed) -> None:
    process.metrics.count(measures.ROWS, 3)
    answer = await process.get("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(answer.body.decode())}
    assert [sample.value for sample in families["afterword_rows"].samples] == [3]


async def test_probes_are_only_read(process: Probed) -> None:
    assert (await process.get("/livez", "HEAD")).body == b""
    assert (await process.get("/livez", "POST")).status == 405
    assert (await process.get("/elsewhere")).status == 404


async def test_the_address_itself_says_where_a_person_finds_what(process: Probed) -> None:
    found = await process.get("/")
    assert (found.status, found.headers.get_content_type()) == (200, "text/plain")
    for path in ("/readyz", "/livez", "/metrics"):
        assert path in found.body.decode()
        assert (await process.get(path)).status == 200
