"""Writes over HTTP, end to end: what was answered 202 is in the rows, whatever is killed or away; and once."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from runtime.kafka import Cluster as Address
from runtime.kafka import create_topics
from tests.builders import AT, MINUTE, SECOND, event, line
from tests.e2e.api_process import api_of
from tests.e2e.children import Child
from tests.e2e.cluster import START_S, ClickHouse, Cluster
from tests.e2e.rows import differences, of_the_oracle
from tests.kafka.broker import KafkaBroker
from tests.waiting import until

PATIENCE_S = 10 + 15
"""What an answer may take that is 503, and something for a busy machine."""


async def row(clickhouse: ClickHouse, name: str) -> dict[str, Any]:
    """Some columns of a row of assistant shop; empty without one."""
    columns = ("label", "label_id", "labelled_by", "label_reason", "messages", "correction")
    found = await clickhouse.ask(
        f"SELECT {', '.join(columns)} FROM conversations FINAL "
        "WHERE assistant = 'shop' AND conversation_id = {name:String}",
        name=name,
    )
    return dict(zip(columns, found[0], strict=True)) if found else {}


async def test_a_label_survives_the_kill_of_the_api_right_after_its_answer(kafka_cluster: Cluster) -> None:
    cluster = kafka_cluster
    async with api_of(cluster) as api:
        assert (await api.events(event("message.sent", conversation_id="c-1"))).status_code == 202
        answer = await api.label("negative", "c-1", reason="wrong")
        await api.kill()
    assert answer.status_code == 202
    (told,) = answer.json()["labels"]
    assert told["known"] is False
    await cluster.worker()  # the first to see any of it
    await cluster.stored()
    found = await row(cluster.clickhouse, "c-1")
    assert (found["label"], found["label_id"], found["labelled_by"]) == ("negative", told["event_id"], "the office")
    assert found["messages"] == 1


async def test_labels_are_undone_for_good_and_come_after_those_that_they_replace(kafka_cluster: Cluster) -> None:
    cluster = kafka_cluster
    await cluster.worker()
    ahead = int(time.time() * 1000) + 4 * MINUTE
    async with api_of(cluster) as api:
        names = ("c-1", "c-2")
        sent = [event("message.sent", conversation_id=name, at=AT) for name in names]
        labelled = event("label.set", conversation_id="c-2", at=ahead, label="positive")
        answer = await api.events(*sent, labelled, event("message.sent", conversation_id="c-1", at="now"))
        assert (answer.status_code, answer.json()["accepted"], answer.json()["rejected"]) == (202, 3, 1)
        await cluster.stored()
        assert (await row(cluster.clickhouse, "c-2"))["label"] == "positive"

        first = (await api.label("negative", "c-1", "c-2", key="first", reason="one")).json()["labels"]
        assert [one["known"] for one in first] == [True, True]
        undone = await api.label("clear", "c-1", "c-2", key="undo")
        assert undone.status_code == 202
        await cluster.stored()
        assert [(await row(cluster.clickhouse, name))["label"] for name in names] == ["", ""]

        again = (await api.label("negative", "c-1", "c-2", key="first", reason="one")).json()["labels"]
        assert [one["event_id"] for one in again] == [one["event_id"] for one in first]
        await cluster.stored()
        for name, told in zip(names, undone.json()["labels"], strict=True):
            found = await row(cluster.clickhouse, name)
            assert (found["label"], found["label_id"]) == ("", told["event_id"])


async def test_an_erasure_forgets_what_is_stored_and_sent_again_nothing_that_came_later(kafka_cluster: Cluster) -> None:
    cluster = kafka_cluster
    await cluster.worker()
    now = int(time.time() * 1000)
    async with api_of(cluster) as api:
        early = [
            event("message.sent", conversation_id="c-1", at=now + MINUTE, text="I am Ann"),
            event("conversation.rated", conversation_id="c-1", at=now + 2 * MINUTE, comment="Ann again"),
        ]
        assert (await api.events(*early)).status_code == 202
        await cluster.stored()
        first = await api.erase("c-1", key="key")
        assert first.status_code == 202
        await cluster.stored()
        assert await row(cluster.clickhouse, "c-1") == {}
        assert await cluster.clickhouse.ask("SELECT count() FROM events FINAL WHERE payload LIKE '%Ann%'") == [(0,)]

        assert (await api.events(event("message.sent", conversation_id="c-1", at=now + 3 * MINUTE))).status_code == 202
        await cluster.stored()
        again = await api.erase("c-1", key="key")
        assert again.json() == first.json()
        await cluster.stored()
        assert (await row(cluster.clickhouse, "c-1"))["messages"] == 1
        assert (await api.erase("never seen")).status_code == 202


async def test_without_clickhouse_writes_are_taken(kafka_cluster: Cluster) -> None:
    cluster = kafka_cluster
    async with api_of(cluster) as api:
        assert (
            await api.events(event("message.sent", conversation_id="c-1"))
        ).status_code == 202  # the key is known now
        await cluster.clickhouse.kill()
        labelled = await api.label("positive", "c-1", reason="without it")
        assert labelled.status_code == 202
        assert labelled.json()["labels"][0]["known"] is None
        assert (await api.events(event("message.sent", conversation_id="c-2"))).status_code == 202
        assert (await api.erase("c-2")).status_code == 202
        await cluster.clickhouse.start()
    await cluster.worker()
    await cluster.stored()
    assert (await row(cluster.clickhouse, "c-1"))["label_reason"] == "without it"
    assert await row(cluster.clickhouse, "c-2") == {}


@pytest.mark.timeout(600)
async def test_without_kafka_each_write_says_whether_it_was_taken_and_all_of_it_can_be_sent_again(
    kafka_jars: Path, tmp_path: Path
) -> None:
    """The API starts before Kafka is there, and Kafka dies under it."""
    broker = KafkaBroker(tmp_path / "kafka")
    events = [event("message.sent", id=f"m-{one}", conversation_id=f"c-{one}", at=AT + one) for one in range(40)]
    sent = [line(one) for one in events]
    async with broker, Cluster(Address(broker.address), tmp_path) as cluster:
        await create_topics(cluster.address, cluster.partitions, 1)
        await broker.stop()
        async with api_of(cluster) as api:
            await refused(await timed(api.events(*events)), events)
            await broker.start()

            async def taken() -> bool:
                return (await api.events(*events)).status_code == 202

            await until(taken, 60, "Kafka to be found")
            await broker.kill()
            more = [
                event("message.sent", id=f"n-{one}", conversation_id=f"c-{one}", at=AT + SECOND) for one in range(40)
            ]
            sent += [line(one) for one in more]
            written, label, erasure = await asyncio.gather(
                timed(api.events(*more)),
                timed(api.label("negative", "c-0", "c-1", key="key")),
                timed(api.erase("c-2", key="key")),
            )
            await refused(written, more)
            assert label.status_code == erasure.status_code == 503
            assert [one["status"] for one in label.json()["labels"]] == ["unavailable"] * 2
            await broker.start()

            async def all_taken() -> bool:
                return (await api.events(*more)).status_code == 202

            await until(all_taken, 60, "Kafka to be found again")
            label = await api.label("negative", "c-0", "c-1", key="key")
            assert label.status_code == 202
            assert (await api.events(*events, *more)).status_code == 202
            await cluster.worker()
            await cluster.stored()
            wanted = of_the_oracle(sent, int(time.time() * 1000))
            labelled = {("shop", "c-0"), ("shop", "c-1")}
            erased = ("shop", "c-2")
            changed = {*labelled, erased}
            wanted = {key: one for key, one in wanted.items() if key not in changed}

            async def as_wanted() -> bool:
                """What is silent closes with a later flush when a partition's clock was late for the first."""
                return not differences(
                    {k: one for k, one in (await cluster.rows()).items() if k not in changed}, wanted
                )

            await until(as_wanted, 60, "the rows to be those of the oracle")
            found = await cluster.rows()
            assert {(found[key]["label"], found[key]["messages"]) for key in labelled} == {("negative", 2)}
            facts = await cluster.clickhouse.ask(
                "SELECT count(), uniqExact(id) FROM events FINAL WHERE type = 'message.sent'"
            )
            assert facts[0][0] == facts[0][1]


