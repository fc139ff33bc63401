"""What stands before the trees: imputers, scalers and encoders of scikit-learn, feature by feature.

A text has as many values as the training's vocabulary, and one for missing: what encoders make of it is
a table, filled here. A number is filled in, shifted and scaled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nenrin.training.columns import ColumnSpec
from nenrin.training.compiling.forest import NotCompiledError

_MOST_VALUES = 1 << 20


@dataclass(frozen=True, slots=True)
class Number:
    """Column ``source``: ``fill`` in place of NaN, less ``minus``, divided by ``over``."""

    source: int
    fill: float = float("nan")
    minus: float = 0.0
    over: float = 1.0


@dataclass(frozen=True, slots=True)
class Texts:
    """Column ``source``: its text by place in the vocabulary, the last for missing; ``none``: not NaN."""

    source: int
    texts: tuple[str | None, ...]
    none: bool


@dataclass(frozen=True, slots=True)
class Table:
    """Column ``source``: float64 (places + 1,), a number by place in the vocabulary, the last for missing."""

    source: int
    values: np.ndarray


Feature = Number | Texts | Table


def columns(specs: Sequence[ColumnSpec], container: str) -> list[Feature]:
    """The columns as the model is given them in its container.

    Raises:
        NotCompiledError: a column of texts has no vocabulary of training.
    """
    found: list[Feature] = []
    for place, spec in enumerate(specs):
        if spec.kind != "string":
            found.append(Number(place))
        elif spec.vocabulary is None:
            raise NotCompiledError(f"{spec.name}, whose texts are open")
        else:
            found.append(Texts(place, (*spec.vocabulary, None), container == "polars"))
    return found


def through(step: Any, features: list[Feature]) -> list[Feature]:
    """What a fitted transformer makes of features.

    Raises:
        NotCompiledError: it is not known here, or not over these features.
    """
    if step is None or (isinstance(step, str) and step == "passthrough"):
        return features
    name = type(step).__name__
    if name == "Pipeline":
        for _, each in step.steps:
            features = through(each, features)
        return features
    if name == "ColumnTransformer":
        return _beside(step, features)
    if name == "FunctionTransformer" and step.func is None:
        return features
    if name not in _STEPS or type(step).__module__.partition(".")[0] != "sklearn":
        raise NotCompiledError(f"{name} before the model")
    found = _STEPS[name](step, features)
    if sum(len(each.values) for each in found if isinstance(each, Table)) > _MOST_VALUES:
        raise NotCompiledError(f"{name} over so many texts")
    return found


def as_categories(features: Sequence[Feature], encoder: Any) -> list[Feature]:
    """Texts as an ``OrdinalEncoder`` numbers them; unknown and missing ones are missing."""
    found: list[Feature] = []
    for feature, categories in zip(features, encoder.categories_, strict=True):
        if not isinstance(feature, Texts):
            raise NotCompiledError("categories that are no texts")
        found.append(Table(feature.source, _numbered(feature, categories, float("nan"))))
    return found


def _beside(step: Any, features: list[Feature]) -> list[Feature]:
    """A ``ColumnTransformer``: its parts' features side by side."""
    if step.transformer_weights:
        raise NotCompiledError("a ColumnTransformer with weights")
    found: list[Feature] = []
    for name, part, _ in step.transformers_:
        if isinstance(part, str) and part == "drop":
            continue
        chosen = [features[place] for place in step._transformer_to_input_indices[name]]
        if chosen:
            found += through(part, chosen)
    return found


