"""What a model function is given."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from nenrin.core.errors import RequestError
from nenrin.training.columns import encode
from nenrin.training.rows import Access, Rows

COLUMNS = encode(pl.DataFrame({"x": [1.0, 2.0, 3.0], "carrier": ["UA", "AA", "UA"]}))
Y = np.array([0, 1, 1])
WEIGHT = np.array([0.5, 1.0, 1.5])


def _rows(access: Access | None = None) -> Rows:
    return Rows(COLUMNS, np.arange(3), Y, WEIGHT, access=access)


def test_gives_features_labels_and_weights() -> None:
    rows = _rows()
    assert len(rows) == 3
    assert rows.X["carrier"].to_list() == ["UA", "AA", "UA"]
    assert rows.pandas()["x"].tolist() == [1.0, 2.0, 3.0]
    assert rows.numpy().shape == (3, 2)
    assert rows.y.tolist() == [0, 1, 1]
    assert rows.weight.mean() == 1.0
    assert repr(rows) == "<3 rows of x, carrier>"


def test_records_the_last_container_and_whether_weights_were_read() -> None:
    seen: list[str] = []
    access = Access(seen.append)
    rows = _rows(access)
    assert (access.container, access.weight_read) == (None, False)
    assert rows.X.height == 3
    assert len(rows.pandas()) == 3
    assert access.container == "pandas"
    assert seen == ["polars", "pandas"]
    assert not access.weight_read
    assert len(rows.weight) == 3
    assert access.weight_read


def test_batches_are_the_rows_in_order() -> None:
    access = Access()
    batches = list(_rows(access).batches(2))
    assert [len(batch) for batch in batches] == [2, 1]
    assert np.concatenate([batch.numpy() for batch in batches]).tolist() == _rows().numpy().tolist()
    assert np.concatenate([batch.weight for batch in batches]).tolist() == WEIGHT.tolist()
    assert (access.container, access.weight_read) == ("numpy", True)
    assert batches[1].X.schema["carrier"] == pl.Enum(["AA", "UA"])


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(RequestError, match="batch of 0"):
        next(_rows().batches(0))


def test_a_container_is_the_callers_to_change() -> None:
    rows = _rows()
    frame = rows.pandas()
    frame.loc[:, "x"] = 0.0
    rows.numpy()[:] = 0.0
    assert rows.pandas()["x"].tolist() == [1.0, 2.0, 3.0]
    assert rows.X["x"].to_list() == [1.0, 2.0, 3.0]
