"""A folder's model is compiled, serves so, and is given up where it answers otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from nenrin.api.folder import predictions_folder
from nenrin.core.lock import FolderLock
from nenrin.core.settings import Settings
from nenrin.platform import Platform
from nenrin.serving.segments import folders
from nenrin.testing.waiting import wait_until
from nenrin.training.artefact import Artefact
from nenrin.training.compiling import kernel
from nenrin.training.compiling.compiled import Form
from tests.journeys.shell import Shell, Up

pytestmark = [
    pytest.mark.skipif(kernel.built() is None, reason="no C compiler"),
]

PROJECT = """
import nenrin as nr
from lightgbm import LGBMClassifier

customers = nr.file("customers.csv", key="customer_id")

@nr.model(rows=customers, label=customers.churned == "Yes", metric="log_loss")
def churn(rows):
    return LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1).fit(rows.pandas(), rows.y)

service = nr.deployment(churn, unseen="refuse")
"""
ROW = {"spend": 1.2, "plan": "pro"}


def customers(first: int, count: int) -> pl.DataFrame:
    rng = np.random.default_rng(first)
    spend, plan = rng.normal(size=count), rng.choice(["basic", "plus", "pro"], count)
    late = spend + (plan == "pro") + rng.normal(size=count) > 1
    return pl.DataFrame(
        {
            "customer_id": np.arange(first, first + count),
            "spend": spend.round(3),
            "plan": plan,
            "churned": np.where(late, "Yes", "No"),
        }
    )


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    folder = tmp_path_factory.mktemp("churn")
    customers(0, 1000).write_csv(folder / "customers.csv")
    (folder / "project.py").write_text(PROJECT)
    shell = Shell(folder)
    shell("run")
    return shell


def version(shell: Shell, place: int = -1) -> dict[str, Any]:
    """The newest, or the oldest but so many."""
    return shell.here("models", "list", "--json").json[place]


def ask(up: Up) -> float:
    return up.post("/invocations", [ROW]).json()["predictions"][0]


def forms(up: Up) -> dict[str, str]:
    return up.get("/v2/models/churn").json()["parameters"]["forms"]


def counted(up: Up, name: str) -> float:
    text = up.get("/metrics").text
    return float(text.split(f"nenrin_compiled_{name}_total ")[-1].split("\n")[0])


def test_what_serves_is_compiled_and_compared(shell: Shell) -> None:
    found = version(shell)
    compiled = found["facts"]["compiled"]
    assert compiled["admitted"]
    assert (compiled["parity"]["rows"], compiled["parity"]["flips"]) == (1000, 0)
    assert compiled["parity"]["difference"] <= 1e-9
    assert "admitted  yes" in shell.here("models", "show", found["id"]).out
    with shell.up(NENRIN_RESCORE="1") as up:
        ask(up)
        assert forms(up) == {found["id"]: "compiled"}
        wait_until(lambda: counted(up, "rescored") >= 1)
        assert counted(up, "breaches") == 0


def test_a_text_that_training_had_not_seen_is_refused(shell: Shell, tmp_path: Path) -> None:
    found = version(shell)
    rows = pl.DataFrame([{**ROW, "customer_id": -1}, {**ROW, "customer_id": -2, "plan": "gold"}])
    rows.write_csv(tmp_path / "in.csv")
    with shell.up() as up:
        assert forms(up) == {found["id"]: "compiled"}
        refused = up.post("/invocations", [{**ROW, "plan": "gold"}])
        assert refused.status_code == 422
        assert refused.json()["error"] == f"plan is 'gold', which {found['id']} was not trained on"
        assert up.post("/invocations", [{**ROW, "plan": None}]).status_code == 200
    written = tmp_path / "out.csv"
    shell("predict", "churn", "--input", str(tmp_path / "in.csv"), "--output", str(written),
          "--bad", "skip")  # fmt: skip
    assert pl.read_csv(written)["row"].to_list() == [1]
    assert "was not trained on" in Path(f"{written}.bad.ndjson").read_text()


def test_a_plane_has_no_library_of_originals_after_a_promotion_either(shell: Shell) -> None:
    libraries = ("/_polars_runtime", "/lightgbm/", "/sklearn/", "/scipy/", "/pandas/")
    with shell.up(NENRIN_RESCORE="1") as up:
        ask(up)
        wait_until(lambda: counted(up, "rescored") >= 1)
        locks = map(FolderLock, folders(predictions_folder(shell.folder / ".nenrin")))
        [plane] = [process for lock in locks if (process := lock.held_by())]
        status = Path(f"/proc/{plane}/status").read_text()
        forked_from = int(status.split("PPid:")[1].split()[0])
        others = Path(f"/proc/{forked_from}/task/{forked_from}/children").read_text().split()

        def loaded(process: int) -> set[str]:
            maps = Path(f"/proc/{process}/maps").read_text()
            return {library for library in libraries if library in maps}

        assert loaded(plane) == set()
        assert loaded(forked_from) == set()
        [originals] = [int(each) for each in others if int(each) != plane]
        assert "/lightgbm/" in loaded(originals)

        def promoted() -> bool:
            ask(up)
            return forms(up) == {version(shell)["id"]: "compiled"} != before

        before = forms(up)
        customers(1000, 200).write_csv(shell.folder / "more.csv")
        shell("data", "load", "customers", "more.csv")
        wait_until(promoted)
        assert loaded(plane) == set()


def test_a_wrong_form_is_given_up_and_told(shell: Shell) -> None:
    found = version(shell)
    compiled = found["facts"]["compiled"]
    with Platform(Settings.read(folder=shell.folder, workers=0)) as platform:
        form = msgspec.msgpack.decode(platform.store.get(compiled["content"]), type=Form)
        leaves = {
            name: (np.frombuffer(form.arrays[name]) + 0.01).tobytes()
            for name in ("values", "leaves")
        }
        wrong = msgspec.structs.replace(form, arrays={**form.arrays, **leaves})
        planted = {**compiled, "content": platform.store.put(wrong.dumps())}
        with platform.units.write("dev", found["at"]) as unit:
            platform.registry.note(unit, found["id"], {"compiled": planted})
        model = Artefact.loads(platform.store.get(found["content"]), trusted=True)
        [right] = model.predict_rows([ROW])
    with shell.up(NENRIN_RESCORE="1") as up:
        wait_until(lambda: ask(up) == right and forms(up) == {found["id"]: "original"})
        assert counted(up, "breaches") == 1
        healed: list[dict[str, Any]] = []

        def told() -> bool:
            healed[:] = shell.here("status", "--json").json["healed"]
            return bool(healed)

        wait_until(told)
    assert (healed[0]["action"], healed[0]["what"]) == ("model.uncompiled", found["id"])
    assert "differed by" in version(shell)["facts"]["compiled"]["why"]
    assert shell.here("audit", "verify").out.startswith("dev  holds")


def test_a_roll_back_by_hand_compiles_nothing(shell: Shell) -> None:
    first = version(shell, 0)
    with (
        Platform(Settings.read(folder=shell.folder, workers=0)) as platform,
        platform.units.write("dev", first["at"]) as unit,
    ):
        platform.registry.note(unit, first["id"], {"compiled": {}})
    assert shell("deployments", "rollback", "churn", "--json").json["champion"] == first["id"]
    assert version(shell, 0)["facts"]["compiled"] == {}
