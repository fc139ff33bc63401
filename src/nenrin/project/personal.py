"""What of a deployment's predictions is personal: declared columns, and the features that read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import polars as pl

from nenrin.core.errors import ProjectError
from nenrin.data.declare import Dataset
from nenrin.features.reads import columns_of
from nenrin.features.service import FeatureSet
from nenrin.loop.declare import Deployment
from nenrin.serving.masks import LogRules, Mask


def log_rules(
    deployment: Deployment,
    datasets: Sequence[Dataset],
    frames: Mapping[str, pl.DataFrame],
    features: FeatureSet,
) -> LogRules:
    """How a deployment's predictions are logged, as its datasets and its ``log=`` say.

    A request's column is personal where the rows' dataset says so, or one that a view joins by it. A
    feature is where it is read from a personal column; of several, one that is dropped counts.

    Args:
        deployment: as declared.
        datasets: those that its model reads.
        frames: their frames, by name.
        features: the model's.

    Raises:
        ProjectError: ``personal=`` names a column that its dataset does not have.
    """
    rows = deployment.model.rows
    personal = {dataset.declared.name: _checked(dataset, frames) for dataset in datasets}
    own = personal[rows.declared.name]
    row: dict[str, Mask] = {}
    for part in features.parts.values():
        for name in part.traced.by:
            if name in (theirs := personal[part.traced.dataset]):
                row[name] = theirs[name]
    read: dict[str, Mask] = {}
    for name, (dataset, columns) in columns_of(features).items():
        said = personal[dataset] if dataset else own
        masks = {said[column] for column in columns if column in said}
        if masks:
            read[name] = "drop" if "drop" in masks else "hash"
    return LogRules(durable=deployment.declared.log == "durable", row={**row, **own}, features=read)


def _checked(dataset: Dataset, frames: Mapping[str, pl.DataFrame]) -> dict[str, Mask]:
    spec = dataset.declared
    columns = [name for name in frames[spec.name].columns if not name.startswith("__")]
    absent = [name for name in spec.personal if name not in columns]
    if absent:
        raise ProjectError(
            f"personal= names {absent[0]!r}, which {spec.name} does not have",
            hint=f"its columns are {', '.join(columns)}",
            where=spec.where,
        )
    return cast("dict[str, Mask]", spec.personal)
