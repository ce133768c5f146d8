"""Logs: what the code says with `logging`, on standard error, as lines for people or as one JSON object a line.

The text of a message between user and assistant is never logged. So tracebacks come without the values of variables,
and libraries never log at `debug`: there aiokafka 0.14 writes the bytes of every request and answer, records and
password included.
"""

import json
import logging
import re
import sys
from types import TracebackType
from typing import Any, Final

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from runtime.settings import Settings

OURS: Final = ("api", "processors", "runtime", "schemas", "sinks")
"""Packages whose loggers follow the setting; all others only warn."""

SAID_BY_US: Final = ("urllib3.connectionpool", "clickhouse_connect.driver._backend")
"""Loggers that warn of each attempt to reach ClickHouse, which is tried again and said by whoever tries."""

_SECRET: Final = re.compile(r"(://[^\s:/@]*):(?:(?!://)\S)*@")
_FIRST: Final = ("at", "level", "logger", "event")

log = logging.getLogger(__name__)


def masked(text: str) -> str:
    """Give a text with the password of every URL in it replaced by ***."""
    return _SECRET.sub(r"\1:***@", text)


def configure_logs(settings: Settings) -> None:
    """Send all logs, warnings and uncaught exceptions to standard error, as the settings say. May be called again."""
    level = settings.log_level.upper()
    handler = _StandardError()
    handler.setFormatter(_formatter(_format_of(settings)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO if level == "DEBUG" else logging.WARNING)
    for package in OURS:
        logging.getLogger(package).setLevel(level)
    for name in SAID_BY_US:
        logging.getLogger(name).setLevel(logging.ERROR)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught


class _StandardError(logging.StreamHandler[Any]):
    """Writes to what standard error is at the moment: a progress bar puts lines above itself by replacing it."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


_SHARED: Final[tuple[Processor, ...]] = (
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
)


def _format_of(settings: Settings) -> str:
    if settings.log_format == "auto":
        return "console" if sys.stderr.isatty() else "json"
    return settings.log_format


def _formatter(kind: str) -> logging.Formatter:
    # The exception as text: structlog's other ways to show one, Rich's among them, show the values of local variables.
    people = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), timestamp_key="at", exception_formatter=structlog.dev.plain_traceback
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _tidied,
            _json if kind == "json" else people,
        ],
    )


def _tidied(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Put what every line has first, and mask passwords; what is neither text nor number becomes text."""
    ordered = {name: event.pop(name) for name in _FIRST if name in event} | dict(event)
    return {name: value if isinstance(value, int | float | None) else _text(value) for name, value in ordered.items()}


def _text(value: object) -> str:
    return masked(str(value)).rstrip()


def _json(_: WrappedLogger, __: str, event: EventDict) -> str:
    return json.dumps(event, ensure_ascii=False)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    log.critical("the process ends: %s", kind.__name__, exc_info=(kind, error, trace))
