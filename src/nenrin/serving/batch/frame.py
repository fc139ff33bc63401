"""The answers as a table: the row's number, its key, when it was asked, what was said, and by whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import polars as pl

from nenrin.serving.batch.asking import AnsweredRows
from nenrin.serving.deployments import Deployment
from nenrin.serving.signature import Kind
from nenrin.training.records import LEFT_OUT, Records

_INSTANT = pl.Datetime("us", "UTC")
_TYPES: Mapping[Kind, pl.DataType] = {
    "number": pl.Float64(),
    "integer": pl.Int64(),
    "boolean": pl.Boolean(),
    "string": pl.String(),
    "datetime": _INSTANT,
    "date": pl.Date(),
}


class Table:
    """The columns of an output.

    A key whose name one of ours has keeps it, and ours is called ``nenrin_…``.

    Args:
        deployment: who is asked.
        several: whether the rows come from several files: then a column names theirs.
        logged: whether a column has the ids of logged predictions.
    """

    def __init__(self, deployment: Deployment, *, several: bool, logged: bool) -> None:
        request = deployment.request
        kinds = {field.name: field.kind for field in request.fields}
        self._key = request.key
        answer = pl.Float64() if request.datatype == "FP64" else pl.String()
        first = {"file": pl.String(), "row": pl.Int64()} if several else {"row": pl.Int64()}
        last = {
            "asked": _INSTANT,
            request.output: answer,
            "version": pl.String(),
            **({"id": pl.String()} if logged else {}),
        }
        self._first, self._last = list(first), list(last)
        self.schema = pl.Schema(
            {
                **self._free(first),
                **{name: _TYPES[kinds[name]] for name in self._key},
                **self._free(last),
            }
        )

    @property
    def version(self) -> str:
        """What the column of the versions is called."""
        return "nenrin_version" if "version" in self._key else "version"

    def frame(
        self, file: str, found: AnsweredRows, versions: Sequence[str], ids: Sequence[str]
    ) -> pl.DataFrame:
        """The table of some answers.

        Args:
            file: the rows' file.
            found: the answers.
            versions: ids, one a variant of the deployment.
            ids: of the predictions; empty where they are not logged.
        """
        rows = len(found.numbers)
        values: dict[str, Sequence[Any]] = {
            "file": [file] * rows,
            "row": found.numbers,
            "asked": found.asked,
            "version": [versions[place] for place in found.picked],
            "id": ids,
        }
        answers = [_plain(value) for value in found.values]
        first = [values[name] for name in self._first]
        keys = [_key(found.rows, name) for name in self._key]
        last = [values.get(name, answers) for name in self._last]
        columns = zip(self.schema.items(), [*first, *keys, *last], strict=True)
        return pl.DataFrame([pl.Series(name, each, kind) for (name, kind), each in columns])

    def _free(self, columns: Mapping[str, pl.DataType]) -> dict[str, pl.DataType]:
        return {
            f"nenrin_{name}" if name in self._key else name: kind for name, kind in columns.items()
        }


def _key(rows: Records, name: str) -> list[Any]:
    if name in rows.nulls:
        return [None] * len(rows)
    return [None if value is LEFT_OUT else value for value in rows.columns[name]]


def _plain(value: Any) -> Any:
    """A number or a text as it is, anything else as JSON."""
    return value if isinstance(value, int | float | str) else msgspec.json.encode(value).decode()
