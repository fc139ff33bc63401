"""Compiling in a worker: what is kept of it, and what leaves the original to serve."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from nenrin.pipelines.executor import WorkerContext
from nenrin.training.artefact import Artefact
from nenrin.training.columns import recode
from nenrin.training.compiling import compile as compiling
from nenrin.training.compiling import kernel
from nenrin.training.compiling.compile import CompileJob, Outcome, compile_model
from nenrin.training.compiling.compiled import FORM, Compiled
from nenrin.training.compiling.graphs import Graph
from nenrin.training.compiling.reading import Readout, read
from nenrin.training.containers import to_numpy
from nenrin.training.fit import fit, open_table
from tests.training.example import job_of
from tests.training.runtimes.brought import INSTALL

pytestmark = pytest.mark.skipif(kernel.built() is None, reason="no C compiler")


def compiled(context: WorkerContext, folder: Path, name: str) -> tuple[str, str, Outcome]:
    """The model's digest, its table's, and what came of compiling it."""
    job = job_of(context, folder, name)
    model = fit(context, job).model
    asked = CompileJob(model=model, table=job.table, project=str(folder), seed=1)
    return model, job.table, compile_model(context, asked)


@pytest.mark.parametrize("name", ["boosted", "minutes", "histogram"])
def test_a_model_is_compiled_and_kept_by_digest(
    context: WorkerContext, folder: Path, name: str
) -> None:
    model, table, outcome = compiled(context, folder, name)
    assert (outcome.admitted, outcome.why, outcome.form) == (True, "", FORM)
    assert (outcome.runtime, outcome.parity.tolerance if outcome.parity else 0) == ("c", 1e-9)
    assert outcome.parity is not None
    assert (outcome.parity.flips, outcome.parity.refusal) == (0, "")
    assert outcome.parity.rows == min(2_000, len(open_table(context, table)))
    assert outcome.parity.edges > 50
    library = context.store.get(outcome.library[kernel.machine()])
    form = Compiled(context.store.get(outcome.content), kernel.opened(library))
    artefact = Artefact.loads(context.store.get(model), trusted=True)
    columns = open_table(context, table).columns
    block = to_numpy(recode(columns, artefact.header.columns))
    np.testing.assert_allclose(form.predict(block), artefact.predict_columns(columns), atol=1e-12)
    plain = msgspec.convert(compiling.plain(outcome), Outcome)
    assert plain == outcome


def test_a_model_without_trees_is_kept_as_a_graph(context: WorkerContext, folder: Path) -> None:
    pytest.importorskip("skl2onnx", reason=INSTALL.format("compile"))
    model, table, outcome = compiled(context, folder, "linear")
    assert (outcome.admitted, outcome.why, outcome.runtime) == (True, "", "onnx")
    assert outcome.library == {}
    assert outcome.parity is not None
    assert (outcome.parity.flips, outcome.parity.tolerance) == (0, 1e-6)
    assert outcome.parity.difference < 1e-12
    form = Graph(context.store.get(outcome.content))
    artefact = Artefact.loads(context.store.get(model), trusted=True)
    columns = open_table(context, table).columns
    block = to_numpy(recode(columns, artefact.header.columns))
    np.testing.assert_allclose(form.predict(block), artefact.predict_columns(columns), atol=1e-12)


def test_without_the_extra_it_is_tried_again_later(
    context: WorkerContext, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    _, _, outcome = compiled(context, folder, "linear")
    assert (outcome.admitted, outcome.form) == (False, 0)
    assert outcome.why == f"skl2onnx is not installed: {INSTALL.format('compile')}"


def test_equal_models_have_equal_forms(context: WorkerContext, folder: Path) -> None:
    first, second = compiled(context, folder, "boosted"), compiled(context, folder, "boosted")
    assert first == second


def test_a_wrong_form_is_refused(
    context: WorkerContext, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(artefact: Artefact) -> Readout:
        right = read(artefact)
        right.forest.trees[0].value[right.forest.trees[0].left < 0] += 1e-8
        return right

    monkeypatch.setattr(compiling, "read", wrong)
    _, _, outcome = compiled(context, folder, "boosted")
    assert not outcome.admitted
    assert "differs by" in outcome.why
    assert outcome.parity is not None
    assert outcome.parity.difference > 1e-9
    assert (outcome.content, outcome.library) == ("", {})


def test_what_is_not_known_leaves_the_original(context: WorkerContext, folder: Path) -> None:
    _, _, outcome = compiled(context, folder, "random_answer")
    assert not outcome.admitted
    assert outcome.why.startswith("not known to the compiler: ")
    assert (outcome.parity, outcome.form) == (None, FORM)


def test_without_a_compiler_it_is_tried_again_later(
    context: WorkerContext, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "built", lambda: None)
    _, _, outcome = compiled(context, folder, "boosted")
    assert (outcome.admitted, outcome.form) == (False, 0)
    assert outcome.why == "there is no C compiler here"
