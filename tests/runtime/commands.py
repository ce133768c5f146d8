"""The command line as a person meets it, in a process of its own, and data folders for it.

A process can open one chDB folder only, and other tests of this one have theirs: so folders are filled by a process
of their own too, `python -m tests.runtime.commands FOLDER`.
"""

import os
import pickle
import pty
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.folder import Folder
from schemas.conversation import RowColumns
from schemas.dead_letters import DeadLetter
from schemas.facts import FactColumns

ROOT = Path(__file__).parents[2]
DEADLINE_S = 120


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it wrote to standard output and to standard error."""

    status: int
    out: str
    err: str


def command(*arguments: str) -> list[str]:
    """The command line of `afterword`."""
    return [sys.executable, "-m", "runtime.cli", *arguments]


def environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a command, with no settings but these."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("AFTERWORD_")}
    return {**plain, **(settings or {})}


def afterword(*arguments: str, settings: Mapping[str, str] | None = None, stdin: bytes = b"") -> Ended:
    """Run `afterword` to its end, away from any terminal."""
    done = subprocess.run(
        command(*arguments),
        input=stdin,
        capture_output=True,
        cwd=ROOT,
        env=environment(settings),
        timeout=DEADLINE_S,
        check=False,
    )
    ended = Ended(done.returncode, done.stdout.decode("utf-8", "surrogateescape"), done.stderr.decode())
    assert "Traceback" not in ended.err, ended.err
    return ended


def afterword_on_a_terminal(*arguments: str, columns: int = 160) -> str:
    """Run `afterword` with a terminal as its standard output, and give what reached that."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        command(*arguments), cwd=ROOT, env={**environment(), "COLUMNS": str(columns), "TERM": "xterm"}, stdout=theirs
    )
    os.close(theirs)
    pieces = []
    try:
        while piece := _read(ours):
            pieces.append(piece)
        assert child.wait(DEADLINE_S) == 0
    finally:
        child.kill()
        child.wait()
        os.close(ours)
    return b"".join(pieces).decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # Linux: nobody writes there any more
        return b""


def fill(
    folder: Path,
    facts: FactColumns | None = None,
    rows: RowColumns | None = None,
    letters: Sequence[DeadLetter] = (),
) -> None:
    """Make the tables in a data folder, and put this into them."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.runtime.commands", str(folder)],
        input=pickle.dumps((facts, rows, letters)),
        capture_output=True,
        cwd=ROOT,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()


def _fill(path: Path) -> None:
    from sinks.clickhouse_writer import ClickHouseWriter
    from sinks.connection import Database
    from sinks.migrate import migrate

    facts, rows, letters = pickle.load(sys.stdin.buffer)
    folder = Folder(path)
    folder.path.mkdir(parents=True, exist_ok=True)
    database = Database.parse(f"chdb://{folder.clickhouse}")
    migrate(database)
    writer = ClickHouseWriter(database)
    if facts is not None:
        writer.insert_facts(facts)
    if rows is not None:
        writer.insert_rows(rows)
    writer.insert_dead_letters(letters)
    writer.close()


if __name__ == "__main__":
    _fill(Path(sys.argv[1]))
