"""CatBoost: its own binary, without the instant and the id that it draws for every fit."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from nenrin.core.errors import MissingExtraError
from nenrin.training.columns import ColumnSpec
from nenrin.training.runtimes.opened import Opened, flat

_DRAWN = ("train_finish_time", "model_guid")
_CLASSES = ("Logloss", "CrossEntropy", "MultiClass", "MultiClassOneVsAll")


class CatBoost:
    """CatBoost's binary (``cbm``). It is read back as a :class:`CatBoosted`."""

    name = "catboost"
    library = "catboost"
    runs_code = False
    keeps_classes = True

    def takes(self, model: Any, columns: tuple[ColumnSpec, ...], container: str) -> bool:
        """Fitted models whose loss is CatBoost's own."""
        del columns, container
        if isinstance(model, CatBoosted):
            return True
        kind = type(model)
        return (
            kind.__module__.partition(".")[0] == "catboost"
            and kind.__name__ in ("CatBoost", "CatBoostClassifier", "CatBoostRegressor")
            and isinstance(model.get_param("loss_function"), str | None)
        )

    def dumps(self, model: Any, project: Path | None) -> bytes:
        """The model as ``cbm``; CatBoost writes only to files."""
        del project
        settled = (model.model if isinstance(model, CatBoosted) else model).copy()
        said = settled.get_metadata()
        for name in _DRAWN:
            said[name] = ""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.cbm"
            settled.save_model(str(path), format="cbm")
            return path.read_bytes()

    def loads(self, data: bytes) -> Any:
        """The model, as a :class:`CatBoosted` that knows its classes or as one that does not."""
        try:
            import catboost
        except ModuleNotFoundError as error:
            raise MissingExtraError.of("catboost", "catboost") from error
        model = catboost.CatBoost().load_model(blob=data)
        loss = str(model.get_all_params().get("loss_function", "")).partition(":")[0]
        classes = len(model.classes_) > 0 or loss in _CLASSES
        return CatBoostedClasses(model) if classes else CatBoosted(model)


class CatBoosted:
    """A CatBoost model that is asked with one thread, and bears missing categories.

    CatBoost refuses a missing category. It is given the text ``nan``, which pandas' ``astype(str)``
    makes of one; where training had none, that is a category that it has not seen.

    Attributes:
        model: the ``catboost.CatBoost``.
        n_features_in_: how many columns it takes.
        feature_names_in_: their names; ``None`` where it was fitted without.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        names = [str(name) for name in model.feature_names_]
        unnamed = names == [str(place) for place in range(len(names))]
        self.n_features_in_ = len(names)
        self.feature_names_in_ = None if unnamed else names
        self._texts = model.get_cat_feature_indices()

    def predict(self, container: Any) -> np.ndarray:
        """One number a row, shape (n,)."""
        return flat(self._ask(container, "RawFormulaVal"))

    def _ask(self, container: Any, kind: str) -> np.ndarray:
        rows = self._borne(container) if self._texts else container
        answer: np.ndarray = self.model.predict(rows, prediction_type=kind, thread_count=1)
        return answer

    def _borne(self, frame: Any) -> Any:
        for place in self._texts:
            name = frame.columns[place]
            column = frame[name].astype(object)
            if frame[name].dtype.kind == "f":  # whole numbers of which one is missing
                column = column.map(lambda each: each if each != each else int(each))
            frame[name] = column.where(column.notna(), "nan")
        return frame


class CatBoostedClasses(CatBoosted):
    """A CatBoost classifier. Attributes: ``classes_`` besides those of :class:`CatBoosted`."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.classes_ = np.asarray(model.classes_) if len(model.classes_) else np.arange(2)

    def predict_proba(self, container: Any) -> np.ndarray:
        """The probability of each class, shape (n, classes)."""
        return self._ask(container, "Probability")


def open_catboost(data: bytes) -> Opened:
    """The model in a file that CatBoost wrote as ``cbm``; it is given texts as they are."""
    return Opened(CatBoost().loads(data))
