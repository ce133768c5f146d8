"""The command line: `afterword`. What a command does is in the module it names; here it is only asked for."""

import asyncio
import io
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console

from runtime.folder import Taken
from runtime.logs import configure_logs
from runtime.settings import Settings, SettingsError
from schemas.failures import Unavailable
from schemas.rules import Rules, RulesError

if TYPE_CHECKING:
    from runtime.place import Place
    from schemas.failures import Reason

app = typer.Typer(
    name="afterword",
    help="Turns the events of an assistant's conversations into conversations that a manager can learn from.\n\n"
    "Start with `afterword demo`: real conversations through the whole embedded stack, nothing else needed. "
    "Settings are environment variables AFTERWORD_*; docs/settings.md lists them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # it would take "[default: …]" for markup, and fill examples into lines
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
topics = typer.Typer(help="The input topics in Kafka.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(topics, name="topics")
letters = typer.Typer(
    help="Records that could never be taken as they are: see them, and send them again after a fix.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(letters, name="dead-letters")
rules = typer.Typer(
    help="What ends a conversation, what is a fallback, what is a question.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(rules, name="rules")
api_keys = typer.Typer(
    help="API keys: what programs come with, to send events, to label, to read.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(api_keys, name="keys")


def _examples(*lines: str) -> str:
    """Put examples below the help of a command, each on a line of its own."""
    return "\n".join(["\b", "For example:", *(f"  {line}" for line in lines)])


console = Console(stderr=True)
S = TypeVar("S")
T = TypeVar("T")

WIDE = 10_000
"""Columns of a table that goes to a file or another program: enough for each row to stay a line."""

Data = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Data folder of the embedded stack. [default: .afterword]")
]
Stored = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Data folder of the embedded stack, up or not. [default: .afterword]"),
]
ClickHouse = Annotated[
    str | None,
    typer.Option(
        "--clickhouse",
        metavar="URL",
        help="A server instead: clickhouse://user:password@host:8123/database. [default: AFTERWORD_CLICKHOUSE]",
    ),
]
ReasonName = Annotated[
    str | None, typer.Option("--reason", metavar="REASON", help="Only those with this reason, such as malformed.")
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

    settings = _quiet(_settings(data=data, port=port))
    sources = [Source.file(path) for path in load or ()]
    _run(up(settings, _rules(settings), sources, exit_when_done=exit_when_done, console=console))


@app.command()
def demo(
    data: Data = None,
    port: Annotated[int, typer.Option("--port", help="HTTP port; 0 picks a free one.")] = 0,
    exit_when_done: Annotated[
        bool, typer.Option("--exit-when-done", help="End once it is loaded, instead of serving the pages.")
    ] = False,
) -> None:
    """Load 7,168 real conversations and a simulated shop into the embedded stack, and open the review application.

    It prints an address to open in a browser. A few simulated conversations go on in real time, until Ctrl-C.
    """
    from runtime.demo import demo  # noqa: PLC0415

    settings = _quiet(_settings(data=data, port=port))
    _run(demo(settings, _rules(settings), console, exit_when_done=exit_when_done))


@app.command()
def worker() -> None:
    """Run one worker of a cluster. Needs AFTERWORD_KAFKA and AFTERWORD_CLICKHOUSE; run as many as there are partitions.

    Ends on SIGTERM within AFTERWORD_DRAIN_S, with everything it took stored and committed.
    """
    from runtime.addresses import cluster_from  # noqa: PLC0415
    from runtime.cluster_worker import work  # noqa: PLC0415
    from sinks.connection import Database  # noqa: PLC0415

    settings = _settings()
    cluster = _answered(lambda: cluster_from(settings))
    database = _answered(lambda: Database.parse(settings.need("clickhouse")))
    _run(work(settings, _rules(settings), cluster, database))


@app.command()
def api() -> None:
    """Serve the review application and the HTTP interface of a cluster; run as many as you like.

    Needs AFTERWORD_KAFKA, AFTERWORD_CLICKHOUSE and AFTERWORD_SECRET. People sign in with AFTERWORD_OIDC_ISSUER,
    programs with keys: `afterword keys create`. `afterword up` serves the same beside its worker.
    """
    from runtime.addresses import cluster_from  # noqa: PLC0415
    from runtime.cluster_api import serve  # noqa: PLC0415
    from sinks.connection import Database  # noqa: PLC0415

    settings = _settings()
    cluster = _answered(lambda: cluster_from(settings))
    database = _answered(lambda: Database.parse(settings.need("clickhouse")))
    _answered(lambda: settings.need("secret"))
    _run(serve(settings, _rules(settings), cluster, database))


@app.command()
def migrate() -> None:
    """Create or update the tables in AFTERWORD_CLICKHOUSE. Safe to run again."""
    from sinks.connection import Database  # noqa: PLC0415
    from sinks.migrate import migrate  # noqa: PLC0415

    settings = _settings()
    database = _answered(lambda: Database.parse(settings.need("clickhouse")))
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


@app.command(
    epilog=_examples(
        'afterword sql "SELECT topic, count() FROM conversations FINAL GROUP BY topic"',
        'afterword sql --format CSVWithNames "SELECT * FROM conversations FINAL" > rows.csv',
        "afterword sql --format JSONEachRow - < question.sql",
    )
)
def sql(
    statement: Annotated[str, typer.Argument(metavar="STATEMENT", help="What to ask; - reads it from standard input.")],
    data: Stored = None,
    clickhouse: ClickHouse = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="Any of ClickHouse's formats. [default: PrettyCompact on a terminal, else TabSeparatedWithNames]",
        ),
    ] = None,
) -> None:
    """Ask the database in SQL. It only reads; the answer goes to standard output, as it comes.

    Tables: conversations (a row each; read it with FINAL), events (the facts), dead_letters (with FINAL).
    docs/columns.md says what the columns mean. A folder that `afterword up` has is asked through that process.
    """
    from runtime.sql import write_answer  # noqa: PLC0415

    place = _place(data, clickhouse)
    if place.database.in_process:
        # Python hears of Ctrl-C only when the engine has answered; nothing is written, so the process may just end.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if statement == "-":
        statement = _parsed(sys.stdin.buffer.read(), lambda text: text.decode())
    try:
        _answered(lambda: write_answer(place.database, statement, output))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains of it at the end
        raise typer.Exit(0) from None


@letters.command(
    "list",
    epilog=_examples(
        "afterword dead-letters list",
        "afterword dead-letters list --reason malformed --limit 5",
        "afterword dead-letters list --all --json | jq .detail",
    ),
)
def list_letters(
    reason: ReasonName = None,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="At most so many, the newest.")] = 50,
    requeued: Annotated[bool, typer.Option("--all", help="Also those that were sent again since they failed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, one a line, with the whole value.")] = False,
    data: Stored = None,
    clickhouse: ClickHouse = None,
) -> None:
    """List dead letters, newest first: when, from where, why, and how the record begins."""
    from runtime import dead_letters  # noqa: PLC0415
    from runtime.rebuilding import opened  # noqa: PLC0415

    chosen = _reason(reason)
    place = _place(data, clickhouse)

    def show() -> None:
        with opened(place.database) as (client, _, _):
            found = dead_letters.listed(client, chosen, limit=limit, requeued=requeued, whole=as_json)
            if as_json:
                for line in dead_letters.json_lines(found):
                    typer.echo(line)
                return
            counts = dead_letters.counts(client)
        if found:
            out = Console()
            out = out if out.is_terminal else Console(width=WIDE)
            out.print(dead_letters.table(found, requeued=requeued))
        typer.echo(counts.line(len(found), chosen, requeued=requeued))

    _answered(show)


