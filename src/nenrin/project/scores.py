"""``nr.score``: a dataset's new rows, answered on a schedule and written to files."""

from __future__ import annotations

from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Any

import msgspec

from nenrin.core.called import called_from
from nenrin.core.errors import ProjectError
from nenrin.data.declare import Dataset
from nenrin.loop.declare import Refresh
from nenrin.loop.declare import every as schedule

if TYPE_CHECKING:
    from nenrin.training.declare import Model

_FIELDS = {"day", "environment"}
_ENDS = (".parquet", ".csv")


class ScoreSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What was declared.

    Attributes:
        name: what the project file calls it; ``""`` until it is found there.
        when: the schedule, in the rows' time zone.
        to: the file, relative to the project file, with ``{day}`` in its name.
        where: ``file:line`` of the declaration.
    """

    name: str
    when: Refresh
    to: str
    where: str


class Score:
    """Declared scores: ``declared`` (a :class:`ScoreSpec`), ``model``, and the dataset ``rows``."""

    def __init__(self, model: Model, rows: Dataset, declared: ScoreSpec) -> None:
        self.model = model
        self.rows = rows
        self.declared = declared

    def named(self, name: str) -> None:
        """Take the name that the project file gives it."""
        if not self.declared.name:
            self.declared = msgspec.structs.replace(self.declared, name=name)

    def __repr__(self) -> str:
        return f"<score {self.declared.name}>"


def score(
    model: Model, *, rows: Dataset | None = None, every: str = "1d", at: str = "00:00", to: str
) -> Score:
    """Have what is deployed of a model answer a dataset's new rows, on a schedule, and write them to a file.

    The first time all rows are answered, from then on those that became known since.

    Args:
        model: a model that a deployment serves.
        rows: a dataset with the columns of the model's rows; that dataset itself when left out.
        every: whole days.
        at: local time of day, in the rows' time zone.
        to: a ``.parquet`` or ``.csv`` file, relative to the project file: ``"out/{day}.parquet"``;
            ``{environment}`` may stand there, too.

    Raises:
        ProjectError: a value does not fit; says which, with file and line.
    """
    where = called_from(__file__)
    rows = getattr(model, "rows", None) if rows is None else rows
    if not hasattr(model, "declared") or not isinstance(rows, Dataset):
        raise ProjectError(
            "nr.score wants a model, and rows= a dataset",
            hint='nr.score(delay, rows=flights, every="1d", to="out/{day}.parquet")',
            where=where,
        )
    try:
        when = schedule(every, at)
    except ProjectError as error:
        raise ProjectError(error.message, hint=error.hint, where=where) from None
    _check_to(to, where)
    return Score(model, rows, ScoreSpec(name="", when=when, to=to, where=where))


def _check_to(to: Any, where: str) -> None:
    try:
        fields = {name for _, name, _, _ in Formatter().parse(to) if name is not None}
    except (TypeError, ValueError):
        fields = set()
    if "day" not in fields or fields - _FIELDS or Path(to).suffix not in _ENDS:
        raise ProjectError(
            f"to={to!r} is no name for a file a day",
            hint='write for example to="out/{day}.parquet"; .csv, too',
            where=where,
        )
