"""What the tests of workers share."""

from collections.abc import Iterator

import pytest

from tests.processors.world import World


@pytest.fixture
def world() -> Iterator[World]:
    """Two partitions, an empty store, no process yet."""
    with World() as world:
        yield world


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers try again at once instead of after a while."""
    monkeypatch.setattr("processors.persistence._FIRST_BACKOFF", 0.001)
    monkeypatch.setattr("processors.persistence._LONGEST_BACKOFF", 0.002)
    monkeypatch.setattr("processors.flush._STALE_PAUSE", 0.001)
