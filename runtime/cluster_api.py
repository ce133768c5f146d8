"""`afterword api`: the review application and the HTTP interface of a cluster, until it is told to stop."""

import asyncio
import logging
from typing import Final

from runtime.application import application
from runtime.event_log import KafkaEventLog
from runtime.front import Front
from runtime.kafka import Cluster
from runtime.metrics import PrometheusMetrics
from runtime.service import served, stop_signal
from runtime.settings import Settings
from runtime.sign_in import sign_in_of
from runtime.waiting import migrated
from schemas.failures import Unavailable
from schemas.rules import Rules
from sinks.connection import Database

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 10.0


class ApiHealth:
    """What the probes say of a process without a worker.

    It is ready while one of Kafka and ClickHouse is away: pages work without the one and writes without the other, and
    every other process of the kind lacks the same.
    """

    def __init__(self, events: KafkaEventLog, database: Database) -> None:
        self._events = events
        self._database = database
        self._lacks = "ClickHouse was not asked yet"

    def live(self) -> str:
        """Say why the process should be started anew, '' when it is fine."""
        return ""

    def ready(self) -> list[str]:
        """Say what is missing; empty when there is something that works."""
        lacks = self.notes()
        return lacks if len(lacks) == 2 else []

    def notes(self) -> list[str]:
        """Say what is away."""
        return [one for one in (self._events.lacks, self._lacks) if one]

    async def watch(self) -> None:
        """Ask ClickHouse again and again, until cancelled."""
        while True:
            try:
                await migrated(self._database)
            except Unavailable as error:
                if str(error) != self._lacks:
                    log.warning("pages and keys wait: %s", error)
                self._lacks = str(error)
            else:
                self._lacks = ""
            await asyncio.sleep(_LOOK_SECONDS)


async def serve(settings: Settings, rules: Rules, cluster: Cluster, database: Database) -> int:
    """Serve it; gives the exit status. Kafka and ClickHouse may come later, and go. Raises SettingsError."""
    events = KafkaEventLog(cluster)
    health = ApiHealth(events, database)
    front = Front(health, PrometheusMetrics(), alone=False)
    async with served(settings, front) as server:
        public_url = settings.public_url or server.address
        sign_in = sign_in_of(settings, settings.need("secret"), public_url, links=False)
        stop = stop_signal()
        async with application(settings, rules, database, events, sign_in, public_url) as opened:
            events.start()
            watching = asyncio.create_task(health.watch())
            log.info("the review application is at %s", public_url)
            if settings.oidc_issuer is None:
                log.warning("people cannot sign in, programs with keys can: no issuer is set, see docs/settings.md")
            try:
                with front.showing(opened):
                    await stop.wait()
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
                await events.stop()
    return 0
