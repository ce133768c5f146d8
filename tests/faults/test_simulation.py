"""The deterministic simulation: some seeds of it, and that a seed gives the same life again."""

import subprocess
import sys

import pytest

from tests.e2e.children import ROOT
from tests.faults.simulation.life import Outcome, lead, told

SEEDS = 50


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    return [lead(seed) for seed in range(SEEDS)]


def test_any_life_of_any_workers_ends_in_the_rows_of_the_oracle(outcomes: list[Outcome]) -> None:
    assert sum(one.crashes for one in outcomes) > SEEDS
    assert sum(one.stops for one in outcomes) > SEEDS / 2
    assert sum(one.facts for one in outcomes) > 10 * SEEDS


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_a_seed_gives_the_same_life_again(outcomes: list[Outcome], hash_seed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.simulation", "5", "2"],
        cwd=ROOT,
        env={"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.strip() == told(outcomes[5:7])
