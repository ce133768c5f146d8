"""Every route of the application: shut to those who are not known, to keys of another right, and to other assistants.

A route that is added fails here until it stands in `CALLS`, with what it needs and an address that would give away a
conversation of the hotel to the shop.
"""

import asyncio
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
import pyarrow.parquet as pq
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from api.access.keys import KeyRing, MemoryKeys
from api.access.principal import Scope
from api.access.sign_in import SignIn, Ways
from api.application import build
from api.options import Options
from api.parts import Parts
from api.queries import changes
from api.queries.leases import ReviewLeases
from api.queries.sorting import DEFAULT_SORT, Cursor, Direction, Sort
from api.writing.log import Outgoing
from sinks.clickhouse_queries import ClickHouseQueries
from sinks.clickhouse_writer import ClickHouseWriter
from sinks.connection import Database
from tests.api.access.world import HERE, SECRET, made
from tests.api.pages.shop import FoldingLog
from tests.builders import AT, MINUTE, SECOND, Event, event

MARK: Final = "zqxw"
"""Stands in everything that was said in the hotel, and in no address and no request."""

HOTEL: Final = {"assistant": "hotel", "conversation_id": "c-hotel"}
OF: Final = {"of": "hotel", "id": "c-hotel"}
ONWARD, BACK = (
    str(Cursor(Sort.parse(DEFAULT_SORT), way, AT, ("hotel", "c-hotel"), 0))
    for way in (Direction.AFTER, Direction.BEFORE)
)
"""Places in a list, at a conversation of the hotel."""

SELECTIONS: Final = (
    "",
    "?assistant=hotel",
    "?assistant=shop&assistant=hotel",
    "?topic=linen",
    "?q=towels",
    "?rated=true",
)
"""All, what names the hotel, and what only the hotel has."""


@dataclass(frozen=True)
class Call:
    """What a route needs, and requests that ask it for the hotel. `page`: it sends people to sign in.

    `shows`: to a key of all assistants some answer shows what was said in the hotel; `writes`: it writes there.
    """

    scope: Scope
    addresses: tuple[str, ...]
    page: bool = False
    shows: bool = False
    writes: bool = False
    json: Any = None
    form: dict[str, Any] | None = None


def selected(path: str, *more: str, page: bool = False) -> Call:
    """A route that takes a selection, and what else is asked of it."""
    return Call(Scope.READ, tuple(path + one for one in (*SELECTIONS, *more)), page=page, shows=True)


def form(path: str, scope: Scope = Scope.LABELS_WRITE, *, writes: bool = True, **fields: Any) -> Call:
    """A route that takes a page's form."""
    return Call(scope, (path,), page=True, writes=writes, form={"once": "o-1", **fields})


OPEN: Final = {
    "GET /",
    "GET /sign-in",
    "GET /sign-in/link/{token}",
    "GET /sign-in/oidc",
    "GET /sign-in/oidc/callback",
    "POST /sign-out",
    "GET /v1/openapi.json",
    "HEAD /v1/openapi.json",
    "/static",
}
"""For everybody: they show nothing of any conversation."""

