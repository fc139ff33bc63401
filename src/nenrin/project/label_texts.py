"""Texts that a load brings into a label's column and that no load before held.

``label=customers.churned == "Yes"`` takes every other text for false: a new one, such as *Maybe*, would be
learned as *No* without a word.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from nenrin.data.declare import Comparison, Dataset
from nenrin.data.service import DataService
from nenrin.data.versions import DatasetVersion
from nenrin.training.declare import Model

_MOST_SHOWN = 5


def new_label_texts(
    data: DataService,
    dataset: Dataset,
    models: Iterable[Model],
    before: DatasetVersion | None,
    now: DatasetVersion,
) -> list[str]:
    """What to tell of the load that made ``now``, one sentence a label of ``models`` with new texts."""
    labels = {
        str(model.label): model.label
        for model in models
        if isinstance(model.label, Comparison) and model.label.column.dataset is dataset
    }
    if not labels or before is None or before.manifest == now.manifest:
        return []
    said = []
    for spelled, label in sorted(labels.items()):
        new = _texts(data, now, label.column.name) - _texts(data, before, label.column.name)
        new.discard(str(label.value))
        if new:
            shown = ", ".join(repr(text) for text in sorted(new)[:_MOST_SHOWN])
            others = " and others" if len(new) > _MOST_SHOWN else ""
            taken = "true" if label.op == "!=" else "false"
            said.append(
                f"{label.column} holds {shown}{others}, as no load before: the label {spelled} is "
                f"{taken} there; if that is wrong, mend these rows and load them again"
            )
    return said


def _texts(data: DataService, version: DatasetVersion, column: str) -> set[str]:
    if column not in data.manifest(version).schema:
        return set()
    values = data.frame(version, columns=[column]).get_column(column)
    return set(values.drop_nulls().unique()) if values.dtype == pl.String else set()
