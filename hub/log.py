"""JSON lines without content: an event name and ids, nothing a stranger wrote."""

import logging
import sys
from typing import Any

import structlog


def configure(*, is_quiet: bool = False) -> None:
    """Send structlog and the libraries' warnings to standard error as JSON lines."""
    level = logging.ERROR if is_quiet else logging.INFO
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(ensure_ascii=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def log(event: str, **ids: Any) -> None:
    """Write one line: `event` is a key such as ``parcel.settled``, `ids` are ids and counts."""
    structlog.get_logger().info(event, **ids)
