"""`make faults`: all experiments with the whole load, one after another, and a report at the end."""

import argparse
import asyncio
import contextlib
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.faults import experiments
from tests.faults.trial import EXPERIMENTS, Experiment, Trial
from tests.kafka import jars
from tests.kafka.broker import KafkaBroker

assert experiments


def main() -> int:
    """Run what was asked for; gives the exit status."""
    asked = _arguments()
    chosen = [EXPERIMENTS[name] for name in asked.only or EXPERIMENTS]
    chosen.sort(key=lambda one: one.number)
    if asked.list:
        for one in chosen:
            _say(f"{one.number:3}  {one.name:32} {one.what}")
        return 0
    if reason := jars.why_unavailable():
        _say(f"Apache Kafka cannot run here: {reason}")
        return 2
    return asyncio.run(_run(chosen, asked))


def _say(text: str) -> None:
    """Write a line for the person at the terminal, also while what is printed goes to a file."""
    assert sys.__stdout__ is not None
    sys.__stdout__.write(text + "\n")
    sys.__stdout__.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--list", action="store_true", help="say what there is, and end")
    parser.add_argument("--only", nargs="+", action="extend", metavar="NAME", choices=EXPERIMENTS, help="only these")
    parser.add_argument("--seed", type=int, default=1, help="another load and another choice of moments (default: 1)")
    parser.add_argument("--short", action="store_true", help="the small load and few repetitions, as in `make test`")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep all logs and data here")
    return parser.parse_args()


async def _run(chosen: list[Experiment], asked: argparse.Namespace) -> int:
    directory = asked.keep or Path(tempfile.mkdtemp(prefix="afterword-faults-"))
    outcomes: list[tuple[Experiment, str, float, Trial]] = []
    running = asyncio.current_task()
    assert running is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)  # so that nothing is left behind
    async with KafkaBroker(directory / "kafka") as broker:
        for number, one in enumerate(chosen, 1):
            _say(f"[{number}/{len(chosen)}] {one.number} {one.name}: {one.what}")
            trial = Trial(
                broker,
                directory / one.name,
                asked.seed,
                asked.short,
                told=lambda figure: _say(f"    {figure}"),
            )
            begun = time.monotonic()
            failure = await _outcome(one, trial)
            outcomes.append((one, failure, time.monotonic() - begun, trial))
            _say(f"    {'FAILED: ' + failure if failure else 'passed'} ({outcomes[-1][2]:.0f} s)")
            if broker.process is None:
                await broker.start()
    failed = [one.name for one, failure, _, _ in outcomes if failure]
    _say(_report(outcomes, asked.seed))
    if failed or asked.keep:
        _say(f"logs and data: {directory}")
    else:
        shutil.rmtree(directory)
    return bool(failed)


async def _outcome(one: Experiment, trial: Trial) -> str:
    """Run an experiment; gives what failed, '' when nothing did. What it prints goes to a file."""
    trial.directory.mkdir(parents=True, exist_ok=True)
    with (trial.directory / "said.log").open("w") as said, contextlib.redirect_stdout(said):
        try:
            await one.run(trial)
        except Exception as failure:  # noqa: BLE001  (whatever it is, the experiment failed and the next one runs)
            traceback.print_exc(file=said)
            return f"{type(failure).__name__}: {failure}"
    return ""


def _report(outcomes: list[tuple[Experiment, str, float, Trial]], seed: int) -> str:
    lines = [f"\nseed {seed}", "| fault | experiment | outcome | s | figures |", "| --- | --- | --- | --- | --- |"]
    for one, failure, seconds, trial in outcomes:
        outcome = "FAILED" if failure else "passed"
        lines.append(f"| {one.number} | {one.name} | {outcome} | {seconds:.0f} | {'; '.join(trial.figures)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
