"""Who was exposed to which version, and what it was answered: read from the prediction log.

A row counts for the version that it was dealt to, whoever answered in its place. Answers of a version that
the client named, and those of batches, are no part of the split. Who is exposed is what requests stick by:
the key, or the column that was declared for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

import polars as pl

from nenrin.core.errors import RefusedError
from nenrin.serving.batch.logging import FIRST
from nenrin.serving.deployments import Deployment
from nenrin.serving.prediction import Prediction
from nenrin.serving.router import key_text
from nenrin.serving.segments import folders, read_predictions

SCHEMA = pl.Schema(
    {
        "unit": pl.String,
        "key": pl.String,
        "version": pl.String,
        "at": pl.Int64,
        "asked": pl.Int64,
        "answer": pl.Float64,
    }
)


def exposed(predictions: Path, deployment: Deployment) -> pl.DataFrame:
    """A row for every answer that was dealt by key, oldest first, as :data:`SCHEMA` says.

    ``at`` and ``asked`` are microseconds UTC; ``answer`` is null where it is a text.
    """
    request = deployment.request
    by = "" if request.sticky_header else request.sticky
    found = sorted(_dealt(predictions, deployment.name), key=attrgetter("at"))
    rows = [
        (
            key_text([each.row[by]]) if each.row.get(by) is not None else each.key,
            each.key,
            each.instead_of or each.version,
            each.at,
            each.asked,
            float(each.answer) if isinstance(each.answer, int | float) else None,
        )
        for each in found
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _dealt(predictions: Path, name: str) -> Iterator[Prediction]:
    """What planes answered by key: batches deal by the route that they began with, or by none."""
    for folder in folders(predictions):
        if folder != predictions and int(folder.name) < FIRST:
            for each in read_predictions(folder):
                if each.deployment == name and not each.forced and each.key:
                    yield each


def refuse_unreadable(deployment: Deployment) -> None:
    """Let no experiment begin whose exposures the log does not tell.

    Raises:
        RefusedError: requests stick by a header, which is not logged; or rows have no key, or a personal
            one, of which the log has a digest alone.
    """
    request = deployment.request
    if request.sticky_header:
        raise RefusedError(
            f"requests of {deployment.name!r} stick by the header {request.sticky!r}, which is not logged",
            hint='let them stick by a column of the rows: sticky="user_id"',
            where=deployment.name,
        )
    if not request.key:
        raise RefusedError(
            f"rows of {deployment.name!r} have no key to deal them by",
            hint="declare the key of the rows' dataset",
            where=deployment.name,
        )
    if any(column in deployment.log.row for column in request.key):
        raise RefusedError(
            f"the key of {deployment.name!r} is personal: the log has its digest, which joins no outcome",
            hint="take a key that names nobody",
            where=deployment.name,
        )