async def timed(answer: Any) -> httpx2.Response:
    """An answer that comes in time."""
    before = time.monotonic()
    found: httpx2.Response = await answer
    assert time.monotonic() - before < PATIENCE_S
    return found


async def refused(answer: httpx2.Response, events: list[dict[str, Any]]) -> None:
    """It is 503, says when to come again, and of each event that it was not taken."""
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["Content-Type"] == "application/problem+json"
    told = answer.json()
    assert [(one["id"], one["status"]) for one in told["events"]] == [(one["id"], "unavailable") for one in events]


@pytest.mark.embedded
async def test_in_the_embedded_stack_what_was_answered_202_is_on_disk(tmp_path: Path) -> None:
    data, key = tmp_path / "data", ""
    up = Child("afterword up", tmp_path / "up.log", "runtime.cli", "up", "--data", str(data), "--port", "0")
    try:

        def is_up() -> bool:
            assert up.status is None, up.words()
            return (data / "up.json").exists()

        await until(is_up, START_S, "the embedded stack")
        scopes = [word for one in ("events:write", "labels:write") for word in ("--scope", one)]
        asked = Child("keys", tmp_path / "keys.log", "runtime.cli", "keys", "create", "--data", str(data), *scopes)
        assert await asked.ended(START_S) == 0, asked.words()
        key = asked.printed().strip()
        address = json.loads((data / "up.json").read_text())["http"]
        async with httpx2.AsyncClient(
            base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=60
        ) as client:
            sent = [event("message.sent", assistant=None, conversation_id=f"c-{one}") for one in range(20)]
            body = b"\n".join(map(line, sent))
            answer = await client.post("/v1/events", content=body, headers={"Content-Type": "application/x-ndjson"})
            assert (answer.status_code, answer.json()["accepted"]) == (202, 20)
            conversations = [{"assistant": "default", "conversation_id": f"c-{one}"} for one in range(20)]
            labelled = await client.post("/v1/labels", json={"label": "positive", "conversations": conversations})
        assert labelled.status_code == 202
        assert {one["known"] for one in labelled.json()["labels"]} == {True}
    finally:
        await up.kill()
    server = ClickHouse(data / "clickhouse", tmp_path / "clickhouse.log")
    await server.start()
    try:
        found = await server.ask("SELECT conversation_id, label, messages FROM conversations FINAL ORDER BY 1")
        assert sorted(found) == sorted((f"c-{one}", "positive", 1) for one in range(20))
    finally:
        await server.stop()
