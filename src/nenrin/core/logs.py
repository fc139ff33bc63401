"""Logs: lines for people, or one JSON object a line, with what they are about.

What runs says once what it is about (:func:`about`); every line that is logged within, in that thread, has
its run, step, deployment and environment.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Literal

import msgspec

Form = Literal["text", "json"]

_ABOUT: ContextVar[Mapping[str, str]] = ContextVar("about", default={})  # noqa: B039 - never changed
_BYTES, _FILES = 5_000_000, 2
_LEVELS: Mapping[Form, int] = {"text": logging.WARNING, "json": logging.INFO}


@contextmanager
def about(**ids: str) -> Iterator[None]:
    """Within the block every line that this thread logs is about these: run, step, deployment, …"""
    known = {name: value for name, value in ids.items() if value}
    token = _ABOUT.set({**_ABOUT.get(), **known})
    try:
        yield
    finally:
        _ABOUT.reset(token)


def to_file(path: Path, form: Form) -> logging.Handler:
    """A handler that writes to a file, which is begun anew when it is large."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = RotatingFileHandler(path, maxBytes=_BYTES, backupCount=_FILES, delay=True)
    return _begun(handler, form)


def to_stderr(form: Form) -> logging.Handler:
    """A handler that writes to this process' standard error."""
    return _begun(logging.StreamHandler(sys.stderr), form)


def end(handler: logging.Handler) -> None:
    """Log to a handler no more."""
    logging.getLogger().removeHandler(handler)
    handler.close()


def _begun(handler: logging.Handler, form: Form) -> logging.Handler:
    handler.setFormatter(_Json() if form == "json" else _Text())
    handler.setLevel(_LEVELS[form])
    logging.getLogger("nenrin").setLevel(_LEVELS[form])
    logging.getLogger().addHandler(handler)
    return handler


class _Json(logging.Formatter):
    """One object a line: time (RFC 3339, UTC), level, logger, message, what it is about, error."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_ABOUT.get(),
        }
        if record.exc_info:
            line["error"] = "".join(traceback.format_exception(*record.exc_info))
        return msgspec.json.encode(line).decode()


class _Text(logging.Formatter):
    """Time, level, logger, message, what it is about, and the traceback below."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The first line."""
        ids = " ".join(f"{name}={value}" for name, value in _ABOUT.get().items())
        return f"{super().formatMessage(record)} {f'[{ids}]' if ids else ''}".rstrip()
