"""Commands beside a running `afterword up`: they ask that process, because chDB allows one process a folder."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.folder import Folder, Running
from runtime.sql import READS_ONLY
from schemas.failures import Reason
from sinks.connection import Database
from tests.builders import AT, DAY, SECOND, event, line
from tests.runtime.commands import DEADLINE_S, ROOT, afterword, command, environment, fill
from tests.sinks.building import letter
from tests.waiting import until_sync

pytestmark = pytest.mark.embedded

Rows = Callable[[str], list[tuple[object, ...]]]

GOOD = line(event("message.sent", conversation_id="c-late", text="Where is my parcel?"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The folder of a running stack, with two letters in it: one that will pass now, one that never will."""
    folder = tmp_path_factory.mktemp("up") / "data"
    fill(
        folder,
        letters=[
            letter(value=GOOD, conversation_id="c-late", reason=Reason.FUTURE_TIME, failed_at=AT + SECOND),
            letter(value=b"{", conversation_id="", failed_at=AT + 2 * SECOND),
        ],
    )
    log = folder.parent / "up.log"
    with log.open("wb") as said:
        child = subprocess.Popen(
            command("up", "--data", str(folder), "--port", "0"), cwd=ROOT, env=environment(), stdout=said, stderr=said
        )
    try:
        until_sync(lambda: _up(folder, child, log), DEADLINE_S, "the stack to be up")
        yield str(folder)
        child.terminate()
        assert child.wait(DEADLINE_S) == 0, log.read_text()
    finally:
        child.kill()
        child.wait()


def _up(folder: Path, child: "subprocess.Popen[bytes]", log: Path) -> bool:
    assert child.poll() is None, log.read_text()
    return (folder / "up.json").exists()


@pytest.fixture
def running(data: str) -> Running:
    running = Folder(Path(data)).running()
    assert running is not None
    return running


@pytest.fixture
def rows(running: Running) -> Iterator[Rows]:
    """Ask that process without the command line, which takes seconds."""
    client = Database.parse(running.clickhouse).client()
    yield lambda statement: [tuple(one) for one in client.query(statement).result_rows]
    client.close()


def test_a_statement_is_answered_by_the_process_that_has_the_folder(data: str, running: Running) -> None:
    told = afterword("sql", "--data", data, "SELECT value FROM dead_letters ORDER BY failed_at LIMIT 1")
    assert told.out == "value\n" + GOOD.decode().replace("\\", "\\\\") + "\n"
    assert told.err == ""
    there = {"AFTERWORD_CLICKHOUSE": running.clickhouse}
    assert afterword("sql", "SELECT 'ö' AS x FORMAT CSV", settings=there).out == '"ö"\n'
    wrong = afterword("sql", "SELECT 1 WHERE (", settings=there)
    assert wrong.status == 1
    assert wrong.err.startswith("ClickHouse: Code: 62. DB::Exception: Syntax error")
    assert wrong.err.count("\n") == 1
    assert "http://" not in wrong.err


def test_nothing_is_written_through_the_process_that_has_the_folder(data: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside.csv"
    ended = afterword("sql", "--data", data, f"WITH 1 AS a INSERT INTO FUNCTION file('{outside}') SELECT a")
    assert (ended.status, ended.out, ended.err) == (1, "", READS_ONLY + "\n")
    assert not outside.exists()


def test_a_failure_behind_the_first_rows_is_told_and_not_mixed_into_them(data: str) -> None:
    statement = (
        "SELECT number, throwIf(number = 900000, 'too far') FROM numbers(1000000) SETTINGS max_block_size = 1000"
    )
    ended = afterword("sql", "--data", data, "--format", "TSV", statement)
    assert ended.status == 1
    assert ended.err.startswith("ClickHouse: Code: 395. DB::Exception: too far")
    assert ended.err.count("\n") == 1
    assert "__exception__" not in ended.out + ended.err
    assert all(row.endswith("\t0") for row in ended.out.splitlines())


def test_a_check_finds_everything_right(data: str, running: Running) -> None:
    ended = afterword("check", "--data", data, "--rows")
    assert (ended.status, ended.err) == (0, ""), ended.out
    marks = [one.split()[:2] for one in ended.out.splitlines()]
    assert ["✗", "wrong"] not in marks
    assert f"✓ ok     embedded stack: up as process {running.pid}, at {running.http}\n" in ended.out
    assert "✓ ok     topics: assistant.events and manager.labels are there, with 4 partitions each\n" in ended.out
    assert "✓ ok     rows: " in ended.out


def test_letters_sent_again_count_where_they_pass_and_are_open_again_where_they_fail(data: str, rows: Rows) -> None:
    ended = afterword("dead-letters", "requeue", "--data", data, "--yes")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == "2 dead letters sent again; those that fail again are listed again\n"
    late = "SELECT conversation_id, user_messages FROM conversations FINAL WHERE conversation_id = 'c-late'"
    assert until_sync(lambda: rows(late), 60, "the row of the letter that passes") == [("c-late", 1)]
    again = f"SELECT value, reason FROM dead_letters FINAL WHERE failed_at > fromUnixTimestamp64Milli({AT + DAY})"
    assert until_sync(lambda: rows(again), 60, "the letter that fails again") == [("{", "malformed")]
    listed = afterword("dead-letters", "list", "--data", data, "--all", "--json")
    assert {one["value"]: one["requeued_at"] is None for one in map(json.loads, listed.out.splitlines())} == {
        GOOD.decode(): False,
        "{": True,
    }
