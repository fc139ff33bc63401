"""A small project on made-up flights, as the tests of this room train and score it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from nenrin.core.instants import DAY, HOUR, to_us
from nenrin.core.store import ContentStore
from nenrin.pipelines.executor import WorkerContext
from nenrin.training.asking import ask
from nenrin.training.declare import Model
from nenrin.training.fit import FitJob, fit
from nenrin.training.table import RowTable, Selection
from nenrin.training.tasks import infer_task

START = to_us(datetime(2013, 1, 1, tzinfo=UTC))
DAYS = 60

PROJECT = '''
"""Models of every sort."""
import numpy as np
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from nenrin.data.declare import dataset
from nenrin.training.declare import import_model, model, predictor
from nenrin.training.spaces import integers


@dataset(key="id", time="at", tz="America/New_York")
def flights():
    return None


@dataset(key="id", time="landed", known="30m")
def arrivals():
    return None


@model(rows=flights, label=arrivals.late, features=[], tune={"num_leaves": integers(2, 15)})
def boosted(rows, num_leaves=7):
    return LGBMClassifier(n_estimators=8, num_leaves=num_leaves, n_jobs=1, verbosity=-1).fit(
        rows.pandas(), rows.y, sample_weight=rows.weight
    )


@model(rows=flights, label=arrivals.delay, features=[])
def minutes(rows):
    return LGBMRegressor(n_estimators=8, n_jobs=1, verbosity=-1).fit(rows.pandas(), rows.y)


@model(rows=flights, label=arrivals.late, features=[])
def histogram(rows):
    return HistGradientBoostingClassifier(max_iter=5, categorical_features="from_dtype").fit(
        rows.pandas(), rows.y, rows.weight
    )


@model(rows=flights, label=arrivals.late, features=[])
def linear(rows):
    X = rows.pandas()
    texts = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), X.select_dtypes("category").columns),
        remainder=SimpleImputer(),
    )
    scaled = make_pipeline(texts, StandardScaler(with_mean=False), LogisticRegression())
    return scaled.fit(X, rows.y)


def forward(net, X):
    return 1 / (1 + np.exp(-np.nan_to_num(X) @ net))


@model(rows=flights, label=arrivals.late, features=[])
def own(rows):
    return predictor(np.full(rows.numpy().shape[1], 0.001), predict=forward)


def to_bytes(net):
    return net.tobytes()


@model(rows=flights, label=arrivals.late, features=[])
def saved(rows):
    net = np.full(rows.numpy().shape[1], 0.001)
    return predictor(net, predict=forward, save=to_bytes, load=np.frombuffer)


class Mean:
    def __init__(self, share):
        self.share = share

    def predict(self, X):
        return np.full(X.height, self.share)


@model(rows=flights, label=arrivals.late, features=[])
def mean(rows):
    return Mean(rows.y.mean() if len(rows.X) else 0.0)


@model(rows=flights, label=arrivals.late, features=[])
def random_answer(rows):
    return Mean(np.random.random())


@model(rows=flights, label=arrivals.late, features=[])
def unweighted(rows):
    return Mean(0.5)


@model(rows=flights, label=arrivals.late, features=[])
def raises(rows):
    numbers = rows.numpy()
    return np.linalg.inv(numbers)


@model(rows=flights, label=arrivals.late, features=[])
def nothing(rows):
    return rows.y


@model(rows=flights, label=arrivals.late, features=[])
def dropped(rows):
    X = rows.pandas().drop(columns=["carrier"])
    return HistGradientBoostingClassifier(max_iter=2).fit(X, rows.y)


@model(rows=flights, label=arrivals.late, features=[])
def reordered(rows):
    X = rows.pandas()
    return LGBMClassifier(n_estimators=2, verbosity=-1).fit(X[sorted(X.columns)], rows.y)


@model(rows=flights, label=arrivals.late, features=[])
def clueless(rows):
    return LGBMClassifier(n_estimators=2)


brought = import_model("brought.skops", rows=flights, label=arrivals.delay, features=[])
'''

ABORTS = '''
"""A model that ends its process, in a file that is imported quickly."""
import os

from nenrin.data.declare import dataset
from nenrin.training.declare import model


@dataset(key="id", time="at", tz="America/New_York")
def flights():
    return None


@dataset(key="id", time="landed", known="30m")
def arrivals():
    return None


@model(rows=flights, label=arrivals.late, features=[])
def aborts(rows):
    rows.X
    os.abort()
'''


def load_project(folder: Path) -> Mapping[str, object]:
    """The attributes of the project file in ``folder``."""
    spec = importlib.util.spec_from_file_location("example_project", folder / "project.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, value in vars(module).items():
        if isinstance(value, Model):
            value.named(name)
    return vars(module)


def write_project(folder: Path, text: str = PROJECT) -> Path:
    """The folder, with the project in it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "project.py").write_text(text)
    return folder


def frames(n: int = 1500) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Rows, labels and features of ``n`` flights over :data:`DAYS` days, one in 20 never labelled."""
    random = np.random.default_rng(7)
    asked = np.sort(START + random.integers(0, DAYS * DAY, n))
    ids = pl.Series("id", [f"flight-{place:05}" for place in range(n)])
    rows = pl.DataFrame({"id": ids, "at": asked, "__event__": asked, "__known__": asked})
    distance = random.integers(100, 3000, n)
    carrier = random.choice(["AA", "B6", "UA"], n)
    delay = random.normal(10.0 * (carrier == "B6") + distance / 300, 20.0)
    landed = asked + random.integers(HOUR, 9 * HOUR, n)
    known = random.random(n) < 0.95
    labels = pl.DataFrame(
        {"id": ids, "delay": delay, "late": delay > 15, "__event__": landed, "__known__": landed}
    ).filter(known)
    temp = random.normal(10.0, 5.0, n)
    temp[random.random(n) < 0.1] = np.nan
    features = pl.DataFrame(
        {
            "temp": pl.Series(temp).fill_nan(None),
            "distance": pl.Series(distance).set(pl.Series(random.random(n) < 0.05), None),
            "far": distance > 1500,
            "carrier": carrier,
        }
    )
    return rows, labels.sort("__known__", maintain_order=True), features


def table_of(model: Model, n: int = 1500) -> RowTable:
    """The row table of one of the project's models."""
    rows, labels, features = frames(n)
    return RowTable.build(model, ask(model, rows), labels, features)


def job_of(context: WorkerContext, folder: Path, name: str, **changes: object) -> FitJob:
    """A training of the model ``name`` on the first 40 days, its table in the context's store."""
    model = load_project(folder)[name]
    assert isinstance(model, Model)
    table = table_of(model)
    cutoff = START + 40 * DAY
    fields: dict[str, object] = {
        "project": str(folder),
        "model": name,
        "table": context.store.put(table.dumps()),
        "task": infer_task(model, table),
        "selection": Selection(cutoff=cutoff, known_by=cutoff + 9 * HOUR),
        "sanity": table.between(cutoff - 7 * DAY, cutoff),
    }
    return FitJob(**{**fields, **changes})  # type: ignore[arg-type]


def context_of(store: ContentStore) -> WorkerContext:
    """A worker's context in this process."""
    return WorkerContext(store, load_project)


def fit_each(context: WorkerContext, folder: str, names: list[str]) -> tuple[int, dict[str, str]]:
    """The process id, and the digest of every model of these names: for workers."""
    jobs = {name: job_of(context, Path(folder), name) for name in names}
    return os.getpid(), {name: fit(context, job).model for name, job in jobs.items()}
