"""Processes that a test starts: their output in a file, their end by their id, and never left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.waiting import until

ROOT = Path(__file__).parents[2]
LAST_WORDS = 8_000


class Child:
    """One process of this Python, from its making to its end."""

    def __init__(
        self, name: str, log: Path, module: str, *arguments: str, settings: Mapping[str, str] | None = None
    ) -> None:
        """Start `python -m module arguments`; `settings` are its AFTERWORD_ variables, and it has no others.

        `log` gets all that it says; standard output stands by itself in `log` with .out added.
        """
        self.name = name
        self.log = log
        self.output = log.with_suffix(".out")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("AFTERWORD_")}
        with log.open("ab") as said, self.output.open("ab") as output:
            # A session of its own: a Ctrl-C for the tests does not reach it, the fixtures stop it.
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=ROOT,
                env={**environment, "COLUMNS": "200", **(settings or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=said,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Its exit status, None while it runs; a signal that ended it is negative."""
        return self._process.poll()

    def words(self) -> str:
        """The end of what it said."""
        said = self.log.read_text(errors="replace")[-LAST_WORDS:]
        return f"{self.name} ({self.pid}), status {self.status}, {self.log}:\n{said}\n"

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def printed(self) -> str:
        """What it wrote to standard output."""
        return self.output.read_text()

    async def ended(self, deadline_s: float) -> int:
        """Wait for its end; gives its exit status."""
        await until(lambda: self.status is not None, deadline_s, f"{self.name} to end")
        assert self.status is not None
        return self.status

    async def kill(self) -> None:
        """End it as kill -9 does."""
        self._process.kill()
        await self.ended(10)

    async def stop(self, deadline_s: float = 20) -> None:
        """End it in order, or by force when that takes too long. Nothing when it has ended."""
        if self.status is not None:
            return
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        try:
            await until(lambda: self.status is not None, deadline_s, f"{self.name} to end")
        except AssertionError:
            await self.kill()
