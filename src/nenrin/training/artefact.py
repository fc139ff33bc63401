"""Model artefacts: one blob a model, which knows the columns it takes and predicts from them.

The bytes are a header (format, container, columns with their training vocabularies, task, versions of
the libraries) and the model in its format. Predicting builds the container that the model was fitted
on, with the categories of training, never of the request.
"""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from nenrin.core.errors import IntegrityError, NenrinError, RefusedError, StepError
from nenrin.training.columns import ColumnSpec, FeatureColumn, RowEncoder, encode_as, recode
from nenrin.training.containers import Frames, asking, labels, to_numpy
from nenrin.training.declare import Predictor
from nenrin.training.formats import fitted_names, format_for, format_named, unwrapped, wrapped
from nenrin.training.meter import Meter
from nenrin.training.records import Records
from nenrin.training.runtimes.torching import adopted

_MAGIC = b"nenrin-model-1\n\0"
_DISTRIBUTIONS = {"sklearn": "scikit-learn"}


class Header(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an artefact says of itself.

    Attributes:
        format: how the model is written (``nenrin.training.formats``).
        container: what the model function asked for: ``pandas``, ``polars`` or ``numpy``.
        columns: the features, in order, with the vocabularies of training.
        task: ``binary`` or ``regression``.
        model: name of the declared model.
        where: ``file:line`` of its declaration.
        libraries: versions of the libraries that wrote it.
        positive: the positive class of a classifier fitted elsewhere; 1 if none is named.
        labelled: its frame calls columns by their ``labels``, where these are not their names.
    """

    format: str
    container: str
    columns: tuple[ColumnSpec, ...]
    task: str
    model: str
    where: str
    libraries: dict[str, str]
    positive: str | int | float | None = None
    labelled: bool = False


class Artefact:
    """A fitted model that predicts. Attributes: ``header``, and ``model``, the library's object."""

    def __init__(self, header: Header, model: Any) -> None:
        self.header = header
        self.model = model
        self._rows = RowEncoder(header.columns)
        self._names = tuple(column.name for column in header.columns)
        self._frames = Frames(labels(self._names) if header.labelled else self._names)
        # what takes a matrix is asked with a request's own, if no column has to be encoded
        self._takes_block = header.format == "lightgbm" and all(
            column.kind == "number" for column in header.columns
        )

    @property
    def elsewhere(self) -> bool:
        """Whether another server answers."""
        return self.header.format in ("remote", "container")

    @classmethod
    def loads(cls, data: bytes, *, trusted: bool = False) -> Artefact:
        """The artefact that :func:`dump` wrote.

        Args:
            data: its bytes.
            trusted: they come from the store that kept them, so that code in them may run.

        Raises:
            IntegrityError: the bytes are no artefact.
            RefusedError: they hold a pickle and are not ``trusted``, or are of an unknown format.
            MissingExtraError: the model's library is not installed.
        """
        header, body = _split(data)
        written = format_named(header.format)
        if written.runs_code and not trusted:
            raise RefusedError(
                f"model {header.model} is a pickle, and reading it runs code",
                hint="only the store that wrote it reads it back; train it anew here",
                where=header.where,
            )
        return cls(header, unwrapped(written.loads(body)))

    def predict(self, frame: pl.DataFrame) -> np.ndarray:
        """Predictions for the rows of a feature frame; columns that the model does not know are left out.

        Returns:
            float64 of shape (n,): the probability of the positive class, or numbers.

        Raises:
            RequestError: a column is absent or of another kind.
            StepError: the model raised, or gave something else than n numbers.
        """
        return self.predict_columns(encode_as(self.header.columns, frame))

    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Predictions for a few rows given as dicts, without a frame where the model's format allows.

        Of :class:`~nenrin.training.records.Records` the columns are read, and no dict is made.

        Raises:
            RequestError, StepError: as :meth:`predict`.
        """
        if self._takes_block and isinstance(rows, Records) and len(rows):
            block = rows.matrix(self._names)
            if block is not None:
                return self._checked(self.model.predict(block, num_threads=1), len(rows))
        return self._predicted(self._rows.encode(rows), Meter())

    def predict_columns(
        self, columns: Sequence[FeatureColumn], meter: Meter | None = None
    ) -> np.ndarray:
        """Predictions for encoded rows, over any vocabularies.

        Args:
            columns: those that the model knows, in any order; others are left out.
            meter: told of the CPU time inside the model's ``predict``.
        """
        return self._predicted(recode(columns, self.header.columns), meter or Meter())

    def _predicted(self, ours: Sequence[FeatureColumn], meter: Meter) -> np.ndarray:
        n = len(ours[0].values) if ours else 0
        if n == 0:
            return np.empty(0)
        if self.header.format == "lightgbm":
            # A Booster takes categories as their places: no pandas frame is needed to ask it.
            matrix = to_numpy(ours)
            with meter.users():
                answer = self.model.predict(matrix, num_threads=1)
        else:
            answer = self._ask(self._container(ours), meter)
        return self._checked(answer, n)

    def _container(self, columns: Sequence[FeatureColumn]) -> Any:
        if self.header.container == "numpy":
            return to_numpy(columns)
        pandas = self.header.container == "pandas"
        return self._frames.pandas(columns) if pandas else self._frames.polars(columns)

    def _ask(self, container: Any, meter: Meter) -> Any:
        try:
            with meter.users(), asking(self.header.container):
                return _answer(self.model, container, self.header)
        except NenrinError:
            raise
        except Exception as error:
            raise StepError.of(
                error,
                f"predicting with {self.header.model} raised {type(error).__name__}: {error}",
                hint="prediction gives the model the container that its function asked rows for, "
                "with all features: fit on it as it is, or return nr.predictor(…)",
                where=self.header.where,
            ) from error

    def _checked(self, answer: Any, n: int) -> np.ndarray:
        try:
            numbers = np.asarray(answer, dtype=np.float64)
        except (TypeError, ValueError):
            numbers = np.empty(())
        if numbers.shape == (n, 1):
            numbers = numbers[:, 0]
        if numbers.shape != (n,):
            raise StepError(
                f"{self.header.model} predicted {_spell(answer)} for {n} rows",
                hint="predict one number a row; a binary model the probability of the positive class",
                where=self.header.where,
            )
        return numbers


def dump(
    model: Any,
    *,
    name: str,
    where: str,
    task: str,
    container: str,
    columns: tuple[ColumnSpec, ...],
    project: Path | None = None,
    positive: str | int | float | None = None,
    labelled: bool = False,
) -> bytes:
    """A fitted model as the bytes of an artefact; equal models give equal bytes.

    Args:
        model: what the model function returned.
        name: of the declared model.
        where: ``file:line`` of its declaration.
        task: ``binary`` or ``regression``.
        container: the container that it was fitted on.
        columns: its features, with the vocabularies of training.
        project: folder of the project, whose modules a pickle carries with it.
        positive: what its positive class is called; None is 1.
        labelled: it was fitted on a frame whose columns are called by their ``labels``.

    Raises:
        StepError: it does not predict, was fitted on other columns than ``rows`` gives, or cannot be
            written.
    """
    if not _predicts(model := adopted(model)):
        raise StepError(
            f"{name} returned {_spell(model)}, which does not predict",
            hint="return a fitted model with predict or predict_proba, or nr.predictor(…)",
            where=where,
        )
    names = [column.name for column in columns]
    given = labels(names) if labelled else names
    _check_names(model, name, where, given)
    chosen = format_for(model, columns, container, classes=positive is not None)
    header = Header(
        format=chosen.name,
        container=container,
        columns=columns,
        task=task,
        model=name,
        where=where,
        libraries=_versions(chosen.library, container, type(model).__module__.partition(".")[0]),
        positive=positive,
        labelled=given != names,
    )
    try:
        body = chosen.dumps(wrapped(model), project)
    except Exception as error:
        raise StepError(
            f"the model that {name} returned cannot be kept: {type(error).__name__}: {error}",
            hint="return nr.predictor(object, predict=…, save=…, load=…)",
            where=where,
        ) from error
    head = msgspec.msgpack.encode(header)
    return _MAGIC + len(head).to_bytes(8, "little") + head + body


def describe(data: bytes) -> Header:
    """The header of an artefact, without reading the model.

    Raises:
        IntegrityError: the bytes are no artefact.
    """
    return _split(data)[0]


def _split(data: bytes) -> tuple[Header, bytes]:
    start = len(_MAGIC) + 8
    if data[: len(_MAGIC)] != _MAGIC:
        raise IntegrityError("these bytes are no model", hint="train the model again")
    size = int.from_bytes(data[len(_MAGIC) : start], "little")
    header = msgspec.msgpack.decode(data[start : start + size], type=Header)
    return header, data[start + size :]


def _check_names(model: Any, name: str, where: str, given: list[str]) -> None:
    """Refuse a model fitted on other columns, or in another order, than prediction will give it.

    LightGBM would not notice the order, and answer wrong.
    """
    fitted = fitted_names(model)
    underlined = [name.replace(" ", "_") for name in given]  # as LightGBM writes them
    if fitted is not None and fitted not in (given, underlined):
        raise StepError(
            f"{name} was fitted on {', '.join(fitted)}; rows gives {', '.join(given)}",
            hint="fit on the container as rows gives it, or return nr.predictor(…) that picks the columns",
            where=where,
        )


def _predicts(model: Any) -> bool:
    return isinstance(model, Predictor) or any(
        callable(getattr(model, verb, None)) for verb in ("predict", "predict_proba")
    )


def _answer(model: Any, container: Any, header: Header) -> Any:
    if isinstance(model, Predictor):
        return model.predict(model.object, container)
    if header.task == "binary" and hasattr(model, "predict_proba"):
        positive = 1 if header.positive is None else header.positive
        return _positive(model, np.asarray(model.predict_proba(container)), positive)
    return model.predict(container)


def _positive(model: Any, probabilities: np.ndarray, positive: str | float) -> np.ndarray:
    """The column of the positive class; a model that saw one class only is sure of it."""
    if probabilities.ndim != 2:
        return probabilities
    classes = list(getattr(model, "classes_", range(probabilities.shape[1])))
    if positive in classes:
        return probabilities[:, classes.index(positive)]
    return np.zeros(len(probabilities))


def _versions(*modules: str) -> dict[str, str]:
    """Versions of what must be installed to read and ask the model; the project's own have none."""
    names = {_DISTRIBUTIONS.get(module, module) for module in (*modules, "numpy")}
    versions = {name: _version(name) or _version(f"{name}-cpu") for name in sorted(names)}
    return {name: version for name, version in versions.items() if version}


@functools.cache
def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _spell(answer: Any) -> str:
    shape = getattr(answer, "shape", None)
    kind = type(answer).__name__
    return f"a {kind} of shape {tuple(shape)}" if shape is not None else f"a {kind}"
