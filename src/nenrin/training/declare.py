"""The words of this room in a project file: ``nr.model``, ``nr.import_model``, ``nr.remote`` and others.

A declaration only builds an object; nothing is read or trained before somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from nenrin.core.called import called_from
from nenrin.core.errors import ProjectError
from nenrin.core.instants import SECOND, declared_duration
from nenrin.core.jobs import Needs
from nenrin.data.declare import Column, Comparison, Dataset, Shifted
from nenrin.pipelines.needs import checked
from nenrin.training.checks import check_baseline, check_sources, check_tune
from nenrin.training.metrics import check_metric, check_task
from nenrin.training.spaces import Space

if TYPE_CHECKING:
    from nenrin.features.declare import FeatureView

CONTAINERS = ("pandas", "polars", "numpy")
_CODE = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".pt2")
_URLS = ("http://", "https://")


class Imported(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A fitted model in a file of the project, behind a URL, or in a container.

    Attributes:
        path: relative to the project file; or the URL, or the container's image.
        container: what its ``predict`` takes, ``pandas``, ``polars`` or ``numpy``; empty for what its
            file says.
        trust: the project vouches for a file that can run code when it is read.
        timeout: seconds that a server has to answer; 0 for a file.
        model: what a container calls the model.
        port: where a container listens; 0 for what is none.
    """

    path: str
    container: str
    trust: bool
    timeout: float = 0.0
    model: str = ""
    port: int = 0


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a project file says of a model, apart from the objects that it names.

    Attributes:
        name: as the project calls it.
        metric: what it is judged by; ``None`` is the task's own (``log_loss``, ``rmse``).
        baseline: what it must beat: ``"prior"``, the mean label of the training rows.
        tune: parameters of the function, and what they may be.
        drop: columns of the rows that are no features, where ``features=`` is left out.
        task: ``binary`` or ``regression``; ``None`` is inferred from the label.
        imported: the file it comes from, where nothing is trained.
        needs: what a fit or a trial takes of a machine.
        where: ``file:line`` of the declaration.
    """

    name: str
    metric: str | None = None
    baseline: str = "prior"
    tune: dict[str, Space] = {}
    drop: tuple[str, ...] = ()
    task: str | None = None
    imported: Imported | None = None
    needs: Needs = Needs()
    where: str = ""


class Model:
    """A declared model. Calling it calls the function.

    Attributes:
        declared: its :class:`ModelSpec`.
        rows: the dataset whose rows are predicted.
        label: what is predicted: a column, or a comparison of one.
        features: the feature views; ``None`` means every column of the rows that is not key, time,
            label or dropped.
        at: when the prediction is asked for; ``None`` means at the row's event time.
        function: ``(rows, **parameters) -> model``; ``None`` for an imported model.
    """

    __slots__ = ("at", "declared", "features", "function", "label", "rows")

    def __init__(
        self,
        declared: ModelSpec,
        *,
        rows: Dataset,
        label: Column | Comparison,
        features: tuple[FeatureView, ...] | None,
        at: Column | Shifted | None = None,
        function: Callable[..., Any] | None = None,
    ) -> None:
        self.declared = declared
        self.rows = rows
        self.label = label
        self.features = features
        self.at = at
        self.function = function

    def __call__(self, *args: Any, **parameters: Any) -> Any:
        """What the decorated function returns."""
        if self.function is None:
            raise ProjectError(
                f"{self.declared.name} is imported: there is nothing to call",
                hint="its predictions come from the registered version",
                where=self.declared.where,
            )
        return self.function(*args, **parameters)

    def named(self, name: str) -> Model:
        """Tell an imported model what the project calls it. The first name stays."""
        if not self.declared.name:
            self.declared = msgspec.structs.replace(self.declared, name=name)
        return self

    @property
    def label_column(self) -> Column:
        """The column that the label is, or compares."""
        return self.label.column if isinstance(self.label, Comparison) else self.label

    def __repr__(self) -> str:
        return f"<model {self.declared.name}>"


@dataclass(frozen=True, slots=True, eq=False)
class Predictor:
    """Anything that predicts, with the functions that predict, save and load it."""

    object: Any
    predict: Callable[[Any, Any], Any]
    save: Callable[[Any], bytes] | None = None
    load: Callable[[bytes], Any] | None = None


def predictor(
    object: Any,  # noqa: A002 - the word a project file reads best with
    *,
    predict: Callable[[Any, Any], Any],
    save: Callable[[Any], bytes] | None = None,
    load: Callable[[bytes], Any] | None = None,
) -> Predictor:
    """Wrap what a model function returns when it has no ``predict`` of its own.

    Args:
        object: the fitted thing.
        predict: ``(object, container) -> n numbers``, the container being what the function asked
            ``rows`` for; a binary model gives the probability of the positive class.
        save: ``object -> bytes``; without, the object is pickled.
        load: ``bytes -> object``, the inverse; given together with ``save``.

    Raises:
        ProjectError: one of ``save`` and ``load`` is missing, or something is not a function.
    """
    given = [function for function in (predict, save, load) if function is not None]
    if not all(callable(function) for function in given) or (save is None) != (load is None):
        raise ProjectError(
            "nr.predictor wants functions: predict, and save with load or neither",
            hint="write nr.predictor(net, predict=forward, save=to_bytes, load=from_bytes)",
            where=called_from(__file__),
        )
    return Predictor(object, predict, save, load)


def model(
    *,
    rows: Dataset,
    label: Column | Comparison,
    features: Sequence[FeatureView] | None = None,
    metric: str | None = None,
    baseline: str = "prior",
    tune: Mapping[str, Space] | None = None,
    drop: Sequence[str] = (),
    at: Column | Shifted | None = None,
    task: str | None = None,
    resources: Needs = Needs(),  # noqa: B008 - immutable
) -> Callable[[Callable[..., Any]], Model]:
    """Declare the decorated function, which takes rows and returns a fitted model.

    Args:
        rows: the dataset with one row for each prediction.
        label: what is predicted: a column of ``rows`` or of a dataset with the same key, or such a
            column compared with a value.
        features: feature views; left out, every column of the rows but key, time, label and ``drop``.
        metric: what the model is judged by; ``log_loss`` or ``rmse`` when left out.
        baseline: what it must beat.
        tune: parameters of the function and their spaces: ``{"num_leaves": nr.integers(7, 63)}``.
        drop: columns of the rows that are no features; only without ``features``.
        at: when the prediction is asked for, as a column of the rows, ``flights.sched_dep - "2h"``.
        task: ``binary`` or ``regression``; inferred from the label when left out.
        resources: what each fit and each trial takes of a machine, ``nr.resources(cpus=2, memory="8GB")``.

    Raises:
        ProjectError: an argument is not of its kind, or does not fit another; says file and line.
    """
    where = called_from(__file__)
    needs = checked(resources, where)
    check_sources(rows, label, features, drop, at, where)
    check_task(task, where)
    check_metric(metric, task, where)
    check_baseline(baseline, where)

    def declare(function: Callable[..., Any]) -> Model:
        spaces = dict(tune or {})
        check_tune(function, spaces, where)
        spec = ModelSpec(
            name=function.__name__,
            metric=metric,
            baseline=baseline,
            tune=spaces,
            drop=tuple(drop),
            task=task,
            needs=needs,
            where=where,
        )
        views = None if features is None else tuple(features)
        return Model(spec, rows=rows, label=label, features=views, at=at, function=function)

    return declare


def import_model(
    path: str,
    *,
    rows: Dataset,
    label: Column | Comparison,
    features: Sequence[FeatureView] | None = None,
    metric: str | None = None,
    drop: Sequence[str] = (),
    at: Column | Shifted | None = None,
    task: str | None = None,
    container: str | None = None,
    trust: bool = False,
) -> Model:
    """Declare a fitted model in a file; nothing is trained.

    Args:
        path: relative to the project file: what skops, LightGBM, XGBoost, CatBoost, ONNX or Keras wrote,
            or a model folder of MLflow's; with ``trust`` a pickle or joblib file, TorchScript,
            ``torch.export``, or a SavedModel folder of TensorFlow's.
        container: what its ``predict`` takes, ``pandas``, ``polars`` or ``numpy``, where that is not
            what its file says; of scikit-learn's models that is ``pandas``.
        trust: read a file that can run code; say so only of files you made.
        The others are :func:`model`'s.

    Raises:
        ProjectError: an argument is not of its kind, or does not fit another; says file and line.
    """
    where = called_from(__file__)
    if str(path).startswith(_URLS):
        raise ProjectError(
            f"{path} is no file", hint="a model behind a URL is nr.remote(url, …)", where=where
        )
    if container is not None and container not in CONTAINERS:
        raise ProjectError(
            f"container={container!r} is not known",
            hint=f"one of {', '.join(CONTAINERS)}",
            where=where,
        )
    if not trust and str(path).endswith(_CODE):
        raise ProjectError(
            f"{path} can run code when it is read",
            hint="save the model in its library's own format (scikit-learn: skops), "
            "or write trust=True if you made the file",
            where=where,
        )
    imported = Imported(path=str(path), container=container or "", trust=trust)
    return _declared(imported, rows, label, features, metric, drop, at, task)


def remote(
    url: str,
    *,
    rows: Dataset,
    label: Column | Comparison,
    features: Sequence[FeatureView] | None = None,
    metric: str | None = None,
    drop: Sequence[str] = (),
    at: Column | Shifted | None = None,
    task: str | None = None,
    timeout: str = "2s",
) -> Model:
    """Declare a model that another server answers for, in the Open Inference Protocol, version 2.

    Args:
        url: ``http://host/v2/models/NAME``, or with ``/versions/V`` the version that is meant.
        timeout: how long each request may take.
        The others are :func:`model`'s.

    Raises:
        ProjectError: an argument is not of its kind, or does not fit another; says file and line.
    """
    where = called_from(__file__)
    if not str(url).startswith(_URLS) or "/v2/models/" not in str(url):
        raise ProjectError(
            f"{url!r} is not the URL of a model",
            hint="write http://HOST/v2/models/NAME",
            where=where,
        )
    seconds = declared_duration("timeout", timeout, where, "2s") / SECOND
    imported = Imported(path=str(url), container="", trust=False, timeout=seconds)
    return _declared(imported, rows, label, features, metric, drop, at, task)


def container(
    image: str,
    *,
    model: str,
    rows: Dataset,
    label: Column | Comparison,
    features: Sequence[FeatureView] | None = None,
    metric: str | None = None,
    drop: Sequence[str] = (),
    at: Column | Shifted | None = None,
    task: str | None = None,
    port: int = 8080,
    timeout: str = "2s",
) -> Model:
    """Declare a model in a container that speaks the Open Inference Protocol, version 2.

    Whatever asks it runs it: docker or podman, whichever is found, on a loopback port.

    Args:
        image: as ``docker run`` takes it; with ``@sha256:…`` it stays the same.
        model: what the container calls the model.
        port: where it listens inside.
        timeout: how long each request may take.
        The others are :func:`model`'s.

    Raises:
        ProjectError: an argument is not of its kind, or does not fit another; says file and line.
    """
    where = called_from(__file__)
    if not image or image.startswith(("-", *_URLS)) or any(each.isspace() for each in image):
        raise ProjectError(
            f"{image!r} is no image",
            hint='write it as docker run takes it: "registry/name:tag"; a URL is nr.remote(url, …)',
            where=where,
        )
    if not model or "/" in model or not 0 < port < 1 << 16:
        raise ProjectError(
            f"model={model!r}, port={port!r} name no model of a server",
            hint='write model="churn", as in its /v2/models/churn, and the port that it listens on',
            where=where,
        )
    seconds = declared_duration("timeout", timeout, where, "2s") / SECOND
    imported = Imported(
        path=image, container="", trust=False, timeout=seconds, model=model, port=port
    )
    return _declared(imported, rows, label, features, metric, drop, at, task)


def _declared(
    imported: Imported,
    rows: Dataset,
    label: Column | Comparison,
    features: Sequence[FeatureView] | None,
    metric: str | None,
    drop: Sequence[str],
    at: Column | Shifted | None,
    task: str | None,
) -> Model:
    """The model that nothing trains; its name comes from the project."""
    where = called_from(__file__)
    check_sources(rows, label, features, drop, at, where)
    check_task(task, where)
    check_metric(metric, task, where)
    spec = ModelSpec(
        name="", metric=metric, drop=tuple(drop), task=task, imported=imported, where=where
    )
    views = None if features is None else tuple(features)
    return Model(spec, rows=rows, label=label, features=views, at=at)
