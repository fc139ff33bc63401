"""Which runtime reads a file, by what is in it.

What a library wrote in a format of its own is read as that. A pickle, and a program of PyTorch's, can do
anything when it is read: only files that the project vouches for.
"""

from __future__ import annotations

import pickle
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from nenrin.core.errors import ProjectError
from nenrin.training.formats import LightGBM, Skops
from nenrin.training.runtimes import mlflow
from nenrin.training.runtimes.catboosting import open_catboost
from nenrin.training.runtimes.keras import is_keras, open_keras
from nenrin.training.runtimes.onnx import open_onnx
from nenrin.training.runtimes.opened import Opened
from nenrin.training.runtimes.torching import kind_of, open_torch
from nenrin.training.runtimes.xgboosting import is_xgboost, open_xgboost


def open_file(path: Path, *, trust: bool) -> Opened:
    """The model in a file or folder.

    Args:
        path: a file, or a folder of MLflow's or TensorFlow's.
        trust: the project vouches for it, so that code in it may run.

    Raises:
        ProjectError: it holds code and nobody vouches for it, or nothing here reads it.
        RefusedError: a skops archive holds what nobody vouches for.
        MissingExtraError: its library is not installed.
        ValueError: the library cannot read it, or what pickles raise.
    """
    if is_keras(path):
        if path.is_dir():
            vouched(path, trust=trust)  # TensorFlow's graphs are programs
        return open_keras(path, trust=trust)
    if path.is_dir():
        return _open_folder(path, trust=trust)
    data = path.read_bytes()
    if data[:5] == b"tree\n":
        return open_lightgbm(data)
    if data[:4] == b"CBM1":
        return open_catboost(data)
    if path.suffix == ".onnx":
        return open_onnx(data)
    if is_xgboost(data):
        return open_xgboost(data)
    if is_skops(path):
        return Opened(_skops(path, trust=trust))
    vouched(path, trust=trust)
    return open_torch(data) if kind_of(data) else Opened(_unpickled(path))


def open_lightgbm(data: bytes) -> Opened:
    """The booster in LightGBM's text, with the categories that it was fitted on."""
    booster = LightGBM().loads(data)
    known = booster.pandas_categorical or []
    return Opened(booster, categories=tuple(tuple(map(str, texts)) for texts in known))


def vouched(path: Path, *, trust: bool) -> None:
    """Refuse a file that runs code when it is read, unless the project vouches for it.

    Raises:
        ProjectError: it does not.
    """
    if not trust:
        raise ProjectError(
            f"{path.name} can run code when it is read",
            hint="save the model in its library's own format, or write trust=True if you made it",
        )


def is_skops(path: Path) -> bool:
    """Whether skops wrote the file."""
    if path.suffix == ".skops":
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            return "schema.json" in archive.namelist()
    except zipfile.BadZipFile:
        return False


def _skops(path: Path, *, trust: bool) -> Any:
    if not trust:
        return Skops().loads(path.read_bytes())
    from skops.io import get_untrusted_types, load

    return load(path, trusted=get_untrusted_types(file=path))


def _unpickled(path: Path) -> Any:
    if path.suffix == ".joblib":
        import joblib

        return joblib.load(path)
    with path.open("rb") as file:
        return pickle.load(file)


def _open_folder(folder: Path, *, trust: bool) -> Opened:
    if not mlflow.is_folder(folder):
        raise ProjectError(
            f"{folder.name} is a folder without MLmodel",
            hint="give a model file, or a folder that MLflow wrote",
        )
    file = mlflow.native(folder)
    if file is None:
        vouched(folder, trust=trust)
        opened = mlflow.open_pyfunc(folder)
    else:
        opened = open_file(file, trust=trust)
    return replace(opened, names=tuple(mlflow.signature(folder)) or None)