CALLS: Final[dict[str, Call]] = {
    "POST /v1/events": Call(
        Scope.EVENTS_WRITE, ("/v1/events",), writes=True, json=[event("message.sent", **HOTEL, text="towels", at=AT)]
    ),
    "POST /v1/labels": Call(
        Scope.LABELS_WRITE, ("/v1/labels",), writes=True, json={"label": "positive", "conversations": [HOTEL]}
    ),
    "DELETE /v1/conversations/{assistant}/{conversation_id:text}": Call(
        Scope.ERASE, ("/v1/conversations/hotel/c-hotel",), writes=True
    ),
    "GET /v1/conversations": selected("/v1/conversations", f"?cursor={ONWARD}", f"?cursor={BACK}"),
    "GET /v1/conversations/{assistant}/{conversation_id:text}": Call(
        Scope.READ, ("/v1/conversations/hotel/c-hotel",), shows=True
    ),
    "GET /v1/conversations.csv": selected("/v1/conversations.csv"),
    "GET /v1/conversations.jsonl": selected("/v1/conversations.jsonl"),
    "GET /v1/conversations.parquet": selected("/v1/conversations.parquet"),
    "GET /v1/examples.jsonl": Call(
        Scope.READ,
        tuple(
            f"/v1/examples.jsonl?{one}"
            for one in (
                "format=openai",
                "format=preference",
                "format=raw",
                "format=raw&since=beginning",
                "format=raw&assistant=hotel",
                "as_of=2026-11-10T00:00:00Z",
            )
        ),
        shows=True,
    ),
    "GET /v1/stream": Call(
        Scope.READ,
        ("/v1/stream?assistant=hotel&conversation_id=c-hotel", "/v1/stream?assistant=hotel"),
        shows=True,
    ),
    "GET /v1/statistics": selected("/v1/statistics"),
    "GET /v1/facets": selected("/v1/facets"),
    "GET /learning/{section}": selected("/learning/all", f"?cursor={ONWARD}", f"?cursor={BACK}", page=True),
    "POST /learning/label": form("/learning/label", label="positive", of=[json.dumps(["hotel", "c-hotel", 2])]),
    "GET /conversation": Call(Scope.READ, ("/conversation?of=hotel&id=c-hotel",), page=True, shows=True),
    "POST /conversation/label": form("/conversation/label", **OF, verdict="positive"),
    "POST /conversation/erase": form("/conversation/erase", Scope.ERASE, **OF, confirm="c-hotel"),
    "GET /review": Call(
        Scope.READ,
        ("/review?assistant=hotel", "/review?of=hotel&id=c-hotel", f"/review?go={ONWARD}", f"/review?go={BACK}"),
        page=True,
        shows=True,
    ),
    "POST /review": form("/review", **OF, verdict="positive"),
    "POST /review/undo": form("/review/undo", last_of="hotel", last_id="c-hotel", last_event="e-1"),
    "POST /review/renew": form("/review/renew", writes=False, **OF),
    "POST /review/release": form("/review/release", writes=False, **OF),
    "GET /statistics": selected("/statistics", page=True),
}


def told(assistant: str, conversation: str, word: str) -> list[Event]:
    """A conversation in which every text is `word`, rated, escalated, labelled and closed."""
    of: dict[str, Any] = {"assistant": assistant, "conversation_id": conversation}
    topic = "linen" if assistant == "hotel" else "returns"
    said = "towels" if assistant == "hotel" else "parcels"
    started = event(
        "conversation.started",
        **of,
        at=AT,
        user_id=f"{word}-user",
        user_name=f"{word} name",
        topic=topic,
        subtopic=f"{word} subtopic",
        channel=f"{word}-channel",
        location=f"{word}-location",
        language="en",
        device="mobile",
        attributes={f"{word}_key": f"{word} value"},
    )
    return [
        started,
        event("message.sent", **of, at=AT + SECOND, id=f"{conversation}-m", text=f"Where are my {said}, {word}?"),
        event("message.sent", **of, at=AT + 2 * SECOND, role="assistant", text=f"{word} answer", confidence=0.1),
        event("conversation.assigned", **of, at=AT + 3 * SECOND, assigned_to=f"{word}-agent", team=f"{word} team"),
        event("conversation.rated", **of, at=AT + MINUTE, rating=2, comment=f"{word} comment"),
        event(
            "label.set",
            **of,
            at=AT + 2 * MINUTE,
            id=f"{word}-label",
            label="negative",
            reason=f"{word} reason",
            correction=f"{word} correction",
            by=f"{word} manager",
        ),
        event("conversation.ended", **of, at=AT + 3 * MINUTE),
    ]


