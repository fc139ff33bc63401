"""Parents, read; and which load a fit was trained on."""

from __future__ import annotations

from typing import Any, cast

from nenrin.data.service import DataService
from nenrin.data.versions import DatasetVersion
from nenrin.project.made_from import Loads, MadeFrom, made_from, told
from nenrin.registry.version import Version

LOOK = "2024-03-01T00:00:00Z"


def load(number: int, dataset: str = "rows", environment: str = "dev") -> DatasetVersion:
    return DatasetVersion(
        id=f"data-{dataset}-{number}",
        dataset=dataset,
        environment=environment,
        number=number,
        manifest=f"{dataset} {number}",
        rows=number,
        added=1,
        changed=0,
        unchanged=0,
        bound=0,
        at=0,
    )


class Data:
    """Loads whose rows, as known at any look, have these digests."""

    def __init__(self, rows: dict[str, str], **loads: list[DatasetVersion]) -> None:
        self.rows = rows
        self.loads = loads
        self.asked = 0

    def versions(self, environment: str, name: str | None = None) -> list[DatasetVersion]:
        return [each for each in self.loads.get(environment, []) if name in (None, each.dataset)]

    def digest_as_of(self, version: DatasetVersion, known_by: int) -> str:
        self.asked += 1
        return self.rows[version.manifest]


def fit(rows: str) -> Version:
    parents = ("recipe:history", f"look:{LOOK}", f"cutoff:{LOOK}", f"data:rows:{rows}")
    return Version(
        id=f"version-{rows}",
        name="delay",
        kind="model",
        environment="dev",
        content="c",
        at=0,
        parents=parents,
    )


def loads(data: Data, *environments: str) -> Loads:
    return Loads(cast(DataService, data), environments or ("dev",))


def test_parents_are_read() -> None:
    assert made_from(
        ["recipe:trailing 30d", f"look:{LOOK}", "cutoff:C", "data:rows:12", "without fold:3"]
    ) == MadeFrom(
        recipe="trailing 30d",
        look=LOOK,
        cutoff="C",
        data={"rows": "12"},
        others=("without fold:3",),
    )
    assert made_from(["version-1", "version-2"]).versions == ("version-1", "version-2")
    assert made_from(["3f2a"]) == MadeFrom(others=("3f2a",))


def test_the_first_load_that_holds_the_rows_is_the_one() -> None:
    data = Data(
        {"rows 1": "x", "rows 2": "y", "rows 3": "y", "other 1": "y"},
        dev=[load(1, "other"), load(1), load(2), load(3)],
    )
    found = loads(data).behind(made_from(fit("y").parents))
    assert found == {"rows": load(2)}
    assert loads(data).behind(made_from(fit("z").parents)) == {"rows": None}


def test_up_and_down_agree() -> None:
    data = Data({"rows 1": "x", "rows 2": "y", "rows 3": "y"}, dev=[load(1), load(2), load(3)])
    fits = [fit("x"), fit("y"), fit("z")]
    for each in (load(1), load(2), load(3)):
        below = {f.id for f in fits if loads(data).behind(made_from(f.parents))["rows"] == each}
        assert {f.id for f in loads(data).trained_on(each, fits)} == below
    assert [f.id for f in loads(data).trained_on(load(3), fits)] == []


def test_a_backtest_reads_the_loads_of_another_environment() -> None:
    data = Data({"rows 1": "x"}, dev=[load(1)])
    assert loads(data, "backtest/1", "dev").behind(made_from(fit("x").parents)) == {"rows": load(1)}


def test_a_look_is_asked_once() -> None:
    data = Data({"rows 1": "x"}, dev=[load(1)])
    asking = loads(data)
    for _ in range(3):
        asking.behind(made_from(fit("x").parents))
    assert data.asked == 1


def test_a_load_that_is_not_here_is_said() -> None:
    said: dict[str, Any] = told(None, "rows", "x")
    assert said == {"dataset": "rows", "version": None, "known at the look": "x"}
    assert told(load(2), "rows", "x")["version"] == "data-rows-2"
