"""PyTorch: TorchScript and torch.export, which only trust opens."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nenrin.core.errors import MissingExtraError, ProjectError, RefusedError
from nenrin.training.artefact import Artefact, describe, dump
from nenrin.training.columns import ColumnSpec
from tests.training.runtimes.brought import INSTALL, agrees, artefact, declared, rows

pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch deprecates TorchScript with every call


def net(width: int = 1) -> Any:
    torch = pytest.importorskip("torch", reason=INSTALL.format("torch"))
    torch.manual_seed(1)
    last = torch.nn.Sigmoid() if width == 1 else torch.nn.Softmax(dim=1)
    return torch.nn.Sequential(
        torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, width), last
    )


def exported(module: Any, how: str) -> Any:
    import torch

    if how == "script":
        return torch.jit.script(module)
    batch = {0: torch.export.Dim.AUTO}
    return torch.export.export(module.eval(), (torch.zeros(3, 2),), dynamic_shapes=(batch,))


def own(module: Any, X: np.ndarray) -> np.ndarray:
    import torch

    with torch.no_grad():
        return module(torch.from_numpy(X.astype(np.float32))).numpy()[:, -1]


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("how", ["script", "export"])
def test_a_program_answers_as_the_module_does(tmp_path: Path, how: str, width: int) -> None:
    module = net(width)
    import torch

    save = torch.jit.save if how == "script" else torch.export.save
    save(exported(module, how), str(tmp_path / "model.pt"))
    frame = rows().select("a", "b").fill_nan(0.0)
    brought = artefact(declared("model.pt", trust=True), tmp_path, frame)
    assert brought.header.format == "torch"
    agrees(brought, frame, own(module, frame.to_numpy()), 1e-6)


@pytest.mark.parametrize("how", ["script", "export"])
def test_what_a_function_returns_is_kept(how: str) -> None:
    module = net()
    columns = tuple(ColumnSpec(name=name, kind="number") for name in "ab")
    said: dict[str, Any] = {"name": "m", "where": "", "task": "binary", "columns": columns}
    data = dump(exported(module, how), container="numpy", **said)
    assert describe(data).format == "torch"
    with pytest.raises(RefusedError, match="reading it runs code"):
        Artefact.loads(data)
    frame = rows().select("a", "b").fill_nan(0.0)
    agrees(Artefact.loads(data, trusted=True), frame, own(module, frame.to_numpy()), 1e-6)


def zipped(path: Path, *names: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"")


def test_a_program_wants_trust_and_weights_are_none(tmp_path: Path) -> None:
    zipped(tmp_path / "model", "archive/data.pkl", "archive/code/m.py")
    with pytest.raises(ProjectError, match="can run code when it is read"):
        artefact(declared("model"), tmp_path, rows())
    zipped(tmp_path / "model", "archive/data.pkl")
    with pytest.raises(ProjectError, match=r"what torch\.save pickled") as caught:
        artefact(declared("model", trust=True), tmp_path, rows())
    assert "torch.export.save" in caught.value.hint


def test_pytorch_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zipped(tmp_path / "model", "archive/data.pkl", "archive/code/m.py")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match="torch is not installed") as caught:
        artefact(declared("model", trust=True), tmp_path, rows())
    assert caught.value.hint == INSTALL.format("torch")
