"""The HTTP server: its address, its end, and that it leaves the process alone."""

import asyncio
import logging
import re
import signal
import socket
import urllib.request

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from runtime.server import HttpServer
from runtime.settings import SettingsError
from tests.waiting import until


async def hello(_: Request) -> Response:
    return PlainTextResponse("hello")


HELLO = Starlette(routes=[Route("/", hello)])


def get(address: str) -> str:
    with urllib.request.urlopen(address, timeout=10) as response:
        return str(response.read().decode())


def free(host: str, port: int) -> bool:
    """Whether nobody answers there."""
    with socket.socket() as one:
        return one.connect_ex((host, port)) != 0


async def test_port_0_picks_a_free_one_and_the_address_says_which() -> None:
    server = HttpServer(HELLO, host="127.0.0.1", port=0)
    assert server.address == ""
    await server.start()
    assert re.fullmatch(r"http://127\.0\.0\.1:[1-9][0-9]*", server.address)
    assert await asyncio.to_thread(get, server.address) == "hello"
    await server.stop()
    assert free("127.0.0.1", int(server.address.rpartition(":")[2]))


@pytest.mark.parametrize(("host", "reached"), [("0.0.0.0", "127.0.0.1"), ("localhost", "127.0.0.1")])
async def test_the_address_can_be_reached_from_this_machine(host: str, reached: str) -> None:
    server = HttpServer(HELLO, host=host, port=0)
    await server.start()
    assert server.address.startswith(f"http://{reached}:")
    assert await asyncio.to_thread(get, server.address) == "hello"
    await server.stop()


async def test_the_port_can_be_taken_again_at_once() -> None:
    first = HttpServer(HELLO, host="127.0.0.1", port=0)
    await first.start()
    assert await asyncio.to_thread(get, first.address) == "hello"
    await first.stop()
    second = HttpServer(HELLO, host="127.0.0.1", port=int(first.address.rpartition(":")[2]))
    await second.start()
    assert second.address == first.address
    assert await asyncio.to_thread(get, second.address) == "hello"
    await second.stop()


async def test_a_taken_port_is_explained() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = HttpServer(HELLO, host="127.0.0.1", port=port)
        with pytest.raises(SettingsError) as caught:
            await server.start()
        assert caught.value.lines == (f"port {port} is taken: choose another with --port or AFTERWORD_PORT",)
        await server.stop()


@pytest.mark.parametrize("host", ["192.0.2.1", "no..host"])
async def test_a_host_that_is_elsewhere_is_explained(host: str) -> None:
    with pytest.raises(
        SettingsError, match=f"^{re.escape(host)} is not an address of this machine: AFTERWORD_HOST may be "
    ):
        await HttpServer(HELLO, host=host, port=0).start()


async def test_signals_and_logs_stay_as_they_are() -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    levels = {name: logging.getLogger(name).level for name in ("uvicorn", "uvicorn.error", "uvicorn.access")}
    server = HttpServer(HELLO, host="127.0.0.1", port=0)
    await server.start()
    assert await asyncio.to_thread(get, server.address) == "hello"
    assert {number: signal.getsignal(number) for number in handlers} == handlers
    assert {name: logging.getLogger(name).level for name in levels} == levels
    assert not logging.getLogger("uvicorn").handlers
    await server.stop()
    assert {number: signal.getsignal(number) for number in handlers} == handlers


async def test_what_was_asked_before_the_stop_is_answered() -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: Request) -> Response:
        asked.set()
        await go_on.wait()
        return PlainTextResponse("late")

    server = HttpServer(Starlette(routes=[Route("/", slow)]), host="127.0.0.1", port=0)
    await server.start()
    answer = asyncio.create_task(asyncio.to_thread(get, server.address))
    await asyncio.wait_for(asked.wait(), 10)
    stopping = asyncio.create_task(server.stop())
    port = int(server.address.rpartition(":")[2])
    await until(lambda: free("127.0.0.1", port), 10, "the server to take no more connections")
    go_on.set()
    assert await answer == "late"
    await stopping


async def test_a_connection_that_stays_open_does_not_hold_up_the_stop() -> None:
    server = HttpServer(HELLO, host="127.0.0.1", port=0)
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.address.rpartition(":")[2]))
    writer.write(b"GET / HTTP/1.1\r\nHost: one\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    await asyncio.wait_for(server.stop(), 10)
    writer.close()
    await writer.wait_closed()


async def test_a_server_that_was_not_started_may_be_stopped() -> None:
    await HttpServer(HELLO, host="127.0.0.1", port=0).stop()
