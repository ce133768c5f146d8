"""`afterword keys` and `afterword link`: before `up` and beside it; a key alone on standard output, a digest stored."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from api.access.key_format import PATTERN, digest_of, id_in
from runtime.folder import Folder, Running
from runtime.keys import SCOPES, check_names
from schemas.api_keys import ApiKey
from sinks.clickhouse_keys import ClickHouseKeys
from sinks.connection import Database
from tests.runtime.commands import DEADLINE_S, ROOT, Ended, afterword, afterword_on_a_terminal, command, environment
from tests.waiting import until_sync

Stored = Callable[[], dict[str, ApiKey]]


def made(ended: Ended) -> str:
    """The key that a command printed, which is all that it printed to standard output."""
    assert ended.status == 0, ended.err
    assert re.fullmatch(PATTERN + "\n", ended.out), ended.out
    return ended.out.removesuffix("\n")


def test_a_key_made_before_anything_ran_is_in_a_folder_that_is_ready(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    nothing = afterword("keys", "list", "--data", data)
    assert nothing.status == 1
    assert nothing.err.startswith(f"no data in {data} yet")

    ended = afterword(
        "keys", "create", "--scope", "read", "--scope", "events:write", "--assistant", "shop", "--data", data,
        "--name", "the \x1b[31mdashboard",
    )  # fmt: skip
    key = made(ended)
    assert key not in ended.err
    assert f"key {id_in(key)} (the ␛[31mdashboard): events:write, read, of assistant shop." in ended.err

    listed = afterword("keys", "list", "--json", "--data", data)
    assert (listed.status, listed.err) == (0, "")
    assert listed.out.isascii()
    (told,) = [json.loads(line) for line in listed.out.splitlines()]
    assert (told["id"], told["scopes"], told["assistant"], told["name"], told["revoked_at"]) == (
        id_in(key),
        ["events:write", "read"],
        "shop",
        "the \x1b[31mdashboard",
        None,
    )
    assert key[14:] not in listed.out
    for file in filter(Path.is_file, Path(data).rglob("*")):
        assert key[14:].encode() not in file.read_bytes(), file

    shown = afterword_on_a_terminal("keys", "list", "--data", data)
    assert "the ␛[31mdashboard" in shown
    revoked = afterword("keys", "revoke", str(id_in(key)), "--data", data)
    assert (revoked.status, revoked.out) == (0, f"revoked {id_in(key)}\n")


def test_what_is_no_scope_is_answered_with_those_that_there_are_and_makes_nothing(tmp_path: Path) -> None:
    ended = afterword("keys", "create", "--scope", "write", "--data", str(tmp_path / "data"))
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.splitlines()[0] == "'write' is not a scope; known are"
    for scope, meaning in SCOPES.items():
        assert f"  {scope:<13} {meaning}\n" in ended.err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("name", "assistant", "because"),
    [
        ("", "The Shop", "The Shop is no name of an assistant"),
        ("", "shop\n", "shop\N{SYMBOL FOR LINE FEED} is no name"),
        ("", "", "is no name of an assistant"),
        ("x" * 1_025, None, "--name has 1,025 characters; it may have 1,024"),
    ],
)
def test_what_is_no_name_is_refused(name: str, assistant: str | None, because: str) -> None:
    with pytest.raises(ValueError, match=because):
        check_names(name, assistant)
    check_names("x" * 1_024, "shop")


def test_a_server_without_the_table_says_what_to_run(tmp_path: Path) -> None:
    ended = afterword("keys", "list", settings={"AFTERWORD_CLICKHOUSE": f"chdb://{tmp_path}/empty"})
    assert ended.status == 1
    assert "run `afterword migrate`" in ended.err


def test_no_link_is_made_while_nothing_runs(tmp_path: Path) -> None:
    ended = afterword("link", "--data", str(tmp_path / "data"))
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith(f"no `afterword up` has {tmp_path / 'data'}")


# Beside a running stack.


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The folder of a running stack, and a key that was made before it ran."""
    folder = tmp_path_factory.mktemp("keys") / "data"
    key = made(afterword("keys", "create", "--scope", "read", "--data", str(folder)))
    log = folder.parent / "up.log"
    with log.open("wb") as said:
        child = subprocess.Popen(
            command("up", "--data", str(folder), "--port", "0"), cwd=ROOT, env=environment(), stdout=said, stderr=said
        )
    try:
        until_sync(lambda: _up(folder, child, log), DEADLINE_S, "the stack to be up")
        yield str(folder), key
        child.terminate()
        assert child.wait(DEADLINE_S) == 0, log.read_text()
    finally:
        child.kill()
        child.wait()


def _up(folder: Path, child: "subprocess.Popen[bytes]", log: Path) -> bool:
    assert child.poll() is None, log.read_text()
    return (folder / "up.json").exists()


@pytest.fixture
def running(up: tuple[str, str]) -> Running:
    running = Folder(Path(up[0])).running()
    assert running is not None
    return running


@pytest.fixture
def stored(running: Running) -> Iterator[Stored]:
    keys = ClickHouseKeys(Database.parse(running.clickhouse))
    yield lambda: {key.id: key for key in keys.read()}
    keys.close()


def asked(running: Running, key: str) -> int:
    """What the running stack answers to somebody with this key who wants to read."""
    return httpx2.get(f"{running.http}/v1/facets", headers={"Authorization": f"Bearer {key}"}, timeout=60).status_code


@pytest.mark.embedded
def test_keys_made_before_and_while_it_runs_are_all_there(
    up: tuple[str, str], running: Running, stored: Stored
) -> None:
    data, before = up
    beside = made(afterword("keys", "create", "--scope", "erase", "--data", data))
    as_server = {"AFTERWORD_CLICKHOUSE": running.clickhouse}
    over_http = made(afterword("keys", "create", "--scope", "labels:write", settings=as_server))
    known = stored()
    assert [known[str(id_in(key))].digest for key in (before, beside, over_http)] == [
        digest_of(key) for key in (before, beside, over_http)
    ]
    assert [asked(running, key) for key in (before, beside, over_http)] == [200, 403, 403]
    assert afterword("keys", "revoke", str(id_in(beside)), "--data", data).status == 0
    assert until_sync(lambda: asked(running, beside) == 401, 10, "the revoked key to be refused")
    listed = afterword("keys", "list", "--json", settings=as_server)
    assert [(one["id"], one["revoked_at"] is None) for one in map(json.loads, listed.out.splitlines())] == [
        (id_in(before), True),
        (id_in(beside), False),
        (id_in(over_http), True),
    ]


@pytest.mark.embedded
def test_a_link_signs_somebody_in_to_the_stack_that_runs_once(up: tuple[str, str], running: Running) -> None:
    ended = afterword("link", "--data", up[0])
    assert (ended.status, ended.err) == (0, "")
    address = ended.out.removesuffix("\n")
    assert address.startswith(f"{running.http}/sign-in/link/")
    with httpx2.Client(timeout=60) as first, httpx2.Client(timeout=60) as second:
        assert first.get(f"{running.http}/learning/all").headers["Location"] == "/sign-in?next=%2Flearning%2Fall"
        assert first.get(address).status_code == 303
        assert first.get(f"{running.http}/learning/all").status_code == 200
        assert second.get(address).status_code == 403