@dataclass(frozen=True)
class Answer:
    """What came back, with where it led, and what it put into the log."""

    status: int
    location: str
    text: str
    wrote: tuple[Outgoing, ...]


@dataclass
class RecordingLog:
    """Takes everything, and keeps it."""

    records: list[Outgoing] = field(default_factory=list)

    async def append(self, events: list[Outgoing]) -> list[bool]:
        """See EventLog."""
        self.records += events
        return [True] * len(events)


SHOP_KEY, SHOP = made(*Scope, name="shop's own", assistant="shop")
ALL_KEY, ALL = made(*Scope, name="the office")
BUT = {scope: made(*(set(Scope) - {scope}), name=f"all but {scope.name}") for scope in Scope}
Walked = dict[str, list[Answer]]


def routes(app: FastAPI) -> set[str]:
    """Every route by method and path."""
    found = set()
    for route in iter_route_contexts(app.routes):
        for method in sorted(getattr(route, "methods", None) or {""}):
            found.add(f"{method} {route.path}".strip())
    return found


async def walk(queries: ClickHouseQueries, key: Callable[[Call], str | None]) -> Walked:
    """Ask every route everything, with the key that is given for it."""
    ring = KeyRing(MemoryKeys(SHOP, ALL, *(stored for _, stored in BUT.values())))
    log = RecordingLog()
    app = application(queries, ring, log)
    transport = httpx2.ASGITransport(app)
    answers: Walked = {}
    async with httpx2.AsyncClient(transport=transport, base_url=HERE) as client:
        for name, call in CALLS.items():
            headers = {"Sec-Fetch-Site": "same-origin"}
            if text := key(call):
                headers["Authorization"] = f"Bearer {text}"
            for address in call.addresses:
                log.records.clear()
                method = name.partition(" ")[0]
                said = {"json": call.json} if call.json is not None else {"data": call.form} if call.form else {}
                if name == "GET /v1/stream":
                    status, text = await listened(app, address, headers)
                    answer = Answer(status, "", text, ())
                else:
                    response = await client.request(method, address, headers=headers, **said)
                    location = response.headers.get("Location", "")
                    answer = Answer(response.status_code, location, readable(response.content), tuple(log.records))
                answers.setdefault(name, []).append(answer)
    await ring.close()
    return answers


def application(queries: ClickHouseQueries, ring: KeyRing, log: RecordingLog) -> FastAPI:
    return build(
        Parts(
            queries=queries,
            log=log,
            keys=ring,
            sign_in=SignIn(SECRET, HERE, Ways(local_name="ana")),
            leases=ReviewLeases(queries),
            options=Options(HERE, "0", embedded=False, rate_limit=100_000),
        )
    )


async def listened(app: FastAPI, address: str, headers: dict[str, str]) -> tuple[int, str]:
    """Listen to a stream until it has told all that there was, which its second sign of life says."""
    path, _, query = address.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "server": ("here.test", 80),
        "client": ("192.0.2.1", 4_711),
    }
    status, body, told_all = 0, bytearray(), asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not receiving:
            receiving.append(True)
            return {"type": "http.request", "body": b"", "more_body": False}
        await told_all.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            body.extend(message.get("body", b""))
            if body.count(b": listening") >= 2 or not message.get("more_body"):
                told_all.set()

    receiving: list[bool] = []
    serving = asyncio.create_task(app(scope, receive, send))
    await asyncio.wait_for(told_all.wait(), 20)
    await asyncio.wait_for(serving, 20)
    return status, body.decode()


def readable(body: bytes) -> str:
    """Give a body as text, also one that is compressed."""
    if body.startswith(b"PAR1"):
        return str(pq.read_table(io.BytesIO(body)).to_pylist())
    return body.decode()


@dataclass(frozen=True)
class Walks:
    """The walks of several askers: `alone` with the shop's key before there was a hotel, the others with one."""

    alone: Walked
    shop: Walked
    office: Walked
    nobody: Walked
    but: Walked


