"""Whether there is a Chromium, and what is said where there is none."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import chromium


@pytest.fixture(autouse=True)
def looked_for_anew() -> Iterator[None]:
    caches = (chromium.why_unavailable, chromium.version, chromium._found, chromium._said)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


def installed(folder: Path, name: str, script: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_a_machine_without_one_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert chromium.why_unavailable() == (
        "there is no chromium on the path; as root, where apt-get is, `make test` installs it"
    )
    assert (chromium.executable(), chromium.version()) == ("", "")


def test_a_program_that_only_asks_for_another_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    installed(tmp_path, "chromium-browser", "echo 'requires the chromium snap' >&2; exit 10")
    assert chromium.why_unavailable() == f"{tmp_path}/chromium-browser does not run"
    installed(tmp_path, "google-chrome", "echo 'Google Chrome 156.0.8078.79'")
    looked = chromium._found
    looked.cache_clear()
    chromium.why_unavailable.cache_clear()
    assert chromium.why_unavailable() == ""
    assert chromium.executable() == f"{tmp_path}/google-chrome"
    assert chromium.version() == "156.0.8078.79"
