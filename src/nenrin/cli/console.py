"""What the command line prints: tables, facts, JSON, and errors as what, where, and what to do."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nenrin.api.wire import encode_exactly, error_body
from nenrin.core.errors import NenrinError
from nenrin.core.instants import NEVER, from_us

_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

# a pipe has no width: 80 columns would break tables, and the commands in messages, for nobody
_WIDTH = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120

out = Console(highlight=False, width=_WIDTH)
err = Console(highlight=False, stderr=True)

Column = tuple[str, str, Callable[[Any], str]]
"""Of a table: key in the row, title, and how a value is written."""


def show(
    value: Any, as_json: bool, render: Callable[[Any], RenderableType], *, wrap: bool = True
) -> None:
    """Print ``value``, as one JSON document or as ``render`` draws it."""
    if as_json:
        _write_json(value)
    else:
        tell(render(value), wrap=wrap)


def show_line(value: Any, as_json: bool, render: Callable[[Any], str]) -> None:
    """Print ``value`` in one line of a stream of them."""
    _write(f"{encode_exactly(value).decode() if as_json else render(value)}\n")


def tell(drawn: RenderableType, *, wrap: bool = True) -> None:
    """Print a result; a pipe gets it without the blanks that fill a terminal's lines."""
    if out.is_terminal:
        out.print(drawn, soft_wrap=not wrap)
        return
    with out.capture() as captured:
        out.print(drawn, soft_wrap=not wrap)
    _write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def _write_json(value: Any) -> None:
    _write(encode_exactly(value, indent=2).decode() + "\n")


def _write(text: str) -> None:
    out.file.write(text)
    out.file.flush()  # who reads a pipe waits for it while the command goes on


@contextmanager
def results_only() -> Iterator[None]:
    """Keep the standard output for results: what a project prints goes to the standard error."""
    out.file = sys.stdout
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        out.file = None  # type: ignore[assignment] # the standard output of the moment again


def show_error(error: NenrinError, *, as_json: bool = False) -> None:
    """What is wrong, where, and what to do; ``as_json`` in the API's shape, on the standard output."""
    if as_json:
        _write_json(error_body(error))
        return
    err.print(Text.assemble(("error: ", "bold red"), error.message), soft_wrap=True)
    for label, text in (("where", error.where), ("do this", error.hint)):
        if text:
            err.print(Text.assemble((f"  {label}: ", "bold"), text), soft_wrap=True)


def note(text: str) -> None:
    """Say something beside the result: on the standard error, so that pipes stay clean."""
    err.print(Text(text, style="dim"), soft_wrap=True)


def table(rows: Iterable[Mapping[str, Any]], *columns: Column, empty: str = "") -> RenderableType:
    """Rows as a table; ``empty`` is said when there are none."""
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for _, title, write in columns:
        drawn.add_column(title, justify="right" if write is number else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(write(row.get(key))) for key, _, write in columns))
    return drawn if drawn.row_count else Text(empty, style="dim")


def facts(value: Any) -> RenderableType:
    """Any JSON value, drawn by its shape: names and values, tables for lists of alike records."""
    if isinstance(value, Mapping):
        return Group(*(_fact(name, part) for name, part in value.items()))
    if _is_records(value):
        keys = list(dict.fromkeys(key for row in value for key in row))
        return table(value, *((key, key.replace("_", " "), plain) for key in keys))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return Group(*(facts(part) for part in value)) if value else Text("none", style="dim")
    return Text(plain(value))


def _fact(name: str, value: Any) -> RenderableType:
    title = Text(name.replace("_", " "), style="bold")
    if not isinstance(value, Mapping | Sequence) or isinstance(value, str):
        written = when(value) if _is_instant(name, value) else plain(value)
        return Text.assemble(title, "  ", written)
    if isinstance(value, Sequence) and not any(isinstance(part, Mapping | list) for part in value):
        return Text.assemble(title, "  ", ", ".join(plain(part) for part in value) or "none")
    if not value:
        return Text.assemble(title, "  none")
    return Group(title, Padding(facts(value), (0, 0, 0, 2)))


def _is_records(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and len(value) > 0
        and all(isinstance(row, Mapping) for row in value)
        and not any(isinstance(part, Mapping | list) for row in value for part in row.values())
    )


def _is_instant(name: str, value: Any) -> bool:
    if isinstance(value, str):
        return _ISO.fullmatch(value) is not None
    return name in {"at", "bound", "now"} and isinstance(value, int)


def plain(value: Any) -> str:
    """A value as people write it; nothing for null."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, Mapping | list | tuple):
        return encode_exactly(value).decode()
    return str(value)


def joined(values: Any) -> str:
    """Names in a row."""
    return ", ".join(values or ())


def number(value: Any) -> str:
    """A count, with its thousands apart."""
    return "" if value is None else f"{value:,}"


def when(value: Any) -> str:
    """An instant, in microseconds or as ISO 8601, to the minute in UTC."""
    if isinstance(value, str) and value.endswith("Z"):
        return f"{value[:10]} {value[11:16]}Z"
    if not isinstance(value, int):
        return plain(value)
    return "never" if value == NEVER else f"{from_us(value):%Y-%m-%d %H:%M}Z"


def short(value: Any) -> str:
    """The first 12 digits of a digest."""
    return plain(value)[:12]
