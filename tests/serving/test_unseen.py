"""Texts that training had not seen: null to a model, or refused where the deployment says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.core.errors import UnseenTextError
from nenrin.registry.kinds import RowAnswerer
from nenrin.serving.plane.questions import Question
from nenrin.serving.plane.unseen import refuse_unseen
from nenrin.serving.recalibrated import Recalibrated
from nenrin.serving.router import Variant
from nenrin.stats.platt import Platt
from nenrin.training.records import Records
from tests.serving.fakes import deployment
from tests.serving.hot_here import Here, Loader, rows
from tests.serving.kinds import INFER, ROW, SIGNATURE, KindsPlane, Telling, inputs
from tests.serving.plane_here import listening

REFUSING = msgspec.structs.replace(SIGNATURE, unseen="refuse")
KNOWN = ROW["s"]
TEXTS = st.none() | st.sampled_from(["", "a", "b", "c"])


class Knowing(Telling):
    """Was trained on some texts."""

    def __init__(self, *texts: str) -> None:
        super().__init__()
        self.vocabularies = {"s": frozenset(texts)}


class KnowingPlane(KindsPlane):
    """Its versions know the texts that are named after them."""

    def __init__(self, folder: Path, unseen: str = "refuse", **versions: str) -> None:
        self._texts = versions
        super().__init__(folder)
        self.loader.open = self._opened  # type: ignore[method-assign]
        request = msgspec.structs.replace(SIGNATURE, unseen=unseen)
        weights = [0, 100] if len(versions) > 1 else []
        self.routes.listed = [
            deployment(*versions, name="kinds", request=request, example=ROW, weights=weights)
        ]
        self.table.refresh()

    def _opened(self, variant: Variant) -> Telling:
        texts = self._texts.get(variant.version)
        return Telling() if texts is None else Knowing(texts)


@given(
    rows=st.lists(st.fixed_dictionaries({}, optional={"s": TEXTS, "t": TEXTS}), max_size=4),
    known=st.frozensets(st.sampled_from(["", "a", "b"])),
)
def test_what_no_training_saw_is_found(rows: list[dict[str, Any]], known: frozenset[str]) -> None:
    found = {row["s"] for row in rows if row.get("s") is not None} - known
    for given_as in (rows, Records.of_dicts(rows)):
        if not found:
            refuse_unseen(given_as, {"s": known}, "version-1")
            continue
        with pytest.raises(UnseenTextError, match="which version-1 was not trained on") as refused:
            refuse_unseen(given_as, {"s": known}, "version-1")
        assert any(f"s is {text!r}, " in refused.value.message for text in found)
        assert f"it knows {len(known)} texts of s" in refused.value.hint


def test_a_long_text_is_cut() -> None:
    with pytest.raises(UnseenTextError) as refused:
        refuse_unseen([{"s": "x" * 1_000_000}], {"s": {"a"}}, "version-1")
    assert len(refused.value.message) < 200


def test_it_is_null_where_nothing_is_said(tmp_path: Path) -> None:
    kinds = KnowingPlane(tmp_path, "null", v1=KNOWN)
    with kinds.client() as client:
        assert client.post("/invocations", json=[{**ROW, "s": "new"}]).status_code == 200


def test_it_is_refused_by_every_protocol(tmp_path: Path) -> None:
    kinds = KnowingPlane(tmp_path, v1=KNOWN)
    said = "s is 'new', which v1 was not trained on"
    csv = "id,a,n,b,s,d\nk1,1.5,3,true,new,2024-02-29\n"
    with kinds.client() as client:
        known = [
            client.post("/invocations", json=[ROW, {**ROW, "s": None}]),
            client.post(INFER, json={"inputs": inputs()}),
        ]
        refused = [
            client.post("/invocations", json=[ROW, {**ROW, "s": "new"}]),
            client.post("/invocations", content=csv, headers={"Content-Type": "text/csv"}),
            client.post(INFER, json={"inputs": inputs(s={"data": ["new"]})}),
        ]
    assert [each.status_code for each in known] == [200, 200]
    for each in refused:
        assert (each.status_code, each.json()["error"]) == (422, said)
        assert each.json()["where"] == "s"


def test_over_grpc_too(tmp_path: Path) -> None:
    client = pytest.importorskip("tritonclient.grpc")
    kinds = KnowingPlane(tmp_path, v1=KNOWN)
    with listening(kinds) as here:
        asked = []
        for each in inputs(s={"data": ["new"]}):
            tensor = client.InferInput(each["name"], [1], each["datatype"])
            dtype = np.object_ if each["datatype"] == "BYTES" else None
            tensor.set_data_from_numpy(np.array(each["data"], dtype))
            asked.append(tensor)
        with (
            client.InferenceServerClient(here.grpc) as server,
            pytest.raises(client.InferenceServerException, match="was not trained on") as refused,
        ):
            server.infer("kinds", asked)
    assert refused.value.status() == "StatusCode.INVALID_ARGUMENT"


def test_the_champion_answers_what_its_challenger_does_not_know(tmp_path: Path) -> None:
    kinds = KnowingPlane(tmp_path, v1="old", v2=KNOWN)
    with kinds.client() as client:

        def asked(text: str) -> Any:
            return client.post("/invocations", json=[{**ROW, "s": text}])

        assert asked(KNOWN).json()["versions"] == ["v2"]
        for _ in range(40):  # nothing is broken: it opens no breaker
            assert asked("old").json()["versions"] == ["v1"]
            assert asked("new").status_code == 422
        assert asked(KNOWN).json()["versions"] == ["v2"]


def test_in_one_turn_those_alone_are_refused(tmp_path: Path) -> None:
    here = Here(tmp_path, KnowingLoader(v2="EWR"))
    request = msgspec.structs.replace(here.table.get("delay").deployment.request, unseen="refuse")
    here.serve("v2", request=request)
    origins = ["EWR", "new", "EWR", "LGA", "EWR"]
    answers = here.ask(*[rows(float(place), origin=text) for place, text in enumerate(origins)])
    assert [answer.status for answer in answers] == [200, 422, 200, 422, 200]
    assert answers[1].body["error"] == "origin is 'new', which v2 was not trained on"
    assert {each.row["origin"] for each in here.logged()} == {"EWR"}
    here.observer.close()


def test_a_challenger_is_judged_by_what_it_refuses_alone(tmp_path: Path) -> None:
    here = Here(tmp_path, KnowingLoader(v2="EWR JFK", v3="EWR"))
    request = msgspec.structs.replace(here.table.get("delay").deployment.request, unseen="refuse")
    here.serve("v2", "v3", weights=[0, 100], request=request, fallback=0.5)
    asked = [rows(float(place), origin="JFK") for place in range(30)]
    answers = here.ask(*asked, rows(77.0, origin="EWR"), rows(78.0, origin="new"))
    assert [answer.body.get("versions") for answer in answers] == [*[["v2"]] * 30, ["v3"], None]
    assert answers[-1].status == 422
    served = here.table.get("delay")
    assert served.asking.sound  # nothing is broken
    [split] = here.observer.observed().splits
    assert split.mine.failed >= 30
    here.observer.close()


def test_what_nobody_answers_blames_nobody(tmp_path: Path) -> None:
    """One refuses the row, another does not know its text: the constant answers, and no breaker opens."""
    here = Here(tmp_path, KnowingLoader(v2="broken-2", v3="EWR"))
    request = msgspec.structs.replace(here.table.get("delay").deployment.request, unseen="refuse")
    here.serve("v2", "v3", weights=[0, 100], request=request, fallback=0.5)
    answers = here.ask(*[rows(float(place), origin="broken-2") for place in range(30)])
    assert [answer.body["predictions"] for answer in answers] == [[0.5]] * 30
    assert here.table.get("delay").asking.sound
    here.observer.close()


class KnowingLoader(Loader):
    """Versions that were trained on some origins."""

    def __init__(self, **texts: str) -> None:
        super().__init__()
        self._texts = texts

    def open(self, variant: Variant) -> Any:
        model = super().open(variant)
        if variant.version in self._texts:
            model.vocabularies = {"origin": frozenset(self._texts[variant.version].split())}
        return model


class Answers:
    """An answerer of any kind."""

    def answer_rows(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        return np.full(len(rows), 0.5)


def test_whoever_stands_before_a_model_knows_what_it_knows(tmp_path: Path) -> None:
    texts = {"s": frozenset({"a"})}
    model: Any = Answers()
    assert RowAnswerer(model).vocabularies == {}
    model.vocabularies = texts
    assert Recalibrated(RowAnswerer(model), Platt(a=1.0, b=0.0)).vocabularies == texts


def test_a_question_keeps_that_it_refuses() -> None:
    whole = Question([{"s": "a"}, {"s": "b"}], [1, 2], refuses=True)
    assert whole.part([1]) == Question([{"s": "b"}], [2], refuses=True)
