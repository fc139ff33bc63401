"""Models without trees as ONNX graphs: against their originals, and refused where they differ."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nenrin.core.errors import IntegrityError, MissingExtraError
from nenrin.training.artefact import Artefact
from nenrin.training.compiling.compile import _asked
from nenrin.training.compiling.compiled import REFUSES_INFINITE, REFUSES_NAN
from nenrin.training.compiling.converting import converted
from nenrin.training.compiling.forest import NotCompiledError
from nenrin.training.compiling.graphs import Graph, graph_form
from nenrin.training.compiling.parity import ONNX_TOLERANCE, Parity, compare, refused_by
from nenrin.training.containers import to_numpy
from tests.training import forests
from tests.training.runtimes.brought import INSTALL

pytest.importorskip("skl2onnx", reason=INSTALL.format("compile"))

Make = Callable[[], Artefact]


def before(sparse: bool = False) -> Any:
    """Imputers, a scaler and an encoder, the texts standing first."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=sparse)
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return ColumnTransformer(
        [("texts", encoder, ["plan", "town"]), ("numbers", numbers, list(forests.NUMBERS))]
    )


def makers() -> dict[str, Make]:
    from sklearn import calibration, linear_model, naive_bayes, neural_network, svm
    from sklearn.compose import make_column_transformer
    from sklearn.decomposition import PCA
    from sklearn.feature_selection import SelectKBest
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder, RobustScaler

    logistic = linear_model.LogisticRegression(max_iter=500)

    def made(*steps: Any, names: tuple[str, ...] = forests.ALL, **given: Any) -> Make:
        return lambda: forests.fitted(make_pipeline(*steps), names, **given)

    numbers = {"names": forests.NUMBERS}
    perceptron = {"hidden_layer_sizes": (8,), "max_iter": 40, "random_state": 1}
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    mixed = make_column_transformer(
        (SimpleImputer(), ["visits"]),
        (ordinal, ["town", "plan"]),
        (SimpleImputer(strategy="median"), ["amount"]),
    )
    return {
        "alone": lambda: forests.fitted(logistic, forests.NUMBERS, filled=True),
        "texts": made(before(sparse=True), logistic),
        "third class": made(before(), logistic, positive=2),
        "mixed order": made(mixed, SimpleImputer(), logistic),
        "matrix": made(
            SimpleImputer(), linear_model.SGDClassifier(loss="log_loss"), container="numpy", **numbers
        ),
        "ridge": made(before(), linear_model.Ridge(), task="regression"),
        "poisson": made(
            SimpleImputer(), linear_model.PoissonRegressor(), task="regression", **numbers
        ),
        "perceptron": made(before(), neural_network.MLPClassifier(**perceptron)),
        "perceptron of numbers": made(
            before(), neural_network.MLPRegressor(**perceptron), task="regression"
        ),
        "bayes": made(before(), naive_bayes.GaussianNB()),
        "machine": made(before(), calibration.CalibratedClassifierCV(svm.LinearSVC())),
        "machine of kernels": made(before(), calibration.CalibratedClassifierCV(svm.SVC())),
        "steps of skl2onnx": made(
            SimpleImputer(), RobustScaler(), PCA(3), SelectKBest(k=2), logistic, **numbers
        ),
    }  # fmt: skip


NAMES = (
    *("alone", "texts", "third class", "mixed order", "matrix", "ridge", "poisson", "perceptron"),
    *("perceptron of numbers", "bayes", "machine", "machine of kernels", "steps of skl2onnx"),
)


def test_every_name_has_a_model() -> None:
    assert set(makers()) == set(NAMES)


def compared(artefact: Artefact, graph: bytes) -> tuple[Parity, Graph, np.ndarray]:
    specs, original = artefact.header.columns, _asked(artefact)
    filled = "Pipeline" not in type(artefact.model).__name__
    rows = to_numpy(forests.columns(tuple(spec.name for spec in specs), filled=filled))
    form = Graph(graph_form(graph, refused_by(original, specs, rows)).dumps())
    found = compare(
        form,
        original,
        None,
        specs,
        rows,
        classes=artefact.header.task == "binary",
        seed=3,
        tolerance=ONNX_TOLERANCE,
    )
    return found, form, rows