@letters.command(
    "requeue",
    epilog=_examples(
        "afterword dead-letters requeue --reason future_time",
        "afterword dead-letters requeue --yes --data DIR       (while `afterword up --data DIR` runs)",
    ),
)
def requeue_letters(
    reason: ReasonName = None,
    kafka: Annotated[
        str | None,
        typer.Option(
            "--kafka",
            metavar="URL",
            help="Where to send: kafka://host:9092. [default: the Kafka of the `afterword up` that has the folder, "
            "else AFTERWORD_KAFKA]",
        ),
    ] = None,
    data: Stored = None,
    clickhouse: ClickHouse = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
) -> None:
    """Send every open dead letter again, to the topic it came from. Do it after what was wrong has been mended.

    Order does not matter: the conversations become what they would have been. A letter that fails again is listed
    again, with its new reason. Only what Kafka has acknowledged counts as sent, and sending twice changes nothing.
    """
    from runtime.requeueing import requeue_all  # noqa: PLC0415

    chosen = _reason(reason)
    place = _place(data, clickhouse)
    cluster = _answered(lambda: place.cluster(kafka))
    _run(requeue_all(place.database, cluster, chosen, ask=None if yes else _confirmed, console=console))


@api_keys.command(
    "create",
    epilog=_examples(
        "afterword keys create --scope events:write --assistant shop --name checkout",
        'KEY=$(afterword keys create --scope read --scope labels:write --name "the dashboard")',
    ),
)
def create_key(
    scope: Annotated[
        list[str],
        typer.Option(
            "--scope", metavar="SCOPE", help="What it may: events:write, labels:write, erase or read; repeat for more."
        ),
    ],
    assistant: Annotated[
        str | None,
        typer.Option(
            "--assistant", metavar="NAME", help="The only assistant that it may see and write. [default: all]"
        ),
    ] = None,
    name: Annotated[
        str, typer.Option("--name", metavar="TEXT", help="What it is for; labels that it gives are by this name.")
    ] = "",
    data: Stored = None,
    clickhouse: ClickHouse = None,
) -> None:
    """Make a key and print it, alone, on standard output. It is shown this once: only a digest of it is stored.

    It works at once, with an `afterword up` that runs as with one that will.
    """
    from runtime import keys  # noqa: PLC0415

    scopes = [_parsed(one, keys.scope_of) for one in scope]
    _parsed((name, assistant), lambda given: keys.check_names(*given))
    settings = _quiet(_settings(data=data, clickhouse=clickhouse))

    def make() -> None:
        with keys.stored_keys(settings, data=data, clickhouse=clickhouse, make=True) as stored:
            text, key = keys.create(stored, scopes, name=name, assistant=assistant)
        console.print(keys.remark(key), highlight=False, soft_wrap=True, markup=False)
        typer.echo(text)

    _answered(make)


