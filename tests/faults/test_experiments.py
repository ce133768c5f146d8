"""The experiments of the laboratory in their short version, on Apache Kafka."""

from pathlib import Path

import pytest

from tests.faults import experiments
from tests.faults.trial import EXPERIMENTS, Trial
from tests.kafka.broker import KafkaBroker

assert experiments

SHORT = [name for name, one in EXPERIMENTS.items() if one.in_short]


@pytest.mark.parametrize("name", SHORT)
async def test_nothing_is_lost_and_nothing_twice(name: str, kafka: KafkaBroker, tmp_path: Path) -> None:
    trial = Trial(kafka, tmp_path)
    try:
        await EXPERIMENTS[name].run(trial)
    finally:
        print(*trial.figures, sep="\n")  # noqa: T201  (shown when it has failed)
        if kafka.process is None:
            await kafka.start()


def test_every_fault_of_the_list_has_an_experiment() -> None:
    assert {one.number for one in EXPERIMENTS.values()} == set(range(1, 21))
