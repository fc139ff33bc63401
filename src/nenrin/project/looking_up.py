"""What a deployment's requests may leave out, and what stands for a key that no row has."""

from __future__ import annotations

import difflib

from nenrin.core.errors import ProjectError, RequestError
from nenrin.features.entities import Lookup
from nenrin.features.service import FeatureSet
from nenrin.loop.declare import Deployment
from nenrin.training.asking import asked_by


def lookup_of(deployment: Deployment, state: FeatureSet) -> Lookup | None:
    """How rows of requests are looked up by their key; None where they have none.

    Raises:
        ProjectError: ``missing=`` names a column that is not looked up, or a value that does not fit it.
    """
    missing, where = deployment.declared.missing, deployment.declared.where
    if state.by_key is None:
        if missing is None:
            return None
        raise ProjectError(
            f"missing= says what stands for a row that is not there, but nothing is looked up: "
            f"{deployment.model.rows.declared.name} has no key, is too large (NENRIN_JOIN_MEMORY), or "
            "requests bring nothing else",
            hint="leave missing= out, or give the dataset a key=",
            where=where,
        )
    columns = {column.name: column for column in state.by_key[0].columns}
    for name, value in (missing or {}).items():
        if name not in columns:
            near = difflib.get_close_matches(name, list(columns), 1)
            raise ProjectError(
                f"missing= names {name}, which is not looked up",
                hint=f"did you mean {near[0]}?" if near else f"one of {', '.join(columns)}",
                where=where,
            )
        try:
            columns[name].physical(value)
        except RequestError as error:
            raise ProjectError(
                f"missing= does not fit: {error.message}", hint=error.hint, where=where
            ) from None
    time, shift = asked_by(deployment.model)
    read = [column.name for column in state.columns_read]
    return Lookup(
        columns=tuple(name for name in columns if name in read),
        time=time,
        shift=shift,
        missing=missing,
    )
