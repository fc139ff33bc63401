"""XGBoost: its own binary JSON, read back as what its scikit-learn interface gives.

Format: https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from nenrin.core.errors import MissingExtraError, ProjectError
from nenrin.training.columns import ColumnSpec
from nenrin.training.runtimes.opened import Opened


class XGBoost:
    """XGBoost's UBJSON. It is read back as an ``XGBClassifier`` or an ``XGBRegressor``."""

    name = "xgboost"
    library = "xgboost"
    runs_code = False
    keeps_classes = True  # they are 0, 1, …: XGBoost fits no others

    def takes(self, model: Any, columns: tuple[ColumnSpec, ...], container: str) -> bool:
        """Fitted models whose objective and missing value are XGBoost's own."""
        del columns, container
        kind = type(model)
        if kind.__module__.partition(".")[0] != "xgboost":
            return False
        if kind.__name__ == "Booster":
            return True
        return (
            kind.__name__ in ("XGBClassifier", "XGBRegressor")
            and not callable(model.objective)
            and math.isnan(model.missing)
        )

    def dumps(self, model: Any, project: Path | None) -> bytes:
        """The model as UBJSON."""
        del project
        booster = model.get_booster() if hasattr(model, "get_booster") else model
        return bytes(booster.save_raw("ubj"))

    def loads(self, data: bytes) -> Any:
        """An ``XGBClassifier`` for an objective with classes, else an ``XGBRegressor``; one thread."""
        try:
            import xgboost
        except ModuleNotFoundError as error:
            raise MissingExtraError.of("xgboost", "xgboost") from error
        booster = xgboost.Booster()
        booster.load_model(bytearray(data))
        objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
        classes = objective.startswith(("binary:", "multi:"))
        model = xgboost.XGBClassifier() if classes else xgboost.XGBRegressor()
        model.load_model(bytearray(data))
        model.set_params(n_jobs=1)
        return model


def is_xgboost(data: bytes) -> bool:
    """Whether bytes are a model as XGBoost writes it: JSON or UBJSON."""
    return data[:1] == b"{" and b"learner" in data[:200]


def open_xgboost(data: bytes) -> Opened:
    """The model in a file that XGBoost wrote.

    Raises:
        ProjectError: it splits on categories and does not say which.
        MissingExtraError: XGBoost is not installed.
    """
    model = XGBoost().loads(data)
    booster = model.get_booster()
    kinds = booster.feature_types or []
    if "c" not in kinds:
        return Opened(model, categories=())
    said = booster.get_categories(export_to_arrow=True).to_arrow() or []
    texts = tuple(
        tuple(str(text) for text in values.to_pylist()) for _, values in said if values is not None
    )
    if len(texts) != kinds.count("c"):
        raise ProjectError(
            "the model splits on categories, and its file does not say what they were",
            hint="fit it on a pandas frame with XGBoost 3.1 or newer, and save it again",
        )
    return Opened(model, categories=texts)
