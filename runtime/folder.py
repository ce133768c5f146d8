"""The data folder of the embedded stack: who has it, and how to reach whoever does.

`clickhouse/` is the database, `broker.log` the broker's own words, `lock` held by the process that has the folder, and
`up.json`, readable by its owner only, says where that process can be asked.
"""

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Self

from sinks.connection import Database


@dataclass(frozen=True, slots=True)
class Running:
    """A running `afterword up`: its process, its database as a URL with the password, its broker, its HTTP address."""

    pid: int
    clickhouse: str
    kafka: str
    http: str


class Taken(Exception):  # noqa: N818
    """Another process has the folder."""


class Folder:
    """A data folder; `with folder:` takes it for this process. Entering raises Taken when another one has it."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: IO[str] | None = None

    @property
    def broker_log(self) -> Path:
        """Where the broker's output goes."""
        return self.path / "broker.log"

    @property
    def clickhouse(self) -> Path:
        """The folder of the database."""
        return self.path / "clickhouse"

    def __enter__(self) -> Self:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / "lock").open("w")
        except OSError as error:
            why = f"cannot use the data folder {self.path}: {error.strerror}; choose another with --data"
            raise Taken(why) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            running = self._noted()
            who = f"process {running.pid}" if running else "another process"
            raise Taken(f"{who} has the data folder {self.path}: stop it, or choose another with --data") from error
        self._lock = lock
        (self.path / "up.json").unlink(missing_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._lock is not None
        (self.path / "up.json").unlink(missing_ok=True)
        self._lock.close()
        self._lock = None

    def announce(self, running: Running) -> None:
        """Tell other processes of the same user how to reach this one."""
        file = os.open(self.path / "up.json.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(file, "w") as out:
            json.dump(asdict(running), out)
        (self.path / "up.json.new").replace(self.path / "up.json")

    def running(self) -> Running | None:
        """Give the process that has the folder, None when nobody has."""
        try:
            with (self.path / "lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            running = self._noted()
            if running is None:
                raise Taken(f"another process has {self.path} and is only starting: try again in a moment") from None
            return running
        except FileNotFoundError:
            pass
        return None

    def _noted(self) -> Running | None:
        try:
            return Running(**json.loads((self.path / "up.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def database(self) -> Database:
        """Give the database: through the process that has the folder, else directly.

        Raises FileNotFoundError when there is none yet.
        """
        running = self.running()
        if running is not None:
            return Database.parse(running.clickhouse)
        if not self.clickhouse.exists():
            raise FileNotFoundError(f"no data in {self.path} yet: `afterword demo` or `afterword up` makes some")
        return Database.parse(f"chdb://{self.clickhouse}")
