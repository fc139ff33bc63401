"""From a model artefact to what is compiled of it: the features before its trees, and the trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nenrin.training.artefact import Artefact
from nenrin.training.compiling.before import Feature, Number, Texts, as_categories, columns, through
from nenrin.training.compiling.boosters import classes_asked, lightgbm_forest, xgboost_forest
from nenrin.training.compiling.forest import Forest, NotCompiledError
from nenrin.training.compiling.scikit import scikit_forest
from nenrin.training.declare import Predictor


@dataclass(frozen=True, slots=True)
class Readout:
    """What a model does.

    Attributes:
        features: made from the columns, in the trees' order.
        forest: the trees.
    """

    features: tuple[Feature, ...]
    forest: Forest


def read(artefact: Artefact) -> Readout:
    """What an artefact does to the columns that it knows.

    Raises:
        NotCompiledError: something in it is not known here; says what.
    """
    header, model = artefact.header, artefact.model
    if isinstance(model, Predictor):
        raise NotCompiledError("an nr.predictor, whose functions are yours")
    features = columns(header.columns, header.container)
    while type(model).__name__ == "Pipeline":
        for _, step in model.steps[:-1]:
            features = through(step, features)
        model = model.steps[-1][1]
    positive = 1 if header.positive is None else header.positive
    asks = header.task == "binary" and hasattr(model, "predict_proba")
    if not asks and hasattr(model, "classes_"):
        raise NotCompiledError("a classifier that is asked for its classes")
    library = type(model).__module__.partition(".")[0]
    if library == "sklearn" and type(model).__name__.startswith("Hist"):
        features = _sorted_by_histograms(model, features)
    forest = _forest(model, library, positive)
    made = tuple(Number(f.source) if isinstance(f, Texts) else f for f in features)
    _check(made, features, forest, library)
    return Readout(made, forest)


def _forest(model: Any, library: str, positive: Any) -> Forest:
    if library == "lightgbm":
        booster = getattr(model, "booster_", model)
        answer = _class_of(model, positive)
        return lightgbm_forest(booster.model_to_string(), answer)
    if library == "xgboost":
        booster = model.get_booster() if hasattr(model, "get_booster") else model
        if hasattr(model, "best_iteration") and _stopped_early(model):
            booster = booster[: model.best_iteration + 1]
        return xgboost_forest(booster.save_raw("json"), _class_of(model, positive))
    if library == "sklearn":
        return scikit_forest(model, positive)
    raise NotCompiledError(f"a model of {library}")


def _stopped_early(model: Any) -> bool:
    try:
        return model.best_iteration is not None
    except AttributeError:
        return False


def _class_of(model: Any, positive: Any) -> int:
    """The place of the class that is asked for; of two it is the second."""
    classes = getattr(model, "classes_", None)
    if classes is None:
        return 0
    place = classes_asked(classes, positive)
    if len(classes) == 2 and place != 1:
        raise NotCompiledError("the first of two classes")
    return place


def _sorted_by_histograms(model: Any, features: list[Feature]) -> list[Feature]:
    """HistGradientBoosting looks at its categories first, as it numbers them itself."""
    if getattr(model, "_preprocessor", None) is None:
        return features
    mask = np.asarray(model.is_categorical_, bool)
    if len(mask) != len(features):
        raise NotCompiledError("HistGradientBoosting over other columns")
    encoder = model._preprocessor.named_transformers_["encoder"]
    text = [feature for feature, is_text in zip(features, mask, strict=True) if is_text]
    rest = [feature for feature, is_text in zip(features, mask, strict=True) if not is_text]
    return [*as_categories(text, encoder), *rest]


def _check(
    made: Sequence[Feature], features: Sequence[Feature], forest: Forest, library: str
) -> None:
    if len(made) != forest.features:
        raise NotCompiledError(f"{forest.features} features of {len(made)}")
    if library == "sklearn" and any(isinstance(each, Texts) for each in features):
        raise NotCompiledError("texts that nothing encodes")
