"""Who was exposed to which version, and what it was answered: read from the prediction log.

A row counts for the version that it was dealt to, whoever answered in its place; answers of a version that
the client named are no part of the split. Who is exposed is what requests stick by: the key, or the column
that was declared for it.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from nenrin.core.errors import RefusedError
from nenrin.serving.deployments import Deployment
from nenrin.serving.logged import sampled
from nenrin.serving.router import key_text

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
    _, found = sampled(
        predictions, lambda p: p.deployment == deployment.name and not p.forced and bool(p.key), 0
    )
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
