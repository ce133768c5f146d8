"""ClickHouse over HTTP that misbehaves when told to: chDB behind ClickHouse's interface, in a process of its own.

`python -m tests.faults.clickhouse_server --path D --port P --control C` serves D on 127.0.0.1:P until SIGTERM.
On port C it takes plans, one JSON object a line, and answers each with a line:

    {"fault": "lose", "of": "INSERT INTO events", "passing": 2, "times": 1}

Of the statements that match `of` (a regular expression), the first `passing` go well and the next `times` do not:

| fault | what happens |
| --- | --- |
| fail | it is not run, and answered with an error: no space left |
| lose | it is run, and the connection breaks before the answer |
| reset | it is not run, and the connection breaks |
| hang | it stands still until {"mend": true}, and is run then |
| stale | it is answered from the tables of database `before` |

{"mend": true} forgets all plans and lets go what hangs. Every answer tells the statements met so far, by their first
three words.
"""

import argparse
import io
import json
import re
import signal
import socketserver
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runtime.clickhouse_engine import HEAD, Engine, Result
from runtime.clickhouse_http import ClickHouseHttp
from runtime.clickhouse_requests import Readable, Request, read_up_to

NO_SPACE = "Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)"


@dataclass
class Plan:
    """One fault and when it strikes."""

    fault: str
    of: str
    passing: int = 0
    times: int = 1


class Plans:
    """What is to go wrong; used by the threads of all connections."""

    def __init__(self) -> None:
        self._plans: list[Plan] = []
        self._met: Counter[str] = Counter()
        self._mended = threading.Event()
        self._lock = threading.Lock()

    def told(self, order: dict[str, Any]) -> dict[str, int]:
        """Follow one line of the control channel."""
        with self._lock:
            if order.get("mend"):
                self._plans.clear()
                self._mended.set()
                self._mended = threading.Event()
            elif order:
                self._plans.append(Plan(**order))
            return dict(self._met)

    def due(self, statement: str) -> str:
        """The fault that is due for a statement, '' for none."""
        with self._lock:
            self._met[" ".join(statement.split()[:3])] += 1
            for plan in self._plans:
                if plan.times and re.search(plan.of, statement):
                    if plan.passing:
                        plan.passing -= 1
                        continue
                    plan.times -= 1
                    return plan.fault
            return ""

    def wait(self) -> None:
        """Stand still until mended."""
        with self._lock:
            self._met["hanging"] += 1
            mended = self._mended
        mended.wait()


class Rest:
    """A body of which the beginning has been read already."""

    def __init__(self, beginning: bytes, rest: Readable) -> None:
        self._beginning = beginning
        self._rest = rest

    def read(self, size: int, /) -> bytes:
        """At most so many bytes."""
        if self._beginning:
            piece, self._beginning = self._beginning[:size], self._beginning[size:]
            return piece
        return self._rest.read(size)


class FaultyEngine(Engine):
    """The engine, with faults around each statement."""

    def __init__(self, path: Path, plans: Plans) -> None:
        super().__init__(path)
        self._plans = plans

    @contextmanager
    def run(self, request: Request) -> Iterator[Result]:
        """Run a statement, or do to it what is planned."""
        head = read_up_to(request.body, HEAD)
        statement = " ".join((request.sql or head[:2_000]).decode("utf-8", "replace").split())
        request = replace(request, body=Rest(head, request.body))
        fault = self._plans.due(statement)
        if fault == "fail":
            raise RuntimeError(NO_SPACE)
        if fault == "reset":
            raise ConnectionAbortedError
        if fault == "hang":
            self._plans.wait()
        if fault == "stale":
            whole = request.sql + b"".join(iter(lambda: request.body.read(1 << 20), b""))
            old = re.sub(rb"\bFROM (events|conversations|frontiers)\b", rb"FROM before.\1", whole)
            request = replace(request, sql=old, body=io.BytesIO())
        with super().run(request) as result:
            if fault == "lose":
                for _ in result.pieces:
                    pass
                raise ConnectionAbortedError
            yield result


def _control(plans: Plans, port: int) -> socketserver.ThreadingTCPServer:
    class Orders(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                self.wfile.write(json.dumps(plans.told(json.loads(line))).encode() + b"\n")

    socketserver.ThreadingTCPServer.allow_reuse_address = True
    socketserver.ThreadingTCPServer.daemon_threads = True
    server = socketserver.ThreadingTCPServer(("127.0.0.1", port), Orders)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--path", type=Path, required=True)
    for name in ("--port", "--control"):
        parser.add_argument(name, type=int, required=True)
    asked = parser.parse_args()
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    plans = Plans()
    server = ClickHouseHttp(asked.path, port=asked.port)
    server._engine = FaultyEngine(asked.path, plans)
    server.start()
    control = _control(plans, asked.control)
    signal.sigwait(signals)
    plans.told({"mend": True})
    control.shutdown()
    server.stop()


if __name__ == "__main__":
    main()
