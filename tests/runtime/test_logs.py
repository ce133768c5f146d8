"""Logs: their two forms, what is let through, and what must never be in them."""

import io
import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from runtime.logs import OURS, SAID_BY_US, configure_logs, masked
from runtime.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
OUR_LOG = logging.getLogger("processors.worker")
THEIRS = logging.getLogger("aiokafka.conn")
TEXT = "my order 4711 never came"


class Terminal(io.StringIO):
    """A stream that says that people read it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Undo what configuring logs does to the process."""
    root, hook = logging.getLogger(), sys.excepthook
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], sys.excepthook = handlers, hook
    root.setLevel(level)
    for name in (*OURS, *SAID_BY_US):
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def configured(**settings: str) -> None:
    configure_logs(Settings(**{"log_format": "json", **settings}))  # type: ignore[arg-type]


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The lines on standard error, each one JSON object; there is nothing on standard output."""
    out, err = capsys.readouterr()
    assert out == ""
    return [json.loads(line) for line in err.splitlines()]


def fail_over(text: str) -> None:
    """Fail with a variable that nobody should read."""
    raise RuntimeError(f"{len(text)} characters are too many")


# Form.


def test_a_line_of_json_says_when_how_bad_where_and_what(capsys: pytest.CaptureFixture[str]) -> None:
    configured()
    OUR_LOG.warning("%d facts wait for %s", 3, "Köln")
    (line,) = said(capsys)
    at = datetime.fromisoformat(line.pop("at"))
    assert at.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)
    assert list(line.items()) == [
        ("level", "warning"),
        ("logger", "processors.worker"),
        ("event", "3 facts wait for Köln"),
    ]


def test_an_exception_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    configured()
    try:
        fail_over(TEXT)
    except RuntimeError:
        OUR_LOG.exception("the flush failed")
    (line,) = said(capsys)
    assert line["event"] == "the flush failed"
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith("\nRuntimeError: 24 characters are too many")


def test_lines_for_people_are_not_json(capsys: pytest.CaptureFixture[str]) -> None:
    configured(log_format="console")
    OUR_LOG.warning("waiting for %s", "ClickHouse")
    out, err = capsys.readouterr()
    assert out == ""
    assert "Z [warning  ] waiting for ClickHouse" in err
    assert "[processors.worker]" in err


@pytest.mark.parametrize(("stream", "is_json"), [(Terminal(), False), (io.StringIO(), True)], ids=["terminal", "file"])
def test_the_form_follows_who_reads(stream: io.StringIO, is_json: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    configured(log_format="auto")
    OUR_LOG.warning("hello")
    assert stream.getvalue().startswith("{") == is_json
    assert "hello" in stream.getvalue()


def test_lines_follow_standard_error_when_a_progress_bar_replaces_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    configured()
    bar = io.StringIO()
    with monkeypatch.context() as replaced:
        replaced.setattr(sys, "stderr", bar)
        OUR_LOG.warning("above the bar")
    OUR_LOG.warning("after the bar")
    assert "above the bar" in bar.getvalue()
    assert [line["event"] for line in said(capsys)] == ["after the bar"]


def test_lines_of_structlog_look_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    configured()
    structlog.get_logger("runtime.clickhouse_http").warning("request_abandoned", path="/", seconds=1.5, of=["a"])
    (line,) = said(capsys)
    del line["at"]
    assert list(line.items()) == [
        ("level", "warning"),
        ("logger", "runtime.clickhouse_http"),
        ("event", "request_abandoned"),
        ("path", "/"),
        ("seconds", 1.5),
        ("of", "['a']"),
    ]


def test_configuring_twice_says_everything_once(capsys: pytest.CaptureFixture[str]) -> None:
    configured()
    configured()
    OUR_LOG.warning("once")
    assert len(said(capsys)) == 1


def test_warnings_are_logged(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        configured()
        warnings.warn("this will go", FutureWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    (line,) = said(capsys)
    assert line["logger"] == "py.warnings"
    assert "FutureWarning: this will go" in line["event"]


def test_what_ends_the_process_is_a_line_too() -> None:
    program = (
        "from runtime.logs import configure_logs; from runtime.settings import Settings\n"
        "configure_logs(Settings(log_format='json'))\n"
        "def connect(text): raise OSError('clickhouse://ann:hunter2@ch:8123 is away')\n"
        f"connect({TEXT!r} * 2)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    (line,) = run.stderr.splitlines()
    said = json.loads(line)
    assert (run.returncode, run.stdout, said["level"], said["event"]) == (
        1,
        "",
        "critical",
        "the process ends: OSError",
    )
    assert said["exception"].endswith("OSError: clickhouse://ann:***@ch:8123 is away")


# What is let through.


@pytest.mark.parametrize(
    ("level", "ours", "theirs"),
    [
        ("debug", ["debug", "info", "warning", "error"], ["info", "warning", "error"]),
        ("info", ["info", "warning", "error"], ["warning", "error"]),
        ("warning", ["warning", "error"], ["warning", "error"]),
        ("error", ["error"], ["warning", "error"]),
    ],
)
def test_libraries_say_less_than_afterword_and_nothing_at_debug(
    level: str, ours: list[str], theirs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    configured(log_level=level)
    for log, expected in ((OUR_LOG, ours), (THEIRS, theirs), (structlog.get_logger("runtime.server"), ours)):
        for name in ("debug", "info", "warning", "error"):
            getattr(log, name)("something")
        assert [line["level"] for line in said(capsys)] == expected


def test_attempts_to_reach_clickhouse_are_not_said_twice(capsys: pytest.CaptureFixture[str]) -> None:
    configured(log_level="debug")
    for name in ("urllib3.connectionpool", "clickhouse_connect.driver._backend.http_sync"):
        logging.getLogger(name).warning("no answer")
        logging.getLogger(name).error("broken")
    assert [line["event"] for line in said(capsys)] == ["broken", "broken"]


# What must never be in them.


@pytest.mark.parametrize("form", ["json", "console"])
def test_an_exception_does_not_show_the_values_of_variables(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    configured(log_format=form)
    text = TEXT
    for log in (OUR_LOG, structlog.get_logger("runtime.server")):
        try:
            fail_over(text)
        except RuntimeError:
            log.exception("failed")
    err = capsys.readouterr().err
    assert err.count("fail_over(text)") == 2
    assert TEXT not in err


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("clickhouse://ann:hunter2@ch:8123/db is away", "clickhouse://ann:***@ch:8123/db is away"),
        ("clickhouse://ann:hunter2@", "clickhouse://ann:***@"),
        ("clickhouse://:hunter2@ch", "clickhouse://:***@ch"),
        ("at clickhouse://ann:hunt/er@2@ch/db", "at clickhouse://ann:***@ch/db"),
        ("http://a:hunter2@one,http://b:hunter2@two", "http://a:***@one,http://b:***@two"),
        ("'clickhouse://ann:hunter2@ch' and 'x@y'", "'clickhouse://ann:***@ch' and 'x@y'"),
        ("kafka://one:9092,two:9092", "kafka://one:9092,two:9092"),
        ("clickhouse://ann@ch:8123 of a@b", "clickhouse://ann@ch:8123 of a@b"),
        ("12:30 ann@example.com", "12:30 ann@example.com"),
    ],
)
def test_the_password_of_a_url_is_masked_and_nothing_else(text: str, shown: str) -> None:
    assert masked(text) == shown


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_part_of_a_line_shows_a_password(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    configured(log_format=form)
    url = "clickhouse://ann:hunter2@ch"
    OUR_LOG.error("cannot reach %s", url, exc_info=OSError(url))
    structlog.get_logger("runtime.server").error("away", where=url, tried=[url], also={"url": url})
    err = capsys.readouterr().err
    assert err.count("clickhouse://ann:***@ch") == 5
    assert "hunter2" not in err