# perceptrons that have not converged, and overflows at the edges
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_model_answers_the_same_as_a_graph(name: str) -> None:
    artefact = makers()[name]()
    graph = converted(artefact)
    found, form, rows = compared(artefact, graph)
    assert found.refusal == ""
    assert (found.rows, found.flips, found.tolerance) == (forests.ROWS, 0, ONNX_TOLERANCE)
    single = name in ("machine of kernels", "steps of skl2onnx")
    assert found.difference <= (ONNX_TOLERANCE if single else 1e-11)
    assert found.rank == pytest.approx(1, abs=1e-4)
    assert found.left < found.edges / 3
    assert converted(artefact) == graph  # equal models have equal forms
    wanted = artefact.predict_columns(
        forests.columns(
            tuple(spec.name for spec in artefact.header.columns), filled=name == "alone"
        )
    )
    np.testing.assert_allclose(form.predict(rows), wanted, atol=1e-5 if single else 1e-10)


def test_an_operator_that_answers_otherwise_is_refused() -> None:
    """skl2onnx's discriminant analysis of two classes is wrong (1.20): nothing but asking tells."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(SimpleImputer(), LinearDiscriminantAnalysis())
    artefact = forests.fitted(model, forests.NUMBERS)
    found, _, _ = compared(artefact, converted(artefact))
    assert "an answer differs by" in found.refusal
    assert "more than 1e-06" in found.refusal


def test_a_coefficient_that_is_off_is_refused() -> None:
    artefact = forests.fitted(_logistic(), forests.NUMBERS, filled=True)
    graph = converted(artefact)
    artefact.model.coef_ = artefact.model.coef_ + 1e-4
    found, _, _ = compared(artefact, graph)
    assert "an answer differs by" in found.refusal


def _logistic() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()


def test_what_is_not_converted_says_why() -> None:
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer
    from sklearn.svm import LinearSVC

    def why(model: Any, names: tuple[str, ...] = forests.NUMBERS) -> str:
        with pytest.raises(NotCompiledError) as caught:
            converted(forests.fitted(model, names, filled=names == forests.NUMBERS))
        return str(caught.value)

    assert why(KNeighborsClassifier()) == "a KNeighborsClassifier, which ONNX answers slower"
    assert why(LinearSVC()) == "a classifier that is asked for its classes"
    own = make_pipeline(FunctionTransformer(np.sin), _logistic())
    assert why(own).startswith("a Pipeline that ONNX does not take: ")
    from sklearn.compose import make_column_transformer
    from sklearn.preprocessing import TargetEncoder

    texts = make_column_transformer((TargetEncoder(), ["plan"]))
    assert why(make_pipeline(texts, _logistic()), forests.ALL) == "TargetEncoder before the model"


def test_without_skl2onnx_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    artefact = forests.fitted(_logistic(), forests.NUMBERS, filled=True)
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(MissingExtraError, match="skl2onnx is not installed") as caught:
        converted(artefact)
    assert caught.value.hint == INSTALL.format("compile")


def test_what_the_original_refuses_is_left_to_it() -> None:
    artefact = forests.fitted(_logistic(), forests.NUMBERS, filled=True)
    refused = np.array([REFUSES_NAN, REFUSES_INFINITE, 0, 0], np.uint8)
    form = Graph(graph_form(converted(artefact), refused).dumps())
    row = np.zeros((2, 4))
    assert form.predict(row) is not None
    for place, value, answers in (
        (0, np.nan, False),
        (0, np.inf, True),
        (1, -np.inf, False),
        (2, np.nan, False),  # the graph has no number for it
    ):
        block = row.copy()
        block[1, place] = value
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert (form.predict(block) is not None) == answers


@pytest.mark.parametrize("data", [b"", b"junk", graph_form(b"junk", np.zeros(1, np.uint8)).dumps()])
def test_bytes_of_another_form_are_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError, match="this compiled form is not of this nenrin"):
        Graph(data)