@api_keys.command("list", epilog=_examples("afterword keys list", "afterword keys list --json | jq .name"))
def list_keys(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, one a line.")] = False,
    data: Stored = None,
    clickhouse: ClickHouse = None,
) -> None:
    """List the keys that were made, revoked ones too, the oldest first."""
    from runtime import keys  # noqa: PLC0415

    settings = _quiet(_settings(data=data, clickhouse=clickhouse))

    def show() -> None:
        with keys.stored_keys(settings, data=data, clickhouse=clickhouse) as stored:
            found = stored.read()
        if as_json:
            for line in keys.json_lines(found):
                typer.echo(line)
        elif found:
            out = Console()
            out = out if out.is_terminal else Console(width=WIDE)
            out.print(keys.table(found))
        else:
            typer.echo("no keys yet: `afterword keys create` makes one")

    _answered(show)


@api_keys.command("revoke", epilog=_examples("afterword keys revoke 4f1cQ0dN2x"))
def revoke_key(
    key: Annotated[str, typer.Argument(metavar="ID", help="The key's id, or the key itself.")],
    data: Stored = None,
    clickhouse: ClickHouse = None,
) -> None:
    """Revoke a key, for ever. Whoever comes with it is refused within three seconds."""
    from runtime import keys  # noqa: PLC0415

    settings = _quiet(_settings(data=data, clickhouse=clickhouse))

    def end() -> None:
        with keys.stored_keys(settings, data=data, clickhouse=clickhouse) as stored:
            revoked = keys.revoke(stored, key)
        typer.echo(f"revoked {revoked.id}")

    _answered(end)


@app.command(epilog=_examples("afterword link", "afterword link --data DIR"))
def link(data: Data = None) -> None:
    """Print a link that signs one person in, once, to the `afterword up` that runs on the data folder.

    It is good for 15 minutes. Whoever opens it may do everything, so give it to nobody else.
    """
    from runtime.folder import Folder  # noqa: PLC0415
    from runtime.sign_in import fresh_link  # noqa: PLC0415

    settings = _quiet(_settings(data=data))
    typer.echo(_answered(lambda: fresh_link(Folder(settings.data))))


@rules.command("show", epilog=_examples("afterword rules show", "afterword rules show --rules-of shop"))
def show_rules(
    rules_of: Annotated[
        str | None, typer.Option("--rules-of", metavar="ASSISTANT", help="What is in force for this assistant.")
    ] = None,
) -> None:
    """Print the rules in force: those in AFTERWORD_RULES over those that come with Afterword.

    What is printed is a rules file itself. To change a rule, write a file with what differs and a revision of its own.
    """
    from runtime.rules_shown import shown  # noqa: PLC0415

    settings = _settings()
    typer.echo(shown(_rules(settings), settings.rules, rules_of), nl=False)


@rules.command("check", epilog=_examples("afterword rules check rules.toml && AFTERWORD_RULES=rules.toml afterword up"))
def check_rules(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A rules file (TOML).")],
) -> None:
    """Say whether a rules file can be used, and if not everything that is wrong with it, a line each."""
    from runtime.rules_shown import verdict  # noqa: PLC0415

    try:
        found = Rules.load(file)
    except RulesError as error:
        _fail(*error.lines)
    typer.echo(verdict(found, file))


