"""A compiled form in the data plane: it answers, it is checked, and it is given up."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from lightgbm import LGBMClassifier

from nenrin.core.digest import digest_bytes
from nenrin.registry.forms import ServedForms
from nenrin.registry.kinds import OpenContext, RowAnswerer
from nenrin.registry.kinds.aside import AsideError
from nenrin.registry.kinds.compiled import CompiledAnswerer, CompiledForms
from nenrin.registry.kinds.mixture import MemberContent, Mixture, MixtureKind
from nenrin.registry.kinds.model import ModelAnswerer, ModelKind
from nenrin.registry.kinds.rescoring import Rescoring, breaches
from nenrin.registry.version import Version
from nenrin.testing.stores import MemoryStore
from nenrin.training.artefact import Artefact, dump
from nenrin.training.columns import encode
from nenrin.training.compiling import kernel
from nenrin.training.compiling.compile import Outcome, plain
from nenrin.training.compiling.compiled import FORM, Form, form_of
from nenrin.training.compiling.converting import converted
from nenrin.training.compiling.graphs import graph_form
from nenrin.training.compiling.parity import Parity
from nenrin.training.compiling.reading import read
from nenrin.training.containers import BUILD
from tests.training.runtimes.brought import INSTALL

pytestmark = pytest.mark.skipif(kernel.built() is None, reason="no C compiler")

ROWS = [{"a": 0.3, "s": "x"}, {"a": None, "s": "unseen"}, {"a": -2.0, "s": None}]


@pytest.fixture(scope="module")
def content() -> bytes:
    rng = np.random.default_rng(3)
    frame = pl.DataFrame({"a": rng.normal(size=200), "s": rng.choice(["x", "y"], 200)})
    columns = encode(frame)
    model = LGBMClassifier(n_estimators=3, n_jobs=1, verbosity=-1)
    model.fit(BUILD["pandas"](columns), (frame["a"] > 0).cast(int).to_numpy())
    return dump(
        model,
        name="model",
        where="project.py:1",
        task="binary",
        container="pandas",
        columns=tuple(column.spec for column in columns),
    )


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def version(
    store: MemoryStore, content: bytes, *, wrong: bool = False, library: bool = True
) -> Version:
    """The model as a version with an admitted form; a ``wrong`` one has leaves of its own."""
    form = form_of(read(Artefact.loads(content, trusted=True)), np.zeros(2, np.uint8))
    if wrong:
        leaves = {
            name: (np.frombuffer(form.arrays[name]) + 0.5).tobytes()
            for name in ("values", "leaves")
        }
        form = msgspec.structs.replace(form, arrays={**form.arrays, **leaves})
    built = kernel.built()
    assert built is not None
    outcome = Outcome(
        form=FORM,
        admitted=True,
        content=store.put(form.dumps()),
        library={kernel.machine() if library else "another-machine": store.put(built)},
    )
    return Version(
        id="version-1",
        name="model",
        kind="model",
        environment="dev",
        content=store.put(content),
        at=0,
        facts={"format": "lightgbm", "compiled": plain(outcome)},
    )


def opened(
    store: MemoryStore, content: bytes, found: Version, rescoring: Rescoring
) -> CompiledAnswerer | ModelAnswerer:
    forms = CompiledForms(store, [found], rescoring)
    answerer = ModelKind().open(content, OpenContext(store=store, compiled=forms))
    assert isinstance(answerer, CompiledAnswerer | ModelAnswerer)
    return answerer


def originals(content: bytes) -> np.ndarray:
    return Artefact.loads(content, trusted=True).predict_rows(ROWS)


def test_the_compiled_form_answers_without_the_original(
    store: MemoryStore, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = originals(content)
    answerer = opened(store, content, version(store, content), Rescoring(tmp_path, 0))
    assert isinstance(answerer, CompiledAnswerer)
    monkeypatch.setattr(Artefact, "loads", None)
    np.testing.assert_array_equal(answerer.answer_rows(ROWS), wanted)


def test_no_event_loop_opens_or_asks_the_original(
    store: MemoryStore, content: bytes, tmp_path: Path
) -> None:
    answerer = opened(store, content, version(store, content), Rescoring(tmp_path, 0))
    assert isinstance(answerer, CompiledAnswerer)
    wanted = originals(content)
    answerer.give_up()

    async def ask() -> np.ndarray:
        with pytest.raises(AsideError) as left:
            answerer.answer_rows(ROWS)
        assert answerer._original is None
        await asyncio.to_thread(left.value.prepare)
        assert answerer._original is not None
        return await asyncio.to_thread(answerer.answer_rows, ROWS)

    np.testing.assert_array_equal(asyncio.run(ask()), wanted)


def test_one_request_in_so_many_is_compared(
    store: MemoryStore, content: bytes, tmp_path: Path
) -> None:
    rescoring = Rescoring(tmp_path, 3)
    answerer = opened(store, content, version(store, content), rescoring)
    for _ in range(7):
        answerer.answer_rows(ROWS)
        rescoring.settle()
    assert (rescoring.rescored, rescoring.breaches) == (2, 0)
    assert breaches(tmp_path) == []


def test_a_wrong_form_is_given_up_at_run_time(
    store: MemoryStore, content: bytes, tmp_path: Path
) -> None:
    rescoring, wanted = Rescoring(tmp_path, 2), originals(content)
    found = version(store, content, wrong=True)
    answerer = opened(store, content, found, rescoring)
    assert isinstance(answerer, CompiledAnswerer)
    assert not np.allclose(answerer.answer_rows(ROWS), wanted)
    answerer.answer_rows(ROWS)
    rescoring.settle()
    np.testing.assert_array_equal(answerer.answer_rows(ROWS), wanted)
    rescoring.compare(answerer, ROWS, wanted + 1)  # one that waited meanwhile says nothing new
    assert (rescoring.rescored, rescoring.breaches) == (1, 1)
    ((path, breach),) = breaches(tmp_path)
    assert (breach.content, breach.form) == (answerer.content, answerer.form)
    assert "differed by" in breach.why
    assert json.loads(path.read_bytes())["why"] == breach.why
    # a plane that starts before the control process has read of it opens the original
    assert isinstance(opened(store, content, found, Rescoring(tmp_path, 2)), ModelAnswerer)


def test_every_answerer_of_a_wrong_form_gives_it_up(
    store: MemoryStore, content: bytes, tmp_path: Path
) -> None:
    rescoring, wanted = Rescoring(tmp_path, 1), originals(content)
    found = version(store, content, wrong=True)
    both = [opened(store, content, found, rescoring) for _ in range(2)]
    for answerer in both:
        answerer.answer_rows(ROWS)
        rescoring.settle()
        np.testing.assert_array_equal(answerer.answer_rows(ROWS), wanted)
    assert rescoring.breaches == 1


def test_what_the_compiled_form_leaves_the_original_answers(
    store: MemoryStore, content: bytes, tmp_path: Path
) -> None:
    found = version(store, content)
    outcome = found.facts["compiled"]
    form = msgspec.msgpack.decode(store.get(outcome["content"]), type=Form)
    arrays = {**form.arrays, "refused": bytes([1, 0])}
    refusing = msgspec.structs.replace(
        form, arrays=arrays, numbers={**form.numbers, "refusing": 1.0}
    )
    found.facts["compiled"] = {**outcome, "content": store.put(refusing.dumps())}
    answerer = opened(store, content, found, Rescoring(tmp_path, 0))
    np.testing.assert_array_equal(answerer.answer_rows(ROWS), originals(content))
    assert isinstance(answerer, CompiledAnswerer)
    assert answerer._original is not None


def test_another_machine_compiles_the_function_anew_or_leaves_the_original(
    store: MemoryStore, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = version(store, content, library=False)
    answerer = opened(store, content, found, Rescoring(tmp_path, 0))
    assert isinstance(answerer, CompiledAnswerer)
    np.testing.assert_array_equal(answerer.answer_rows(ROWS), originals(content))
    monkeypatch.setattr(kernel, "built", lambda: None)
    assert isinstance(opened(store, content, found, Rescoring(tmp_path, 0)), ModelAnswerer)


def test_without_forms_the_original_is_opened(store: MemoryStore, content: bytes) -> None:
    assert isinstance(ModelKind().open(content, OpenContext(store=store)), ModelAnswerer)


def graphed(store: MemoryStore, coefficient: float = 1.0) -> tuple[bytes, Version]:
    """A linear model as a version with a graph, whose coefficient may be another than the model's."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    columns = encode(pl.DataFrame({"a": np.linspace(-2.0, 2.0, 50)}))
    model = make_pipeline(SimpleImputer(), LogisticRegression())
    model.fit(BUILD["numpy"](columns), columns[0].values > 0.3)
    said = {"name": "model", "where": "project.py:1", "task": "binary", "container": "numpy"}
    content = dump(model, columns=tuple(column.spec for column in columns), **said)
    artefact = Artefact.loads(content, trusted=True)
    artefact.model[-1].coef_ *= coefficient
    parity = Parity(rows=50, edges=0, left=0, difference=0.0, tolerance=1e-6, flips=0, rank=1.0)
    outcome = Outcome(
        form=FORM,
        admitted=True,
        runtime="onnx",
        content=store.put(graph_form(converted(artefact), np.zeros(1, np.uint8)).dumps()),
        parity=parity,
    )
    found = Version(
        id="version-1",
        name="model",
        kind="model",
        environment="dev",
        content=store.put(content),
        at=0,
        facts={"format": "skops", "compiled": plain(outcome)},
    )
    return content, found


