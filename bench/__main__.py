"""`python -m bench`: Kafka, the input, then one contender after another in a process of its own, then the report."""

import argparse
import asyncio
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from bench import guests, machine, plot, producer, report, table
from bench.arguments import positive
from bench.contender import Measurement, Task
from bench.contenders import CONTENDERS, CannotRun, Contender, chosen
from bench.producer import Produced
from bench.report import Report, Run
from tests.kafka import jars
from tests.kafka.broker import KafkaBroker

HERE: Final = Path(__file__).resolve().parent.parent
PLACE: Final = HERE / ".cache" / "bench"
"""On the disk of the checkout: what is called temporary may lie in memory. Git ignores it, `make clean` removes it."""
LONGEST_S: Final = 1_800.0
"""A contender that is not done by then never will be."""


class Failed(Exception):  # noqa: N818  (it says what happened)
    """A contender ended without a measurement; it said why itself."""


def main() -> int:
    """Run what the command line asks for; gives the exit status."""
    options = _options()
    lacks = jars.why_unavailable()
    if lacks:
        print(f"the bench needs Apache Kafka: {lacks}", file=sys.stderr)
        return 1
    PLACE.mkdir(parents=True, exist_ok=True)
    try:
        with TemporaryDirectory(dir=PLACE, ignore_cleanup_errors=True) as folder:
            found = asyncio.run(_measured(options, Path(folder)))
    except (CannotRun, Failed) as failure:
        print(failure, file=sys.stderr)
        return 1
    _print(found)
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    if options.markdown:
        options.markdown.write_text(table.markdown(found), encoding="utf-8")
    if options.svg:
        options.svg.write_text(plot.svg(found), encoding="utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("bench", description=__doc__)
    parser.add_argument("--events", type=positive, default=1_000_000, help="at least so many (default: 1,000,000)")
    parser.add_argument(
        "--live", type=positive, metavar="N", help=f"conversations live at once (default: {producer.LIVE_AT_ONCE:,})"
    )
    parser.add_argument("--rounds", type=positive, default=3, help="interleaved; the medians are reported (default: 3)")
    parser.add_argument("--all", action="store_true", help="the engines of the JVM too, which Maven builds first")
    parser.add_argument("--only", action="append", choices=CONTENDERS, help="may be given several times")
    parser.add_argument("--profile", choices=CONTENDERS, help=f"write its cProfile to {PLACE.relative_to(HERE)}/")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table of docs/performance.md there")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw events/s and CPU there")
    options = parser.parse_args()
    if options.live and options.events < producer.fewest_events(options.live):
        parser.error(f"--live {options.live:,} needs --events {producer.fewest_events(options.live):,} or more")
    return options


async def _measured(options: argparse.Namespace, folder: Path) -> Report:
    names, left_out = chosen(options.only, everything=options.all, events=options.events)
    load_at_start, described = machine.load(), await asyncio.to_thread(machine.described)
    for what, said in described.items():
        _say(f"{what:<10} {said}")
    for reason in left_out:
        _say(reason)
    async with KafkaBroker(folder / "kafka") as broker:
        produced = await _produced(broker, options.events, options.live)
        runs: dict[str, list[Run]] = {name: [] for name in names}
        for number in range(options.rounds):
            for name, its in runs.items():
                its.append(await _run(name, f"{name}-{number}", broker, produced, folder, name == options.profile))
                _say_run(its[-1], number, options.rounds)
    contenders = report.compared(
        {
            name: report.contended(CONTENDERS[name].title, its, profiled=name == options.profile)
            for name, its in runs.items()
        }
    )
    return Report(
        machine=described,
        load_at_start=load_at_start,
        load_at_end=machine.load(),
        warnings=[*left_out, *report.warnings(contenders, load_at_start, machine.cores())],
        input=produced,
        contenders=contenders,
    )


async def _produced(broker: KafkaBroker, events: int, live: int | None) -> Produced:
    said = time.monotonic()

    def progress(count: int) -> None:
        nonlocal said
        if time.monotonic() - said > 10:
            said = time.monotonic()
            _say(f"    {count:,} of {events:,} events produced")

    _say("producing the input")
    produced = await producer.produce(broker, events, progress, live)
    whole = produced.whole
    _say(
        f"    {whole.events:,} events of {whole.conversations:,} conversations, {produced.live_at_once:,} live at "
        f"once, {produced.bytes / 1e6:,.0f} MB, {whole.events / produced.seconds:,.0f} events/s"
    )
    return produced


async def _run(name: str, run: str, broker: KafkaBroker, produced: Produced, folder: Path, profiled: bool) -> Run:
    contender = CONTENDERS[name]
    _say(contender.title)
    assert broker.process is not None
    with TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as own:
        task = Task(
            name=name,
            address=broker.address,
            partitions=producer.PARTITIONS,
            group=f"bench-{run}",
            folder=own,
            known=contender.takes.of(produced),
            profile=str(PLACE / f"{name}.profile.txt") if profiled else "",
        )
        began, all_before, ours_before = time.monotonic(), machine.cpu_of_all(), machine.cpu_of_own()
        broker_before = machine.cpu_of(broker.process.pid)
        measured = await _contend(contender, task)
        seconds, ours = time.monotonic() - began, machine.cpu_of_own() - ours_before
        broker_after, all_after = machine.cpu_of(broker.process.pid), machine.cpu_of_all()
    if broker_before is None or broker_after is None or all_before is None or all_after is None:
        return Run(measured=measured, broker_cpu=None, others_share=None)
    broker_cpu = broker_after - broker_before
    others = max(0.0, all_after - all_before - ours - broker_cpu)
    return Run(measured=measured, broker_cpu=broker_cpu, others_share=others / seconds / machine.cores())


async def _contend(contender: Contender, task: Task) -> Measurement:
    """Run a contender to its end. Raises Failed; what it says on standard error passes through."""
    python = str(guests.PYTHON) if contender.package else sys.executable
    command = [python, "-m", f"bench.{contender.module}", msgspec.json.encode(task).decode()]
    child = await asyncio.create_subprocess_exec(*command, cwd=HERE, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(LONGEST_S):
            output, _ = await child.communicate()
    except TimeoutError as error:
        raise Failed(f"{contender.title}: not done after {LONGEST_S:.0f} s") from error
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode:
        raise Failed(f"{contender.title}: failed with {child.returncode}, see above")
    return msgspec.json.decode(output.splitlines()[-1], type=Measurement)


def _say_run(run: Run, number: int, rounds: int) -> None:
    its = run.measured
    _say(
        f"    {its.events / its.seconds:,.0f} events/s, {its.cpu_after_start / its.events * 1e6:.2f} CPU s per million "
        f"after start, totals right{f' (round {number + 1} of {rounds})' if rounds > 1 else ''}"
    )
    if run.others_share is not None and run.others_share > report.BUSY_SHARE:
        _say(f"    other programs took {run.others_share:.0%} of the machine meanwhile")


def _print(found: Report) -> None:
    """Print the report to standard output: it is the result, not a remark."""
    print("", *table.lines(found.contenders.values()), "", sep="\n")
    print(f"load average {found.load_at_start:.2f} at the start, {found.load_at_end:.2f} at the end")
    for warning in found.warnings:
        print(f"WARNING: {warning}")
    print("events/s and CPU : memory's, : chDB's = the contender's, divided by those of Afterword with that sink.")
    print("What is measured, and what each contender leaves out: bench/README.md")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
