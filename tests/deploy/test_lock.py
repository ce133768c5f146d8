"""The lock files hold what pyproject.toml asks for, with hashes, and name nowhere to fetch it from."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ["requirements.lock", "requirements-uv.lock"]


def pins(lock: str) -> dict[str, list[Version]]:
    """The locked versions by name; a name has two when they differ between Pythons."""
    found: dict[str, list[Version]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", lock, re.MULTILINE):
        found.setdefault(canonicalize_name(name), []).append(Version(version))
    return found


def wanted() -> list[Requirement]:
    """All that pyproject.toml asks for: to run, to develop, to build."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    texts = pyproject["project"]["dependencies"] + pyproject["dependency-groups"]["dev"]
    return [Requirement(text) for text in texts + pyproject["build-system"]["requires"]]


@pytest.mark.parametrize("requirement", wanted(), ids=lambda requirement: requirement.name)
def test_what_pyproject_asks_for_is_locked_at_a_version_it_allows(requirement: Requirement) -> None:
    locked = pins((ROOT / "requirements.lock").read_text()).get(canonicalize_name(requirement.name), [])
    assert locked, "run `make lock`"
    assert all(requirement.specifier.contains(version) for version in locked), "run `make lock`"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_its_hashes(lock: str) -> None:
    entries = re.split(r"^(?=[A-Za-z0-9])", (ROOT / lock).read_text(), flags=re.MULTILINE)[1:]
    assert entries
    assert [entry.splitlines()[0] for entry in entries if not re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry)] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_place_to_fetch_from(lock: str) -> None:
    assert re.findall(r".*(?:://|--index|--extra-index|--find-links|\bgit\+).*", (ROOT / lock).read_text()) == []
