"""`afterword sql` on a data folder that nobody else has."""

import json
import subprocess
from pathlib import Path

import pytest

from runtime.sql import READS_ONLY
from tests.runtime.commands import DEADLINE_S, ROOT, afterword, afterword_on_a_terminal, command, environment, fill
from tests.sinks.building import facts


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data folder with two messages."""
    folder = tmp_path_factory.mktemp("sql") / "data"
    fill(folder, facts({"id": "e-1", "text": "größe\x1b[31m?"}, {"id": "e-2", "text": "tab\tbed"}))
    return str(folder)


def test_an_answer_has_its_columns_names_and_is_separated_by_tabs(data: str) -> None:
    ended = afterword("sql", "--data", data, "SELECT id, text FROM events ORDER BY id")
    assert ended.out == "id\ttext\ne-1\tgröße\x1b[31m?\ne-2\ttab\\tbed\n"
    assert (ended.status, ended.err) == (0, "")


def test_a_format_is_an_option_or_stands_in_the_statement_which_may_come_from_standard_input(data: str) -> None:
    asked = afterword("sql", "--data", data, "--format", "JSONEachRow", "SELECT id FROM events ORDER BY id")
    assert [json.loads(line) for line in asked.out.splitlines()] == [{"id": "e-1"}, {"id": "e-2"}]
    written = afterword("sql", "--data", data, "-", stdin=b"SELECT 'a,\xc3\xb6' AS x\nFORMAT CSVWithNames -- all;\n;")
    assert (written.status, written.out) == (0, '"x"\n"a,ö"\n')


def test_a_binary_answer_is_not_touched(data: str) -> None:
    done = subprocess.run(
        command("sql", "--data", data, "--format", "RowBinary", "SELECT unhex('00ff0a1b')"),
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=environment(),
        timeout=DEADLINE_S,
        check=True,
    )
    assert done.stdout == b"\x04\x00\xff\x0a\x1b"


def test_on_a_terminal_the_answer_is_a_table_and_nothing_in_it_moves_the_cursor(data: str) -> None:
    seen = afterword_on_a_terminal("sql", "--data", data, "SELECT id, text FROM events ORDER BY id")
    assert "│ e-1 │ größe␛[31m?" in seen
    assert "\x1b" not in seen


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        pytest.param("SELECT 1 WHERE (", "Code: 62. DB::Exception: Syntax error", id="a syntax error"),
        pytest.param("SELECT 1 FORMAT Nope", "Unknown format Nope", id="an unknown format"),
        pytest.param("SELECT 1; SELECT 2", "Multi-statements are not allowed", id="two statements"),
        pytest.param("SELECT 1 SETTINGS readonly = 0", "Cannot modify 'readonly'", id="asking to write"),
        pytest.param("SELECT throwIf(number = 3, 'too\nfar') FROM numbers(9)", "too far", id="a failure on the way"),
    ],
)
def test_an_error_of_clickhouse_is_one_line(data: str, statement: str, said: str) -> None:
    ended = afterword("sql", "--data", data, statement)
    assert ended.status == 1
    assert ended.err.startswith("ClickHouse: ")
    assert said in ended.err
    assert ended.err.count("\n") == 1


def test_a_statement_that_would_write_is_refused(data: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside.csv"
    for statement in (
        "DROP TABLE events",
        f"INSERT INTO FUNCTION file('{outside}') SELECT 1",
        f"WITH 1 AS a INSERT INTO FUNCTION file('{outside}') SELECT a FORMAT PrettyCompact",
    ):
        ended = afterword("sql", "--data", data, statement)
        assert (ended.status, ended.out, ended.err) == (1, "", READS_ONLY + "\n"), statement
    assert not outside.exists()
    assert afterword("sql", "--data", data, "SELECT count() FROM events SETTINGS max_threads = 1").out == "count()\n2\n"


def test_a_reader_that_has_seen_enough_is_no_error(data: str) -> None:
    child = subprocess.Popen(
        command("sql", "--data", data, "SELECT number FROM numbers(20000000)"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=environment(),
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"number\n"
    child.stdout.close()
    assert child.stderr is not None
    with child.stderr:
        assert child.stderr.read() == b""
    assert child.wait(DEADLINE_S) == 0


def test_a_place_that_cannot_be_asked_is_named_with_what_to_do(data: str, tmp_path: Path) -> None:
    nothing = afterword("sql", "--data", str(tmp_path / "none"), "SELECT 1")
    assert (nothing.status, nothing.err.splitlines()) == (
        1,
        [f"no data in {tmp_path / 'none'} yet: `afterword demo` or `afterword up` makes some"],
    )
    both = afterword("sql", "--data", data, "--clickhouse", "clickhouse://localhost", "SELECT 1")
    assert (both.status, both.err) == (1, "--data and --clickhouse name two places: give one of them\n")
    silent = afterword("sql", "SELECT 1", settings={"AFTERWORD_CLICKHOUSE": "clickhouse://u:geheim@127.0.0.1:1/x"})
    assert silent.status == 1
    assert silent.err.startswith("no answer from ClickHouse at clickhouse://127.0.0.1:1/x: is it running")
    assert "geheim" not in silent.err
    wrong = afterword("sql", "--clickhouse", "mysql://localhost", "SELECT 1")
    assert wrong.status == 1
    assert wrong.err.startswith("--clickhouse: mysql:// is not an address of ClickHouse")
