"""A small shop behind the real pages: a chDB with its conversations, and a log that folds what it is given."""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import httpx2
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from api.access import guards
from api.access.keys import KeyRing, MemoryKeys
from api.access.principal import Scope
from api.access.sign_in import SignIn, Ways
from api.endpoints import labels
from api.options import Options
from api.pages import conversation, errors, review, sign_in
from api.pages.rendering import STATIC
from api.parts import Parts
from api.problems import Problem
from api.queries.leases import ReviewLeases
from api.writing.log import Outgoing
from processors.conversation import Fact
from processors.projection import project
from schemas.facts import FactColumns, Key
from sinks.clickhouse_queries import ClickHouseQueries
from sinks.clickhouse_writer import ClickHouseWriter
from sinks.connection import Database
from tests.api.access.world import HERE, SECRET, made
from tests.builders import line
from tests.processors.folding import RULES, fact, whole

MANAGER: Final = (Scope.READ, Scope.LABELS_WRITE)


@dataclass
class FoldingLog:
    """A log that folds at once: what it acknowledged is in the tables. `takes`: whether it acknowledges.

    With `late`, rows come only when `settle` is called.
    """

    writer: ClickHouseWriter
    takes: bool = True
    late: bool = False
    facts: dict[Key, list[Fact]] = field(default_factory=dict)
    written: list[dict[str, Any]] = field(default_factory=list)
    waiting: list[bytes] = field(default_factory=list)

    async def append(self, events: Sequence[Outgoing]) -> list[bool]:
        """See EventLog."""
        if self.takes:
            self.waiting += [one.value for one in events]
            self.written += [json.loads(one.value) for one in events]
            if not self.late:
                self.settle()
        return [self.takes] * len(events)

    def add(self, events: Iterable[dict[str, Any]]) -> None:
        """Fold these."""
        self.waiting += [line(one) for one in events]
        self.settle()

    def settle(self) -> None:
        """Store what waits, facts before rows."""
        columns = FactColumns()
        touched: dict[Key, None] = {}
        for payload in self.waiting:
            one, said = fact(payload), json.loads(payload)
            key = (said["assistant"], said["conversation_id"])
            self.facts.setdefault(key, []).append(one)
            touched[key] = None
            _collect(columns, one, said, payload)
        self.waiting.clear()
        if touched:
            self.writer.insert_facts(columns)
            clocks = {0: 1 << 50}  # everything that is silent is closed
            folded = [whole(self.facts[key], key) for key in touched]
            self.writer.insert_rows(project(folded, clocks, RULES.revision, 1).rows)


def _collect(columns: FactColumns, one: Fact, said: dict[str, Any], payload: bytes) -> None:
    at = one.effect[0]
    for name, value in {
        "assistant": said["assistant"],
        "conversation_id": said["conversation_id"],
        "id": said["id"],
        "digest": one.digest,
        "type": said["type"],
        "at": at,
        "seq": said.get("seq", 0),
        "role": said.get("role", ""),
        "text": said.get("text", ""),
        "payload": payload,
        "recorded_at": at,
    }.items():
        getattr(columns, name).append(value)


