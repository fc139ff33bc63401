"""Writes the model as MLflow's own format, for ``mlflow models serve``."""

from __future__ import annotations

import sys

import joblib
import mlflow.lightgbm
import mlflow.sklearn

from benchmarks.peers.models import data

model, path, to = sys.argv[1:4]
frame, _ = data(model, 10)
fitted = joblib.load(path)
if model == "a":
    mlflow.lightgbm.save_model(fitted, to, input_example=frame)
else:
    mlflow.sklearn.save_model(fitted, to, input_example=frame, serialization_format="cloudpickle")