@pytest.fixture(scope="module")
def walks(chdb: Database) -> Iterator[Walks]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(changes, "ALIVE", 0.2)
        yield from _walks(chdb)


def _walks(chdb: Database) -> Iterator[Walks]:
    client = chdb.client()
    for table in ("events", "conversations", "review_leases"):
        client.command(f"TRUNCATE TABLE {table}")
    writer = ClickHouseWriter(chdb)
    store = FoldingLog(writer)

    def asked(key: Callable[[Call], str | None]) -> Walked:
        queries = ClickHouseQueries(chdb)  # of its own: what is kept beside it for some seconds ends with it
        try:
            return asyncio.run(walk(queries, key))
        finally:
            queries.close()

    store.add(told("shop", "c-shop", "plain"))
    alone = asked(lambda _: SHOP_KEY)
    store.add(told("hotel", "c-hotel", MARK))
    yield Walks(
        alone,
        shop=asked(lambda _: SHOP_KEY),
        office=asked(lambda _: ALL_KEY),
        nobody=asked(lambda _: None),
        but=asked(lambda call: BUT[call.scope][0]),
    )
    for table in ("events", "conversations", "review_leases"):
        client.command(f"TRUNCATE TABLE {table}")
    client.close()
    writer.close()


def test_every_route_is_in_the_table(chdb: Database) -> None:
    queries = ClickHouseQueries(chdb)
    app = application(queries, KeyRing(MemoryKeys()), RecordingLog())
    queries.close()
    assert routes(app) == OPEN | CALLS.keys()


@pytest.mark.parametrize("route", CALLS)
def test_nobody_is_let_in_without_being_known(walks: Walks, route: str) -> None:
    for answer in walks.nobody[route]:
        if CALLS[route].page:
            assert answer.status == 303
            assert re.match(r"/sign-in($|\?next=)", answer.location)
        else:
            assert answer.status == 401
        assert answer.wrote == ()
        assert MARK not in answer.text


@pytest.mark.parametrize("route", CALLS)
def test_a_key_without_the_right_is_refused_whatever_else_it_may(walks: Walks, route: str) -> None:
    for answer in walks.but[route]:
        assert answer.status == 403
        assert f"`{CALLS[route].scope}`" in answer.text
        assert answer.wrote == ()
        assert MARK not in answer.text


@pytest.mark.parametrize("route", CALLS)
def test_a_key_of_one_assistant_neither_sees_nor_writes_anything_of_another(walks: Walks, route: str) -> None:
    for answer in walks.shop[route]:
        assert MARK not in answer.text + answer.location
        assert all(json.loads(one.value)["assistant"] == "shop" for one in answer.wrote)
        assert answer.status < 500


@pytest.mark.parametrize("route", CALLS)
def test_a_key_of_one_assistant_cannot_tell_whether_there_is_another(walks: Walks, route: str) -> None:
    for address, alone, beside in zip(CALLS[route].addresses, walks.alone[route], walks.shop[route], strict=True):
        assert timeless(beside.text) == timeless(alone.text), address
        assert (beside.status, timeless(beside.location)) == (alone.status, timeless(alone.location)), address


@pytest.mark.parametrize("route", CALLS)
def test_a_key_of_all_assistants_does_what_the_others_were_kept_from(walks: Walks, route: str) -> None:
    answers = walks.office[route]
    assert all(answer.status < 400 for answer in answers), [(one.status, one.text[:300]) for one in answers]
    if CALLS[route].shows:
        assert any(MARK in answer.text for answer in answers)
    assert any(answer.wrote for answer in answers) == CALLS[route].writes


def timeless(text: str) -> str:
    """Leave out what changes from one asking to the next: times, and ids that are made anew."""
    text = re.sub(r"(?m)^id: .*$", "id: #", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)?|\b\d\d:\d\d\b|(?<=since=)\d{13}", "#", text)
    return re.sub(r'(name="(once|since)" value=")[^"]*', r"\1#", text)
