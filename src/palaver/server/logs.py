"""The log as lines of JSON, for programs that gather it: no content, and no text of errors, which may quote it."""

from __future__ import annotations

import logging
import traceback
from datetime import UTC, datetime
from typing import Any

import msgspec

__all__ = ["JsonLines", "log_to_stderr"]

_PLAIN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message", "taskName"}


class JsonLines(logging.Formatter):
    """One line for each record: time, level, logger, action, and the fields that came with it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        fields = {name: value for name, value in record.__dict__.items() if name not in _PLAIN}
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if "action" not in fields:  # another library's: its own words
            line["message"] = record.getMessage()
        if record.exc_info is not None and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            frames = traceback.extract_tb(record.exc_info[2])
            line["frames"] = [f"{each.filename}:{each.lineno} {each.name}" for each in frames]
        return msgspec.json.encode({**line, **fields}, enc_hook=str).decode()


def log_to_stderr(level: str, *, json: bool) -> None:
    """Write what the server and uvicorn log from this level on to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if json else logging.Formatter("%(levelname)s %(name)s %(message)s"))
    for name in ("palaver", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level.upper())
        logger.propagate = False
