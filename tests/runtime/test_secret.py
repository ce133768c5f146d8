"""The secret of a data folder."""

import stat
from pathlib import Path

import pytest

from api.access.links import Links
from runtime.folder import Folder, Running
from runtime.secret import known_secret, secret_of
from runtime.settings import Settings
from runtime.sign_in import fresh_link, sign_in_of

ISSUER = {
    "oidc_issuer": "https://login.example.org",
    "oidc_client_id": "afterword",
    "oidc_client_secret": "a secret",
    "public_url": "https://afterword.example.org",
}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_it_is_made_once_and_for_its_owner_only(folder: Folder, tmp_path: Path) -> None:
    assert known_secret(folder) is None
    made = secret_of(folder)
    assert len(made) >= 64
    assert secret_of(folder) == known_secret(folder) == made
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["secret"]


@pytest.mark.parametrize("broken", [b"", b"short", b"\xff" * 64])
def test_what_cannot_be_a_secret_is_replaced(folder: Folder, tmp_path: Path, broken: bytes) -> None:
    (tmp_path / "secret").write_bytes(broken)
    (tmp_path / "secret.new").write_bytes(broken)
    assert known_secret(folder) is None
    assert secret_of(folder) == known_secret(folder)


def test_two_folders_have_two_secrets(tmp_path: Path) -> None:
    secrets = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        secrets.add(secret_of(Folder(tmp_path / name)))
    assert len(secrets) == 2


def test_a_link_is_for_whoever_has_the_folder(folder: Folder) -> None:
    with pytest.raises(ValueError, match="no `afterword up` has"):
        fresh_link(folder)
    with folder:
        links = Links(secret_of(folder))
        folder.announce(Running(1, "clickhouse://x", "kafka://x", "http://127.0.0.1:8080"))
        address = fresh_link(folder)
    assert address.startswith("http://127.0.0.1:8080/sign-in/link/")
    links.take(address.rpartition("/")[2])


def test_people_sign_in_as_the_settings_say() -> None:
    settings = Settings.load(**ISSUER, people="@example.org", erasers="ana@example.org")
    sign_in = sign_in_of(settings, "s" * 32, "https://afterword.example.org", links=False)
    assert sign_in.links is None
    assert sign_in.oidc is not None
    assert sign_in.ways.people.admitted == ("@example.org",)
    assert sign_in.ways.people.erasers == ("ana@example.org",)
    assert "a secret" not in repr(sign_in.ways)
    embedded = sign_in_of(Settings.load(), "s" * 32, "http://127.0.0.1:8080", links=True)
    assert embedded.oidc is None
    assert embedded.ways.local_name
