"""Addresses of databases, and what happens when one does not open."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.failures import Unavailable
from sinks.connection import Database


def test_a_chdb_address_names_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Database.parse("chdb:///var/lib/afterword").folder == Path("/var/lib/afterword")
    assert Database.parse("chdb://afterword/store").folder == tmp_path / "afterword" / "store"
    assert Database.parse("chdb://100% mine#1").folder == tmp_path / "100% mine#1"


def test_a_server_address_names_host_user_and_database() -> None:
    database = Database.parse("clickhouse://sink:p%40ss%2Fword@ch.example:9000/after%20word")
    assert database.arguments() | {} == {
        "interface": "http",
        "host": "ch.example",
        "port": 9000,
        "username": "sink",
        "password": "p@ss/word",
        "database": "after word",
        "compress": "lz4",
        "connect_timeout": 5,
        "send_receive_timeout": 300,
        "autogenerate_session_id": False,
    }


@pytest.mark.parametrize(
    ("url", "interface", "port"),
    [("clickhouse://ch", "http", 8123), ("clickhouses://ch", "https", 8443), ("clickhouses://ch:1/", "https", 1)],
)
def test_what_an_address_leaves_out_is_ClickHouses_default(url: str, interface: str, port: int) -> None:  # noqa: N802
    arguments = Database.parse(url).arguments()
    assert (arguments["interface"], arguments["port"]) == (interface, port)
    assert (arguments["username"], arguments["password"], arguments["database"]) == ("default", "", "default")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8123",
        "http://localhost:8123",
        "chdb://",
        "chdb:///",
        "chdb:///a?mode=ro",
        "clickhouse://",
        "clickhouse://user:secret@",
        "clickhouse://user:secret@host:port",
        "clickhouse://user:secret@host:99999",
        "clickhouse://user:secret@host/a/b",
        "clickhouse://user:secret@host/a?x=1",
    ],
)
def test_a_wrong_address_is_refused_with_the_right_form_and_without_the_password(url: str) -> None:
    with pytest.raises(ValueError, match="chdb:///a/folder") as refused:
        Database.parse(url)
    assert "secret" not in str(refused.value)


@given(st.text())
def test_any_text_is_an_address_or_a_value_error(url: str) -> None:
    try:
        Database.parse(url)
    except ValueError as refused:
        assert "chdb:///a/folder" in str(refused)  # noqa: PT017


def test_the_password_shows_nowhere() -> None:
    database = Database.parse("clickhouse://sink:secret@ch/db")
    assert "secret" not in repr(database) + database.where


def test_a_server_that_does_not_answer_is_unavailable_by_name() -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1/default: is it running"):
        Database.parse("clickhouse://127.0.0.1:1").client()


def test_a_wrong_password_is_unavailable(http: Database) -> None:
    with pytest.raises(Unavailable, match="refuses user or password"):
        Database.parse(f"clickhouse://default:wrong@127.0.0.1:{http.port}").client()


def test_a_second_folder_in_one_process_is_unavailable(chdb: Database, tmp_path: Path) -> None:
    assert chdb.folder is not None
    with pytest.raises(Unavailable, match="cannot open the folder"):
        Database.parse(f"chdb://{tmp_path}/other").client()


OPEN_TWICE = """
import subprocess, sys
from schemas.failures import Unavailable
from sinks.connection import Database
database = Database.parse(sys.argv[1])
try:
    client = database.client()
except Unavailable as unavailable:
    print(unavailable)
    raise SystemExit
if sys.argv[2:]:
    print(subprocess.run([sys.executable, "-c", *sys.argv[2:], sys.argv[1]], capture_output=True, text=True).stdout)
client.close()
"""


def test_a_folder_that_another_process_has_is_unavailable_and_says_who(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPEN_TWICE, f"chdb://{tmp_path}/store", OPEN_TWICE]
    said = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True, cwd=Path(__file__).parents[2]
    )
    assert "is open in another process (PID: " in said.stdout, said.stderr
    assert "one process per folder" in said.stdout
