"""The arithmetic behind docs/scaling.md: closed form against counting, the worker's own cache, and a simulated life."""

from datetime import UTC, datetime
from itertools import islice

import pytest

from bench.scaling.figures import MEASURED, Load
from bench.scaling.plan import REST, Plan, distinct
from bench.scaling.simulation import Simulation, seen_hit_ratio
from processors import worker
from runtime.simulator import Bulk

SMALL = Load(events_per_second=2_000.0)


def test_closed_form_and_simulation_agree_on_a_small_load() -> None:
    plan = Plan.of(SMALL, MEASURED)
    seen = Simulation(plan, seconds=200.0).run()
    assert seen.cycle == pytest.approx(plan.cycle, rel=0.05)
    assert seen.latency_p50 == pytest.approx(plan.latency[0], rel=0.1)
    assert seen.latency_p99 == pytest.approx(plan.latency[1], rel=0.15)
    assert seen.rows_per_event == pytest.approx(plan.rows_per_event, rel=0.02)
    assert seen.worker_cores == pytest.approx(plan.worker_cores, rel=0.1)
    assert seen.insert_cores == pytest.approx(plan.insert_cores(), rel=0.1)
    assert seen.closing_cores == pytest.approx(plan.closing_cores(), rel=0.15)
    assert seen.parts_per_second == pytest.approx(plan.parts_per_second, rel=0.05)
    assert seen.lag == 0


def test_a_light_worker_keeps_to_the_interval_and_a_heavy_one_rests_behind_its_flush() -> None:
    light, heavy = (
        Plan.of(Load(events_per_second=rate, closing=1e9), MEASURED, workers=1, shards=1)
        for rate in (2_000.0, 20_000.0)
    )
    assert light.flush < 0.25
    assert light.cycle == pytest.approx(0.5)
    assert heavy.flush > 0.25
    assert heavy.cycle == pytest.approx(heavy.flush + REST)
    assert REST == worker._REST
    for plan in (light, heavy):
        assert Simulation(plan, seconds=200.0).run().cycle == pytest.approx(plan.cycle, rel=0.05)


def test_a_seed_decides_a_life() -> None:
    plan = Plan.of(SMALL, MEASURED)
    first, again, other = (Simulation(plan, seconds=10.0, seed=seed).run() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_events_touch_as_many_conversations_as_the_formula_says() -> None:
    live, epoch = 2_000, 7_500
    bulk = Bulk(now=datetime.now(UTC), conversations=8_000, live_at_once=live)
    names = [name for name, _ in islice(bulk, 6 * epoch)]
    counted = [len(set(names[start : start + epoch])) for start in range(3 * epoch, 6 * epoch, epoch)]
    formed = distinct(epoch, live, len(bulk) / 8_000)
    assert formed == pytest.approx(sum(counted) / 3, rel=0.05)


@pytest.mark.parametrize(
    "share", [0.25, 1.0, 1.5], ids=["a quarter of the live ones fits", "all do", "half as many more"]
)
def test_the_formula_knows_what_the_workers_cache_finds(share: float) -> None:
    whole = Plan.of(SMALL, MEASURED)
    room = int(whole.worker_live * whole.packed_bytes * share)
    plan = Plan.of(Load(events_per_second=2_000.0, cache_bytes=room), MEASURED)
    assert seen_hit_ratio(plan, live=2_000) == pytest.approx(plan.hit_ratio, abs=0.03)


def test_a_worker_that_gets_too_much_falls_behind_in_both() -> None:
    plan = Plan.of(Load(events_per_second=40_000.0, epoch_facts=30_000), MEASURED, workers=1, shards=1)
    assert not plan.fits
    assert Simulation(plan, seconds=20.0).run().lag > 0


def test_no_number_of_shards_serves_one_group_of_a_thousand_workers() -> None:
    assert not Plan.of(Load(events_per_second=10_000_000.0), MEASURED).fits
    assert Plan.of(Load(events_per_second=25_000.0), MEASURED).fits


def test_a_plan_is_written_whole() -> None:
    plan = Plan.of(SMALL, MEASURED)
    assert plan.partitions % plan.workers == 0
    assert set(plan.cpu_per_thousand()) == {"worker", "inserts", "merges", "closing", "kafka"}
    cores = sum(plan.cpu_per_thousand().values()) * plan.load.per_second / 1_000
    assert cores == pytest.approx(plan.worker_cores + plan.server_cores() + plan.broker_cores)
