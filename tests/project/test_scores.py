"""What ``nr.score`` takes, and what it says of the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import nenrin as nr
from nenrin.core.errors import ProjectError
from nenrin.project.loader import load_project

FILE = """
import nenrin as nr

people = nr.file("people.csv", key="id")

@nr.model(rows=people, label=people.left == "yes")
def leaves(rows):
    return rows

nightly = nr.score(leaves, every="2d", at="04:00", to="out/{environment}-{day}.csv")
"""


def test_scores_are_found_and_named(tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text(FILE)
    (score,) = load_project(tmp_path).scores.values()
    assert repr(score) == "<score nightly>"
    assert score.rows.declared.name == "people"
    assert str(score.declared.when) == "every 2d at 04:00, missed looks: last"
    assert score.declared.where.endswith("project.py:10")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"every": "6h"}, "a period is whole days"),
        ({"at": "noon"}, "is not a local time of day"),
        ({"to": "out.parquet"}, "no name for a file a day"),
        ({"to": "out/{day}.txt"}, "no name for a file a day"),
        ({"to": "out/{day}-{what}.csv"}, "no name for a file a day"),
        ({"to": "{day"}, "no name for a file a day"),
        ({"rows": "people"}, "wants a model"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_line(
    tmp_path: Path, wrong: dict[str, Any], said: str
) -> None:
    people = nr.file("people.csv", key="id").named("people", tmp_path)

    @nr.model(rows=people, label=people.left == "yes")
    def leaves(rows: Any) -> Any:
        return rows

    with pytest.raises(ProjectError, match=said) as raised:
        nr.score(leaves, **{"to": "{day}.csv", **wrong})
    assert raised.value.where.partition(":")[0] == __file__
