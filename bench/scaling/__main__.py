"""`python -m bench.scaling`: plans in closed form for some loads, each beside a simulated life of it.

A load greater than `--cell` is planned twice: as so many cells (each with topics, workers and a ClickHouse of its own),
of which one is simulated, and as one group of workers, which is simulated up to `--largest` events a second.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from math import ceil, inf
from pathlib import Path
from typing import Any, Final

from bench.scaling.figures import MEASURED, Load
from bench.scaling.plan import Plan
from bench.scaling.simulation import Outcome, Simulation, seen_hit_ratio

EXPLAINED: Final = 0.15
"""docs/scaling.md says why closed form and simulation differ where they do by more than this."""
_GIB: Final = 1 << 30


def needs(plan: Plan, cells: int = 1) -> dict[str, str]:
    """Say what a plan needs, with units; sums over all cells unless it says otherwise."""
    if not plan.fits:
        return {
            "workers x partitions, of one cell": f"{plan.workers:,} x {plan.partitions:,}",
            "ClickHouse shards, of one cell": "no number suffices",
        }
    p50, p99 = plan.latency
    copies = {"worker": plan.worker_cores, "inserts": plan.insert_cores(), "merges": plan.merge_cores()}
    return {
        "cells": f"{cells:,}",
        "workers x partitions, of one cell": f"{plan.workers:,} x {plan.partitions:,}",
        "ClickHouse shards, of one cell": f"{plan.shards:,} of {plan.load.shard_cores} cores",
        "rows an event": f"{plan.rows_per_event:.3f}",
        "event to row, p50 / p99": f"{p50:.1f} / {p99:.1f} s",
        "workers' cores busy": f"{cells * copies['worker']:,.1f}",
        "ClickHouse's: inserts, look-ups": f"{cells * copies['inserts']:,.1f}",
        "ClickHouse's: merges over a month": f"{cells * copies['merges']:,.1f}",
        "ClickHouse's: closing": f"{cells * plan.closing_cores():,.1f}",
        "Kafka's, unreplicated": f"{cells * plan.broker_cores:,.1f}",
        "memory of a worker, at most": f"{plan.worker_memory_gib:.1f} GiB",
        "of it AFTERWORD_CACHE_BYTES": f"{plan.cache_gib:.2f} GiB",
        "new parts a second, of a shard": f"{plan.parts_per_second:.1f}",
        "into Kafka": f"{cells * plan.kafka_bytes / 1e6:,.1f} MB/s",
        "workers to ClickHouse": f"{cells * plan.store_bytes / 1e6:,.1f} MB/s",
        "ClickHouse's disk, one copy": f"{cells * plan.disk_day / 1e9:,.1f} GB a day",
        "Kafka's disk, one copy": f"{cells * plan.kafka_disk_day / 1e9:,.1f} GB a day",
        "CPU s per 1,000 conversations": " + ".join(
            f"{one:.2f} {what}" for what, one in plan.cpu_per_thousand().items()
        ),
    }


def compared(plan: Plan, seen: Outcome, seconds: float) -> Iterator[tuple[str, float, float]]:
    """Give what both know: (what, closed form, simulation)."""
    p50, p99 = plan.latency
    yield "cycle, s", plan.cycle, seen.cycle
    yield "event to row p50, s", p50, seen.latency_p50
    yield "event to row p99, s", p99, seen.latency_p99
    yield "rows an event", plan.rows_per_event, seen.rows_per_event
    yield "workers, cores", plan.worker_cores, seen.worker_cores
    yield "inserts and look-ups, cores", plan.insert_cores(), seen.insert_cores
    yield "merges in this time, cores", plan.merge_cores(seconds), seen.merge_cores
    yield "closing, cores", plan.closing_cores(), seen.closing_cores
    yield "parts a second on a shard", plan.parts_per_second, seen.parts_per_second
    if plan.load.cache_bytes is not None:
        hits = seen_hit_ratio(plan)
        yield "found in memory", plan.hit_ratio, hits
        later = plan.load.events_per_second - plan.load.per_second
        yield "reloads a second", plan.reloads_per_second, later * (1 - hits)


def report(load: Load, cells: int, *, seconds: float, seed: int, simulated: bool) -> dict[str, Any]:
    """Plan one cell of a load, print what all of them need, and how a life of one went."""
    plan = Plan.of(load, MEASURED)
    whole = load.events_per_second * cells
    print(f"\n## {whole:,.0f} events/s {f'in {cells:,} cells' if cells > 1 else 'in one group'}\n")
    said = needs(plan, cells)
    _print_table(("", ""), said)
    answer: dict[str, Any] = {"events_per_second": whole, "cells": cells, "needs": said, "load": asdict(load)}
    if not (simulated and plan.fits):
        return answer
    seen = Simulation(plan, seconds=seconds, seed=seed).run()
    sides = list(compared(plan, seen, seconds))
    print(
        f"\nOne of them, {seconds:.0f} s, seed {seed}; heaviest worker {seen.heaviest:.3f} of the average, "
        f"lag {seen.lag:,}:\n"
    )
    print("| | closed form | simulation | |\n| --- | --- | --- | --- |")
    for what, formed, simulation in sides:
        apart = simulation / formed - 1 if formed else 0.0
        print(f"| {what} | {formed:.3g} | {simulation:.3g} | {apart:+.0%}{' *' if abs(apart) > EXPLAINED else ''} |")
    return answer | {"compared": {what: one for what, *one in sides}, "seen": asdict(seen)}


def waits(load: Load) -> None:
    """Print how long an event waits for its row, by the events a second of one worker."""
    print("| events/s of a worker | of its core | cycle | event to row, p50 / p99 |\n| --- | --- | --- | --- |")
    for rate in (500, 2_500, 5_000, 7_500, 10_000, 15_000, 20_000, 25_000):
        plan = Plan.of(replace(load, events_per_second=rate), MEASURED, workers=1, shards=1)
        p50, p99 = plan.latency
        said = f"{plan.cycle:.1f} s | {p50:.1f} / {p99:.1f} s" if plan.cycle < inf else "falls behind |"
        print(f"| {rate:,} | {plan.worker_cores:.0%} | {said} |")


def _print_table(head: tuple[str, str], rows: Mapping[str, str]) -> None:
    print("| " + " | ".join(head) + " |\n| --- | --- |")
    for what, value in rows.items():
        print(f"| {what} | {value} |")


def main() -> None:
    """Read the options and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.scaling", description=__doc__)
    parser.add_argument("--events-per-second", type=float, nargs="+", default=[1_000, 100_000, 10_000_000])
    parser.add_argument("--cell", type=float, default=25_000, help="events a second of a cell, at most")
    parser.add_argument("--largest", type=float, default=200_000, help="greater groups are not simulated")
    parser.add_argument("--minutes", type=float, default=20.0, help="from first to last event of a conversation")
    parser.add_argument("--idle-hours", type=float, default=4.0, help="the idle gap of the rules")
    parser.add_argument("--silent", type=float, default=0.45, help="share of conversations that nobody ends")
    parser.add_argument("--interval", type=float, default=0.5, help="AFTERWORD_FLUSH_INTERVAL_S")
    parser.add_argument("--cache-gib", type=float, help="AFTERWORD_CACHE_BYTES; absent: what live conversations need")
    parser.add_argument("--shard-cores", type=int, default=8)
    parser.add_argument("--one-closes", action="store_true", help="as if one worker of a shard closed for all")
    parser.add_argument("--seconds", type=float, default=300.0, help="of the simulated life")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write all of it there too")
    parser.add_argument("--waits", action="store_true", help="only: waits by the events a second of one worker")
    asked = parser.parse_args()
    load = Load(
        events_per_second=1.0,
        minutes=asked.minutes,
        idle_hours=asked.idle_hours,
        silent=asked.silent,
        interval=asked.interval,
        cache_bytes=None if asked.cache_gib is None else int(asked.cache_gib * _GIB),
        shard_cores=asked.shard_cores,
        one_closes=asked.one_closes,
    )
    if asked.waits:
        waits(load)
        return
    answers = []
    for rate in asked.events_per_second:
        for cells in sorted({1, ceil(rate / asked.cell)}):
            part, simulated = replace(load, events_per_second=rate / cells), rate / cells <= asked.largest
            answers.append(report(part, cells, seconds=asked.seconds, seed=asked.seed, simulated=simulated))
    if asked.json:
        asked.json.write_text(json.dumps({"figures": asdict(MEASURED), "answers": answers}, indent=2) + "\n")


if __name__ == "__main__":
    main()