@pytest.mark.parametrize(("apart", "gone"), [(1e-8, 0), (1e-4, 1)])
def test_a_graph_answers_and_is_given_up_beyond_its_own_tolerance(
    store: MemoryStore, tmp_path: Path, apart: float, gone: int
) -> None:
    pytest.importorskip("skl2onnx", reason=INSTALL.format("compile"))
    content, found = graphed(store, 1 + apart)
    rescoring = Rescoring(tmp_path, 1)
    answerer, wanted = opened(store, content, found, rescoring), originals(content)
    assert isinstance(answerer, CompiledAnswerer)
    off = np.abs(answerer.answer_rows(ROWS) - wanted).max()
    assert apart / 100 < off < apart
    rescoring.settle()
    assert (rescoring.rescored, rescoring.breaches) == (1, gone)
    assert np.array_equal(answerer.answer_rows(ROWS), wanted) == bool(gone)


def test_a_plane_without_onnxruntime_opens_the_original(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("skl2onnx", reason=INSTALL.format("compile"))
    content, found = graphed(store)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert isinstance(opened(store, content, found, Rescoring(tmp_path, 0)), ModelAnswerer)


class Listed:
    """Versions by id."""

    def __init__(self, *versions: Version) -> None:
        self._versions = {each.id: each for each in versions}

    def get(self, unit: object, version_id: str) -> Version | None:
        return self._versions.get(version_id)


def test_members_of_a_mixture_are_compiled_each(
    store: MemoryStore, content: bytes, tmp_path: Path
) -> None:
    one = version(store, content)
    other_content = content + b"\n"
    plain_facts = {"format": "lightgbm"}  # it was never compiled
    other = msgspec.structs.replace(
        one, id="version-2", content=store.put(other_content), facts=plain_facts
    )
    mixture = Mixture(
        members=(
            MemberContent(slot="a", version="version-1", content=one.content),
            MemberContent(slot="b", version="version-2", content=other.content),
        )
    )
    whole = msgspec.structs.replace(
        one, id="version-3", kind="mixture", content=store.put(mixture.dumps()),
        facts={"members": {"a": "version-1", "b": "version-2"}},
    )  # fmt: skip
    rescoring = Rescoring(tmp_path, 0)
    forms = ServedForms(Listed(one, other, whole), store, rescoring)
    words = forms.words(None, ["version-1", "version-2", "version-3", "version-4"])
    assert words == {
        "version-1": "compiled",
        "version-2": "original",
        "version-3": "compiled, original",
    }
    models, compiled = forms.models(None, "version-3")
    assert models == [one, other]
    assert [each.content for each in compiled] == [digest_bytes(content)]
    context = OpenContext(store=store, compiled=CompiledForms(store, compiled, rescoring))
    answerer = MixtureKind().open(mixture.dumps(), context)
    found = RowAnswerer(answerer).answer_rows(ROWS)
    np.testing.assert_allclose(found, originals(content), atol=1e-15)
