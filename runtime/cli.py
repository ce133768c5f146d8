"""The command line: `afterword`. What a command does is in the module it names; here it is only asked for."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console

from runtime.folder import Taken
from runtime.logs import configure_logs
from runtime.settings import Settings, SettingsError
from schemas.failures import Unavailable
from schemas.rules import Rules, RulesError

app = typer.Typer(
    name="afterword",
    help="Turns the events of an assistant's conversations into conversations that a manager can learn from.\n\n"
    "Start with `afterword demo`: real conversations through the whole embedded stack, nothing else needed. "
    "Settings are environment variables AFTERWORD_*; docs/settings.md lists them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
topics = typer.Typer(help="The input topics in Kafka.", no_args_is_help=True)
app.add_typer(topics, name="topics")

console = Console(stderr=True)
T = TypeVar("T")

Data = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Data folder of the embedded stack. [default: .afterword]")
]
Port = Annotated[int | None, typer.Option("--port", help="HTTP port; 0 picks a free one. [default: 8080]")]


@app.command()
def up(
    data: Data = None,
    port: Port = None,
    load: Annotated[
        list[Path] | None,
        typer.Option(
            "--load", metavar="FILE.jsonl", exists=True, dir_okay=False, help="Events to load; repeat for more."
        ),
    ] = None,
    exit_when_done: Annotated[
        bool,
        typer.Option("--exit-when-done", help="Store all that was loaded, close what is due, say what there is, end."),
    ] = False,
) -> None:
    """Run the embedded stack: broker, database, worker and HTTP in this one process.

    A second run on the same folder continues there. Loading a file again changes nothing.
    """
    from runtime.up import Source, up  # noqa: PLC0415  (a second of imports that --help need not wait for)

    settings = _settings(data=data, port=port)
    sources = [Source.file(path) for path in load or ()]
    _run(up(settings, _rules(settings), sources, exit_when_done=exit_when_done, console=console))


@app.command()
def demo(
    data: Data = None, port: Annotated[int, typer.Option("--port", help="HTTP port; 0 picks a free one.")] = 0
) -> None:
    """Load 7,168 real conversations and a simulated shop into the embedded stack, and say what came out."""
    from runtime.demo import demo  # noqa: PLC0415

    settings = _settings(data=data, port=port)
    _run(demo(settings, _rules(settings), console))


@app.command()
def worker() -> None:
    """Run one worker of a cluster. Needs AFTERWORD_KAFKA and AFTERWORD_CLICKHOUSE; run as many as there are partitions.

    Ends on SIGTERM within AFTERWORD_DRAIN_S, with everything it took stored and committed.
    """
    from runtime.cluster_worker import work  # noqa: PLC0415

    settings = _settings()
    settings.need("kafka")
    settings.need("clickhouse")
    _run(work(settings, _rules(settings)))


@app.command()
def migrate() -> None:
    """Create or update the tables in AFTERWORD_CLICKHOUSE. Safe to run again."""
    from sinks.connection import Database  # noqa: PLC0415
    from sinks.migrate import migrate  # noqa: PLC0415

    database = _parsed(_settings().need("clickhouse"), Database.parse)
    applied = _answered(lambda: migrate(database))
    for revision in applied:
        typer.echo(f"applied {revision}")
    if not applied:
        typer.echo("the tables are up to date")


@topics.command("create")
def create_topics(
    partitions: Annotated[
        int | None, typer.Option(help="Partitions of each topic. [default: AFTERWORD_PARTITIONS, 4]")
    ] = None,
    replication: Annotated[int | None, typer.Option(help="Copies of each. [default: AFTERWORD_REPLICATION, 1]")] = None,
) -> None:
    """Create the input topics in AFTERWORD_KAFKA where they are missing. Safe to run again."""
    from runtime.addresses import cluster_from  # noqa: PLC0415
    from runtime.kafka import create_topics  # noqa: PLC0415

    settings = _settings(partitions=partitions, replication=replication)
    cluster = _answered(lambda: cluster_from(settings))
    done = _answered(lambda: asyncio.run(create_topics(cluster, settings.partitions, settings.replication)))
    for name, what in done.items():
        typer.echo(f"{name}: {what}")


@app.command()
def simulate(
    days: Annotated[float, typer.Option(min=0.01, help="How many days back the shop opened.")] = 30,
    conversations: Annotated[int, typer.Option(min=1, help="How many conversations it had.")] = 3_000,
    rate: Annotated[
        float | None, typer.Option(min=0.1, help="Events per second. [default: as fast as it goes; live: 5]")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed, other conversations.")] = 7,
    live: Annotated[bool, typer.Option("--live", help="Go on in real time afterwards, until Ctrl-C.")] = False,
    labels: Annotated[
        float, typer.Option(min=0, max=1, help="Share of conversations that a simulated manager labels.")
    ] = 0,
    kafka: Annotated[
        str | None,
        typer.Option("--kafka", metavar="URL", help="Produce to Kafka (kafka://host:port) instead of writing."),
    ] = None,
) -> None:
    """Write what the assistant of a shop would emit, as JSON Lines. Everything in it is simulated, and says so.

    For example: afterword simulate > shop.jsonl; afterword up --load shop.jsonl
    """
    from runtime.kafka import cluster_of  # noqa: PLC0415
    from runtime.simulating import simulate  # noqa: PLC0415
    from runtime.simulator import Simulation  # noqa: PLC0415

    cluster = _parsed(kafka, cluster_of) if kafka else None
    simulation = Simulation(now=datetime.now(UTC), seed=seed, days=days, conversations=conversations, labels=labels)
    try:
        written = _answered(lambda: asyncio.run(simulate(simulation, rate=rate, live=live, cluster=cluster)))
    except BrokenPipeError:
        sys.stderr.close()
        raise typer.Exit(0) from None
    console.print(f"{written:,} simulated events")


def _settings(**given: Any) -> Settings:
    """Read the settings, options of the command before the environment."""
    try:
        settings = Settings.load(**{name: value for name, value in given.items() if value is not None})
    except SettingsError as error:
        _fail(*error.lines)
    configure_logs(settings)
    return settings


def _rules(settings: Settings) -> Rules:
    try:
        return Rules.load(settings.rules)
    except RulesError as error:
        _fail(f"the rules in {settings.rules} cannot be used:", *error.lines)


def _parsed(text: str, parse: Callable[[str], T]) -> T:
    """Read an address, or say what is wrong with it."""
    try:
        return parse(text)
    except ValueError as error:
        _fail(str(error))


def _answered(call: Callable[[], T]) -> T:
    """Call, and turn what a person can mend into a line instead of a traceback."""
    try:
        return call()
    except (Unavailable, Taken, SettingsError, ValueError) as error:
        _fail(*getattr(error, "lines", [str(error)]))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _run(work: Coroutine[Any, Any, int]) -> NoReturn:
    """Run a command to its end and leave with its status."""
    raise typer.Exit(_answered(lambda: asyncio.run(work)))


def _fail(*lines: str) -> NoReturn:
    for line in lines:
        console.print(line, style="red", highlight=False, soft_wrap=True, markup=False)
    raise typer.Exit(1)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
