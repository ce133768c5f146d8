"""ClickHouse for end-to-end tests: a chDB folder over HTTP, in a process that a test may kill.

`python -m tests.e2e.clickhouse_server --path D --port P` serves D on 127.0.0.1:P until SIGTERM.
"""

import argparse
import signal
from pathlib import Path

from runtime.clickhouse_http import ClickHouseHttp


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--path", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    asked = parser.parse_args()
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    server = ClickHouseHttp(asked.path, port=asked.port)
    server.start()
    signal.sigwait(signals)
    server.stop()


if __name__ == "__main__":
    main()
