"""The embedded stack: broker, database and worker of one process, on one data folder."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from types import TracebackType
from typing import Self

from fastapi import FastAPI

from api.access.sign_in import SignIn
from processors.measures import Metrics
from runtime.application import application
from runtime.broker import EmbeddedBroker
from runtime.clickhouse_http import ClickHouseHttp
from runtime.engine import Engine, Tuning
from runtime.event_log import KafkaEventLog
from runtime.folder import Folder, Running
from runtime.kafka import KafkaProducer
from runtime.settings import Settings
from schemas.rules import Rules
from sinks.clickhouse_reader import ClickHouseReader
from sinks.clickhouse_writer import ClickHouseWriter
from sinks.connection import Database
from sinks.migrate import migrate

log = logging.getLogger(__name__)

USER = "afterword"
_SESSION_SECONDS = 6.0
"""Tansu waits half a session before it lets a member join."""


class Embedded:
    """`async with Embedded(…) as stack`: everything runs; afterwards everything is stored and stopped."""

    def __init__(self, folder: Folder, *, rules: Rules, metrics: Metrics, tuning: Tuning, partitions: int) -> None:
        self.folder = folder
        self.partitions = partitions
        self.broker = EmbeddedBroker(folder.broker_log, partitions)
        self.producer = KafkaProducer(self.broker.cluster)
        self.database = Database.parse(f"chdb://{folder.clickhouse}")
        self._password = secrets.token_urlsafe(24)
        self._clickhouse = ClickHouseHttp(folder.clickhouse, password=self._password)
        self._rules = rules
        self._metrics = metrics
        self._tuning = tuning
        self._stack = AsyncExitStack()
        self.engine: Engine

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self.folder.path.mkdir(parents=True, exist_ok=True)
            await asyncio.to_thread(migrate, self.database)
            await self.broker.start()
            stack.push_async_callback(self.broker.stop)
            await self.producer.start()
            stack.push_async_callback(self.producer.stop)
            self._clickhouse.start()
            stack.callback(self._clickhouse.stop)
            writer, reader = ClickHouseWriter(self.database), ClickHouseReader(self.database)
            stack.callback(reader.close)
            stack.callback(writer.close)
            self.engine = Engine(
                cluster=self.broker.cluster,
                writer=writer,
                reader=reader,
                metrics=self._metrics,
                rules=self._rules,
                tuning=replace(self._tuning, session=min(self._tuning.session, _SESSION_SECONDS)),
            )
            await self.engine.start()
            stack.push_async_callback(self.engine.stop)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    @asynccontextmanager
    async def application(self, settings: Settings, sign_in: SignIn, public_url: str) -> AsyncIterator[FastAPI]:
        """Open the review application on it. A write waits for the flush that holds it: the broker forgets."""
        events = KafkaEventLog(self.broker.cluster, stored=self.engine.worker.stored)
        events.start()
        try:
            async with application(
                settings,
                self._rules,
                self.database,
                events,
                sign_in,
                public_url,
                default_assistant=self._tuning.default_assistant,
                embedded=True,
            ) as opened:
                yield opened
        finally:
            await events.stop()

    def running(self, pid: int, http: str) -> Running:
        """Say how other processes reach this stack."""
        where = self._clickhouse.url.replace("http://", f"clickhouse://{USER}:{self._password}@")
        return Running(pid, f"{where}/default", f"kafka://{self.broker.cluster.address}", http)