@dataclass
class Element:
    """A tag as it stands in a page: its attributes, and all text within."""

    tag: str
    attributes: dict[str, str]
    text: str = ""
    inside: list["Element"] = field(default_factory=list)

    def all(self, tag: str = "", **attributes: str) -> list["Element"]:
        """Every element within of this tag with these attributes (`data_key` for data-key, `class_` among classes)."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [one for one in self.inside if (not tag or one.tag == tag) and one.has(wanted)]

    def one(self, tag: str = "", **attributes: str) -> "Element":
        """The only one of these."""
        (found,) = self.all(tag, **attributes)
        return found

    def has(self, wanted: dict[str, str]) -> bool:
        """Whether it has these attributes."""
        return all(
            value in self.attributes.get(name, "").split() if name == "class" else self.attributes.get(name) == value
            for name, value in wanted.items()
        )

    def fields(self) -> dict[str, str]:
        """What this form would send but for its button."""
        named = [one for one in self.inside if one.tag in {"input", "textarea"} and "name" in one.attributes]
        return {
            one.attributes["name"]: one.text if one.tag == "textarea" else one.attributes.get("value", "")
            for one in named
        }

    @property
    def words(self) -> str:
        """Its text, spaces as one."""
        return " ".join(self.text.split())


_VOID: Final = {"meta", "link", "input", "br", "img", "hr", "wbr"}


class _Tree(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        for one in self._open:
            one.inside.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for one in self._open:
            one.text += data


def read(response: httpx2.Response) -> Element:
    """Read a page; fails when a tag is not closed where it should be."""
    tree = _Tree()
    tree.feed(response.text)
    tree.close()
    return tree.root


@dataclass
class Browser:
    """A browser without script: it follows links and sends forms."""

    client: httpx2.AsyncClient

    async def open(self, address: str, status: int = 200) -> Element:
        """Open an address, where redirections lead."""
        response = await self.client.get(address, follow_redirects=True)
        assert response.status_code == status, response.text
        self.address = str(response.url)
        return read(response)

    async def send(self, form: Element, button: str = "", status: int = 200, **fields: str) -> Element:
        """Fill in a form and send it by this verdict."""
        filled = form.fields() | fields | ({"verdict": button} if button else {})
        response = await self.client.post(form.attributes["action"], data=filled, follow_redirects=True)
        assert response.status_code == status, response.text
        self.address = str(response.url)
        return read(response)

    @property
    def query(self) -> dict[str, str]:
        """What the address says."""
        return dict(parse_qsl(urlsplit(self.address).query))


@dataclass
class Shop:
    """The pages, their log, and who looks at them."""

    log: FoldingLog
    app: FastAPI
    keys: dict[str, str]

    @asynccontextmanager
    async def browser(self, name: str = "ana") -> AsyncIterator[Browser]:
        """Look as somebody."""
        headers = {"Authorization": f"Bearer {self.keys[name]}"}
        transport = httpx2.ASGITransport(self.app)
        async with httpx2.AsyncClient(transport=transport, base_url=HERE, headers=headers) as client:
            yield Browser(client)


PEOPLE: Final[dict[str, tuple[tuple[Scope, ...], str | None]]] = {
    "ana": (MANAGER, None),
    "ben": (MANAGER, None),
    "eve": ((*MANAGER, Scope.ERASE), None),
    "rob": ((Scope.READ,), None),
    "hotel": (MANAGER, "hotel"),
}
"""Who there is: their rights, and the only assistant that they may see."""


@asynccontextmanager
async def opened(database: Database) -> AsyncIterator[Shop]:
    """Open the shop on a database."""
    queries = ClickHouseQueries(database)
    log = FoldingLog(ClickHouseWriter(database))
    made_keys = {name: made(*scopes, name=name, assistant=only) for name, (scopes, only) in PEOPLE.items()}
    ring = KeyRing(MemoryKeys(*(stored for _, stored in made_keys.values())))
    parts = Parts(
        queries=queries,
        log=log,
        keys=ring,
        sign_in=SignIn(SECRET, HERE, Ways(local_name="ana")),
        leases=ReviewLeases(queries),
        options=Options(HERE, "0", embedded=False, rate_limit=100_000, rules=RULES),
    )
    app = FastAPI()
    app.state.parts = parts
    for part in (conversation, review, sign_in, labels):
        app.include_router(part.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(ValidationError, _on_invalid)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    guards.install(app, parts)
    yield Shop(log, app, {name: text for name, (text, _) in made_keys.items()})
    await ring.close()
    queries.close()


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return await errors.page(request, error)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, ValidationError | RequestValidationError)
    faults = "; ".join(str(one["msg"]) for one in error.errors())
    return await errors.page(request, Problem(errors.HTTPStatus.UNPROCESSABLE_ENTITY, faults))
