"""`afterword api` in a process of its own, and who writes through it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from tests.e2e.children import Child
from tests.e2e.cluster import START_S, Cluster
from tests.kafka.broker import free_ports
from tests.waiting import until

SECRET = "a secret of the tests, long enough for anybody"


class ApiProcess(Child):
    """The process, and a client that comes with a key."""

    def __init__(self, log: Path, settings: Mapping[str, str], key: str) -> None:
        (self.port,) = free_ports(1)
        own = {"AFTERWORD_PORT": str(self.port), "AFTERWORD_SECRET": SECRET}
        super().__init__("api", log, "runtime.cli", "api", settings={**settings, **own})
        self.client = httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}", headers={"Authorization": f"Bearer {key}"}, timeout=60
        )

    async def ready(self) -> None:
        """Wait until it answers for itself."""

        async def is_ready() -> bool:
            assert self.status is None, self.words()
            try:
                return (await self.client.get("/readyz")).status_code == 200
            except httpx2.TransportError:
                return False

        await until(is_ready, START_S, "the API to be ready")

    async def events(self, *events: Mapping[str, Any]) -> httpx2.Response:
        """Write events."""
        return await self.client.post("/v1/events", json=list(events))

    async def label(self, label: str | None, *ids: str, key: str | None = None, **more: Any) -> httpx2.Response:
        """Label conversations of assistant shop; `key`: the idempotency key."""
        conversations = [{"assistant": "shop", "conversation_id": one} for one in ids]
        headers = {"Idempotency-Key": key} if key else {}
        body = {"label": label, "conversations": conversations, **more}
        return await self.client.post("/v1/labels", json=body, headers=headers)

    async def erase(self, name: str, *, key: str | None = None) -> httpx2.Response:
        """Erase a conversation of assistant shop."""
        headers = {"Idempotency-Key": key} if key else {}
        return await self.client.delete(f"/v1/conversations/shop/{name}", headers=headers)


@asynccontextmanager
async def api_of(cluster: Cluster) -> AsyncIterator[ApiProcess]:
    """An API of a cluster whose ClickHouse runs, with a key that may everything."""
    scopes = [word for one in ("read", "events:write", "labels:write", "erase") for word in ("--scope", one)]
    key = (await cluster.command("keys", "create", *scopes, "--name", "the office")).strip()
    api = ApiProcess(cluster.directory / "api.log", cluster.settings, key)
    try:
        await api.ready()
        yield api
    finally:
        await api.client.aclose()
        await api.stop()
        print(api.words())  # noqa: T201  (shown when the test has failed)