def _imputed(step: Any, features: list[Feature]) -> list[Feature]:
    missing = step.missing_values
    if step.add_indicator or not (missing is None or missing != missing):
        raise NotCompiledError(
            "a SimpleImputer that marks what is missing, or takes something else for it"
        )
    found: list[Feature] = []
    for feature, given in zip(features, step.statistics_, strict=True):
        if isinstance(feature, Texts):
            here = feature.none == (
                missing is None
            )  # what it takes for missing is how it is written
            texts = [given if each is None and here else each for each in feature.texts]
            found.append(replace(feature, texts=tuple(texts)))
            continue
        if not np.isfinite(float(given)):
            raise NotCompiledError("a SimpleImputer of a column without values")
        if isinstance(feature, Table):
            filled = np.where(np.isnan(feature.values), float(given), feature.values)
            found.append(Table(feature.source, filled))
        elif (feature.minus, feature.over) == (0.0, 1.0):
            filled_before = not np.isnan(feature.fill)
            found.append(feature if filled_before else replace(feature, fill=float(given)))
        else:
            raise NotCompiledError("a SimpleImputer behind a scaler")
    return found


def _scaled(step: Any, features: list[Feature]) -> list[Feature]:
    minus = step.mean_ if step.with_mean else np.zeros(len(features))
    over = step.scale_ if step.with_std else np.ones(len(features))
    found: list[Feature] = []
    for feature, mean, scale in zip(features, minus, over, strict=True):
        if isinstance(feature, Table):
            found.append(Table(feature.source, (feature.values - mean) / scale))
        elif isinstance(feature, Number) and (feature.minus, feature.over) == (0.0, 1.0):
            found.append(replace(feature, minus=float(mean), over=float(scale)))
        else:
            raise NotCompiledError("a StandardScaler over texts, or over what is scaled")
    return found


def _one_hot(step: Any, features: list[Feature]) -> list[Feature]:
    _refuse_rare(step)
    dropped = step.drop_idx_ if step.drop_idx_ is not None else [None] * len(features)
    found: list[Feature] = []
    for feature, categories, left_out in zip(features, step.categories_, dropped, strict=True):
        places = _places(feature, categories, step.handle_unknown)
        assert isinstance(feature, Texts)
        found += [
            Table(feature.source, (places == place).astype(np.float64))
            for place in range(len(categories))
            if place != left_out
        ]
    return found


def _ordinal(step: Any, features: list[Feature]) -> list[Feature]:
    _refuse_rare(step)
    unknown = step.unknown_value if step.handle_unknown == "use_encoded_value" else None
    found: list[Feature] = []
    for feature, categories in zip(features, step.categories_, strict=True):
        places = _places(feature, categories, step.handle_unknown)
        values = np.where(places < 0, np.nan if unknown is None else unknown, places.astype(float))
        for place, each in enumerate(categories):
            if each is not None and _is_missing(each):  # None is a category like any other
                values[places == place] = step.encoded_missing_value
        assert isinstance(feature, Texts)
        found.append(Table(feature.source, values))
    return found


def _refuse_rare(step: Any) -> None:
    if step.min_frequency is not None or step.max_categories is not None:
        raise NotCompiledError(f"a {type(step).__name__} that groups rare texts")


def _places(feature: Feature, categories: Sequence[Any], unknown: str) -> np.ndarray:
    """The category of each text; -1 where it has none. A missing text that is refused is found by asking."""
    if not isinstance(feature, Texts):
        raise NotCompiledError("an encoder over numbers")
    places = _numbered(feature, categories, -1.0).astype(np.int64)
    strangers = [
        text for text, at in zip(feature.texts, places, strict=True) if at < 0 and text is not None
    ]
    if strangers and unknown == "error":
        raise NotCompiledError(f"an encoder that refuses {strangers[0]!r}")
    return places


def _numbered(feature: Texts, categories: Sequence[Any], otherwise: float) -> np.ndarray:
    number = {None if _is_missing(each) else each: at for at, each in enumerate(categories)}
    return np.array([number.get(text, otherwise) for text in feature.texts], np.float64)


def _is_missing(category: Any) -> bool:
    return category is None or category != category


_STEPS: dict[str, Callable[[Any, list[Feature]], list[Feature]]] = {
    "OneHotEncoder": _one_hot,
    "OrdinalEncoder": _ordinal,
    "SimpleImputer": _imputed,
    "StandardScaler": _scaled,
}
