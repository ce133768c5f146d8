"""The simulated shop for the end-to-end tests, over long enough that every conversation in it is closed."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from runtime.simulator import Simulation
from tests.e2e.rows import Rows, of_the_oracle


def shop(conversations: int, labels: float = 0.0, seed: int = 7) -> list[bytes]:
    """All events up to six hours ago, in the order of time; the idle gap is four."""
    now = datetime.now(UTC) - timedelta(hours=6)
    simulation = Simulation(now=now, seed=seed, conversations=conversations, labels=labels)
    return [payload for _, payload in simulation.events()]


def wanted(lines: Sequence[bytes]) -> Rows:
    """The rows that the oracle gives them now."""
    return of_the_oracle(lines, int(time.time() * 1000))
