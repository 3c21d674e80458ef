"""JSON lines without content: an event name and ids, nothing a stranger wrote."""

import json
import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict

from hub.lines import Kept, Lines, standard_error

LINE_BYTES = 2048  # PROMISES H92; a pipe takes 4096 at once, so lines of two processes do not mix
VALUE = 200  # characters of one value: an id has 30, a path template 60
SEVERAL = 20  # values of one line
_out: list[TextIO | Lines | Kept] = []  # where lines go once configure() has run
request_id: ContextVar[str] = ContextVar("request_id", default="")  # set by the door, on every line it causes


class Bare(logging.Handler):
    """A library's record without its words: they may quote a letter, a number or a statement's values.

    What is left says which library, how bad, where it was written and which error: enough to find the line.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        error = record.exc_info[1] if record.exc_info else None
        place = f"{record.module}:{record.lineno}"
        _write(record.levelname.lower(), "library", logger=record.name, place=place, **_of(error))


def configure(*, is_quiet: bool = False) -> None:
    """Send structlog, the libraries' warnings and uncaught errors to standard error as JSON lines."""
    level = logging.ERROR if is_quiet else logging.INFO
    _out.clear()
    _out.append(standard_error())
    logging.basicConfig(level=logging.ERROR if is_quiet else logging.WARNING, handlers=[Bare()], force=True)
    # each of a process's pools brings dramatiq's own middleware to the broker, and each is warned of as a twin
    logging.getLogger("dramatiq.broker").setLevel(logging.ERROR)
    logging.captureWarnings(True)
    # python-telegram-bot advises its own methods, which confirm an update before it is kept (docs/decisions 0021)
    warnings.filterwarnings("ignore", message=r"Please use 'Bot\.")
    sys.excepthook = _uncaught
    sys.unraisablehook = lambda found: _write("error", "process.unraisable", **_of(found.exc_value))
    threading.excepthook = lambda found: _write("error", "thread.died", **_of(found.exc_value))
    structlog.configure(
        processors=[
            _with_request,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _as_line,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _out[0])),
    )


def log(event: str, **ids: Any) -> None:
    """Write one line: `event` is a key such as ``parcel.settled``, `ids` are ids and counts."""
    structlog.get_logger().info(event, **ids)


def where(error: BaseException) -> str:
    """File and line at which `error` was raised; its text may hold what a stranger wrote."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""


def bug_of(where_from: str) -> Callable[[str, Exception], object]:
    """Says in the log which part broke, and where; never what it worked on."""
    return lambda part, error: log(
        f"{where_from}.bug", part=part, kind=type(error).__name__, where=where(error)
    )


def _with_request(_logger: Any, _name: str, line: EventDict) -> EventDict:
    if request_id.get():
        line.setdefault("request", request_id.get())
    return line


def _as_line(_logger: Any, _name: str, line: EventDict) -> str:
    """One line of ASCII JSON, whatever the values hold: escapes show no colours and end no line."""
    return _json(line)


def _json(line: Mapping[str, Any]) -> str:
    text = json.dumps({str(_cut(name)): _short(value) for name, value in line.items()})
    if len(text) <= LINE_BYTES:
        return text
    kept = {name: _cut(line[name]) for name in ("event", "level", "request", "timestamp") if name in line}
    return json.dumps({**kept, "is_cut": True, "bytes": len(text)})


def _short(value: Any) -> Any:
    """Numbers as they are, a few of a list, everything else as a text of bounded length."""
    if isinstance(value, list | tuple):
        return [_cut(one) for one in value[:SEVERAL]]
    if isinstance(value, dict):
        return {str(_cut(name)): _cut(one) for name, one in list(value.items())[:SEVERAL]}
    return _cut(value)


def _cut(value: Any) -> Any:
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 1 << 63):
        return value
    text = value if isinstance(value, str) else type(value).__name__
    return text if len(text) <= VALUE else f"{text[:VALUE]}…"


def _of(error: BaseException | None) -> dict[str, str]:
    return {"error": type(error).__name__, "where": where(error)} if error is not None else {}


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What ends the process; Ctrl-C is no error."""
    if not issubclass(kind, KeyboardInterrupt):
        _write("critical", "process.died", **_of(error.with_traceback(trace)))


def _write(level: str, event: str, **ids: str) -> None:
    """Without structlog: a handler must work while everything else is broken."""
    line = {**ids, "event": event, "level": level, "timestamp": datetime.now(UTC).isoformat()}
    out = _out[0] if _out else sys.stderr
    out.write(_json(line) + "\n")
    out.flush()
