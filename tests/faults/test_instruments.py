"""The instruments themselves: the load, the verdict, the proxy. What they say is worth what they are."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import xxhash

from tests.builders import event, line
from tests.e2e.rows import Rows, of_the_oracle
from tests.faults.load import SHORT, Load
from tests.faults.proxy import Proxy
from tests.faults.verdict import FIRST, Verdict

CLOCK = 2_000_000_000_000


def test_the_same_seed_gives_the_same_load_and_another_another() -> None:
    assert Load(3, SHORT).arrivals == Load(3, SHORT).arrivals
    assert Load(3, SHORT).arrivals != Load(4, SHORT).arrivals


def test_the_load_holds_everything_that_it_says() -> None:
    load = Load(1, SHORT)
    good = [json.loads(one) for one in load.good]
    counts = dict.fromkeys((one["type"] for one in good), 0)
    for one in good:
        counts[one["type"]] += 1
    assert counts.keys() >= {"message.sent", "label.set", "label.cleared", "conversation.rated", "conversation.ended"}
    assert len(load.arrivals) > 10_000
    assert 0.4 < sum(one["assistant"] == "chitchat" for one in good) / len(good) < 0.6
    assert len(load.arrivals) > len(set(load.arrivals)) == len({*load.good, *load.mendable, *load.broken})
    assert 0.009 < len({*load.mendable, *load.broken}) / len(good) < 0.011
    ids = [(one["conversation_id"], one["id"]) for one in good]
    assert len(ids) > len(set(ids)), "no id comes with two contents"
    rows = load.truth().values()
    assert all(row["closed"] for row in rows)
    assert any(row["reopened"] for row in rows)


def judged(found: Rows, wanted: Rows) -> Verdict:
    verdict = Verdict()
    verdict.compare_rows(found.values(), wanted)
    return verdict


@pytest.fixture
def rows() -> Rows:
    """Of a dozen conversations; what is processing only has been left out, as of the table's."""
    lines = [line(event("message.sent", conversation_id=f"c-{number}")) for number in range(12)]
    return of_the_oracle(lines, CLOCK)


def test_the_verdict_on_right_rows_is_good(rows: Rows) -> None:
    assert judged(rows, rows).good


def test_the_verdict_names_what_is_lost_and_shows_the_first_of_it(rows: Rows) -> None:
    verdict = judged({}, rows)
    assert len(verdict.lost) == 12
    assert not verdict.good
    assert str(verdict).count("\n") == FIRST


def test_the_verdict_names_a_conversation_with_two_rows(rows: Rows) -> None:
    verdict = Verdict()
    verdict.compare_rows([*rows.values(), next(iter(rows.values()))], rows)
    assert len(verdict.doubled) == 1


def test_the_verdict_names_a_row_that_should_not_be(rows: Rows) -> None:
    wanted = dict(rows)
    wanted.popitem()
    assert len(judged(rows, wanted).doubled) == 1


def test_the_verdict_names_every_cell_that_is_wrong(rows: Rows) -> None:
    found = {key: {**row, "messages": 7} if key[1] == "c-3" else row for key, row in rows.items()}
    (told,) = judged(found, rows).mismatched
    assert "c-3" in told
    assert "'messages': (7, 1)" in told


def test_the_verdict_tells_lost_facts_from_strange_and_doubled_ones() -> None:
    verdict = Verdict()
    digests = [xxhash.xxh3_128_digest(one) for one in (b"a", b"b", b"b", b"strange")]
    verdict.compare_facts(digests, [b"a", b"b", b"c"])
    assert len(verdict.lost) == 1
    assert len(verdict.doubled) == 2


def test_the_verdict_tells_lost_dead_letters_from_strange_and_doubled_ones() -> None:
    verdict = Verdict()
    verdict.compare_letters([b"a", b"a", b"strange"], [b"a", b"c"])
    assert len(verdict.lost) == 1
    assert len(verdict.doubled) == 2


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """A server that says what it hears; gives its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while heard := await reader.read(1 << 16):
                writer.write(heard)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def said(proxy: Proxy, words: bytes = b"hello") -> float:
    """Say something through a proxy until it comes back; gives the seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    begun = time.monotonic()
    try:
        writer.write(words)
        assert await reader.readexactly(len(words)) == words
        return time.monotonic() - begun
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_the_proxy_passes_on_what_is_said_and_adds_latency_both_ways() -> None:
    async with echo() as port, Proxy(port) as proxy:
        await said(proxy, bytes(1 << 20))
        proxy.latency_s = 0.1
        assert await said(proxy) >= 0.2


async def test_the_proxy_bounds_the_bandwidth() -> None:
    async with echo() as port, Proxy(port) as proxy:
        proxy.bytes_per_s = 1e6
        assert await said(proxy, bytes(300_000)) >= 0.25


async def test_the_proxy_delays_some_answers() -> None:
    async with echo() as port, Proxy(port) as proxy:
        proxy.late_share, proxy.late_s = 1.0, 0.2
        assert await said(proxy) >= 0.2


async def test_the_proxy_resets_connections() -> None:
    async with echo() as port, Proxy(port) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        assert proxy.reset() == 1
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        writer.close()


async def test_the_proxy_refuses_and_listens_again_on_its_port() -> None:
    async with echo() as port, Proxy(port) as proxy:
        await said(proxy)
        await proxy.refuse()
        with pytest.raises(OSError, match="Connect call failed"):
            await said(proxy)
        await proxy.listen()
        await said(proxy)


async def test_a_stalled_connection_stands_and_goes_on() -> None:
    async with echo() as port, Proxy(port) as proxy:
        with proxy.stalled():
            waiting = asyncio.create_task(said(proxy))
            done, _ = await asyncio.wait([waiting], timeout=0.2)
            assert not done
        await waiting