@app.command(epilog=_examples("AFTERWORD_RULES=rules.toml afterword rebuild --drifted"))
def rebuild(
    drifted: Annotated[
        bool, typer.Option("--drifted", help="Write only the rows that disagree with their facts or are old.")
    ] = False,
    data: Stored = None,
    clickhouse: ClickHouse = None,
) -> None:
    """Fold all facts again under today's rules and write every row anew.

    For example after the rules changed. It may run beside workers: a row made from more facts always wins.
    """
    from runtime.rebuilding import rebuild_all  # noqa: PLC0415

    place = _place(data, clickhouse)
    revised = _rules(place.settings)
    for line in _answered(lambda: rebuild_all(place.database, revised, drifted=drifted, console=console)):
        typer.echo(line)


@app.command(epilog=_examples("afterword check", "afterword check --rows --data DIR"))
def check(
    rows: Annotated[
        bool, typer.Option("--rows", help="Compare all facts with their rows too; reads everything that is stored.")
    ] = False,
    data: Stored = None,
) -> None:
    """Say what is wrong with the set-up, and what to do. Ends with 0 when nothing is wrong, else with 1.

    With AFTERWORD_KAFKA or AFTERWORD_CLICKHOUSE it looks at the cluster, else, or with --data, at the embedded stack:
    settings, rules, Kafka and the input topics, ClickHouse and its tables, open dead letters.
    """
    from runtime.checks import check  # noqa: PLC0415

    try:
        settings = Settings.load(data=data)
    except SettingsError as error:
        _fail(*(f"\N{BALLOT X} wrong  settings: {line}" for line in error.lines))
    configure_logs(settings)
    _run(check(settings, data=data, rows=rows, console=console))


def _settings(**given: Any) -> Settings:
    """Read the settings, options of the command before the environment."""
    try:
        settings = Settings.load(**{name: value for name, value in given.items() if value is not None})
    except SettingsError as error:
        _fail(*error.lines)
    configure_logs(settings)
    return settings


def _quiet(settings: Settings) -> Settings:
    """Let the log speak of trouble only, unless a level was asked for: these commands tell a person how it goes."""
    if "log_level" not in settings.model_fields_set:
        settings = settings.model_copy(update={"log_level": "warning"})
        configure_logs(settings)
    return settings


def _rules(settings: Settings) -> Rules:
    try:
        return Rules.load(settings.rules)
    except RulesError as error:
        _fail(f"the rules in {settings.rules} cannot be used:", *error.lines)


def _place(data: Path | None, clickhouse: str | None) -> "Place":
    """Find the store that a command is about."""
    from runtime.place import place_of  # noqa: PLC0415

    settings = _settings(data=data, clickhouse=clickhouse)
    return _answered(lambda: place_of(settings, data=data, clickhouse=clickhouse))


def _reason(name: str | None) -> "Reason | None":
    """Read --reason, or list the reasons that there are."""
    from runtime.dead_letters import reason_of  # noqa: PLC0415

    return None if name is None else _parsed(name, reason_of)


def _confirmed(question: str) -> bool:
    """Ask a person; where there is none, say how to do without."""
    if not sys.stdin.isatty():
        _fail(f"{question} There is nobody to ask: say --yes")
    return typer.confirm(question, err=True)


def _parsed(text: S, parse: Callable[[S], T]) -> T:
    """Read an address, or say what is wrong with it."""
    try:
        return parse(text)
    except ValueError as error:
        _fail(str(error))


def _answered(call: Callable[[], T]) -> T:
    """Call, and turn what a person can mend into a line instead of a traceback."""
    try:
        return _there(call)
    except ValueError as error:
        _fail(str(error))


def _there(call: Callable[[], T]) -> T:
    """Call, and turn what is missing in the world into a line; everything else is a bug and shows all of itself."""
    try:
        return call()
    except (Unavailable, Taken, SettingsError) as error:
        _fail(*getattr(error, "lines", [str(error)]))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _run(work: Coroutine[Any, Any, int]) -> NoReturn:
    """Run a command to its end and leave with its status."""
    raise typer.Exit(_there(lambda: asyncio.run(work)))


def _fail(*lines: str) -> NoReturn:
    for line in lines:
        console.print(line, style="red", highlight=False, soft_wrap=True, markup=False)
    raise typer.Exit(1)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that knows no UTF-8 still gets an answer
    app()


if __name__ == "__main__":
    main()
