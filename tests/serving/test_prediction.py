"""A request's numbers are written once for row and features, as if they had been written twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from nenrin.serving.livelog import LiveLog, _line
from nenrin.serving.prediction import Prediction, predictions_of
from nenrin.training.records import Records
from tests.serving.logging_here import answered


def test_numbers_that_pass_through_are_written_once(tmp_path: Path) -> None:
    log = LiveLog(tmp_path)
    block = np.array([[1.0, -0.0], [np.nan, 1e300], [3.5, 2.0]])
    for nulls in ((), ("id", "at")):
        rows = Records.of_block(("a", "b"), block, nulls)

        def lines(rows: Any, features: Any) -> list[Prediction]:
            request = answered(log, 3, rows=rows, features=features)
            written = map(_line, predictions_of(request, log._masks))
            return [msgspec.json.decode(line, type=Prediction) for line in written]

        once, twice = (
            lines(rows, rows.pick(("a", "b"))),
            lines(list(rows), list(rows.pick(("a", "b")))),
        )
        assert [(each.row, each.features) for each in once] == [
            (each.row, each.features) for each in twice
        ]
        assert once[1].row == {**dict.fromkeys(nulls), "a": None, "b": 1e300}
    log.close()
