from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from nenrin.core.errors import ConflictError, DataError, NotFoundError
from nenrin.data.frames import table
from nenrin.data.spec import DatasetSpec
from nenrin.project.init import examples, infer, project_text, write_example, write_project

ROOT = Path(__file__).parents[2]
N = 400


@pytest.fixture
def customers(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    churned = random.random(N) < 0.3
    frame = pl.DataFrame(
        {
            "customer_id": [f"c{i}" for i in range(N)],
            "signed": [f"2023-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(N)],
            "renewed": [None if i == 6 else f"2023-{1 + i % 12:02d}-01" for i in range(N)],
            "tenure": random.integers(0, 72, N),
            "spend": random.random(N) * 100,
            "plan": random.choice(["a", "b"], N),
            "note": [f"note {i}" for i in range(N)],
            "refund_reason": np.where(churned, "left", "none"),
            "churned": np.where(churned, "Yes", "No"),
            "class": np.where(random.random(N) < 0.2, "rare", "often"),
            "Odd name?": random.random(N) < 0.5,
            "bit": random.integers(0, 2, N),
            "grade": random.choice(["x", "y", "z"], N),
            "same": ["one"] * N,
        }
    )
    path = tmp_path / "customers.csv"
    frame.write_csv(path)
    frame.write_parquet(tmp_path / "customers.parquet")
    return path


def test_the_file_of_the_manual(customers: Path):
    text = write_project(customers.parent, infer(customers, "churned")).read_text()
    compile(text, "project.py", "exec")
    assert (
        text
        == '''"""Predicts churned of customers.csv."""
import nenrin as nr
from lightgbm import LGBMClassifier

customers = nr.file("customers.csv", key="customer_id")

# left out: note, a text that differs in every row
# left out: refund_reason, which alone tells the target (AUC 1.000): was it known when it was asked?
@nr.model(rows=customers, label=customers.churned == "Yes", metric="log_loss", drop=["note", "refund_reason"])
def churned(rows):
    return LGBMClassifier(n_jobs=1).fit(rows.pandas(), rows.y, sample_weight=rows.weight)

service = nr.deployment(churned)
'''
    )


def test_csv_and_parquet_give_the_same(customers: Path):
    csv, parquet = (infer(customers.with_suffix(kind), "churned") for kind in (".csv", ".parquet"))
    assert (csv.positive, csv.key, csv.drop) == (parquet.positive, parquet.key, parquet.drop)
    assert 'nr.file("customers.parquet"' in project_text(parquet, "customers.parquet")


@pytest.mark.parametrize(
    ("target", "task", "label"),
    [
        ("churned", "binary", 'customers.churned == "Yes"'),
        ("class", "binary", 'customers["class"] == "rare"'),
        ("Odd name?", "binary", 'customers["Odd name?"]'),
        ("bit", "binary", "customers.bit == 1"),
        ("tenure", "regression", "customers.tenure"),
        ("spend", "regression", "customers.spend"),
    ],
)
def test_the_task_follows_from_the_target(customers: Path, target: str, task: str, label: str):
    inferred = infer(customers, target)
    text = project_text(inferred, "customers.csv")
    compile(text, "project.py", "exec")
    assert inferred.task == task
    assert f"label={label}, " in text
    learner, metric = (
        ("LGBMClassifier", "log_loss") if task == "binary" else ("LGBMRegressor", "rmse")
    )
    assert f"return {learner}(n_jobs=1)" in text
    assert f'metric="{metric}"' in text


def test_a_time_column_is_declared(customers: Path):
    inferred = infer(customers, "tenure", time="signed")
    assert 'nr.file("customers.csv", key="customer_id", time="signed")' in project_text(
        inferred, "customers.csv"
    )


def test_an_id_with_doubles_identifies_a_row_with_its_time(tmp_path: Path):
    path = tmp_path / "1 visits.csv"
    path.write_text("shopId,day,n\n1,2020-01-01,3\n1,2020-01-02,4\n2,2020-01-01,5\n")
    assert infer(path, "n").key == ()
    inferred = infer(path, "n", time="day")
    assert inferred.key == ("shopId", "day")
    text = project_text(inferred, path.name)
    assert 'rows_1_visits = nr.file("1 visits.csv", key=["shopId", "day"], time="day")' in text


def test_a_table_with_the_name_of_its_target(tmp_path: Path):
    path = tmp_path / "price.csv"
    path.write_text("price,class\n1,2\n2,3\n4,2\n")
    text = project_text(infer(path, "price"), "price.csv")
    assert "price = nr.file" in text
    assert "def model_price(rows)" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"target": "churn"}, "no column churn"),
        ({"target": "churned", "time": "sign"}, "no column sign"),
        ({"target": "churned", "time": "plan"}, "no time"),
        ({"target": "churned", "time": "renewed"}, "1 of 400 rows .* no renewed.* line 8 of"),
        ({"target": "churned", "key": "plan"}, "does not identify rows"),
        ({"target": "grade"}, "3 different texts"),
        ({"target": "signed"}, "values of type Date"),
        ({"target": "same"}, "nothing to tell apart"),
    ],
)
def test_what_cannot_be_is_said_with_a_hint(customers: Path, arguments: dict[str, str], said: str):
    with pytest.raises(DataError, match=said) as raised:
        infer(customers, **arguments)
    assert raised.value.hint
    assert raised.value.where == str(customers)


def test_a_hint_without_a_near_name_says_what_there_is(customers: Path):
    with pytest.raises(DataError) as raised:
        infer(customers, "qqq")
    assert raised.value.hint.startswith("its columns are: customer_id, signed, ")


def test_a_missing_file(tmp_path: Path):
    with pytest.raises(DataError, match="no file"):
        infer(tmp_path / "none.csv", "y")


@pytest.mark.parametrize(
    ("text", "read"),
    [("2024-03-04", "4 Mar 2024 00:00"), ("03/25/2024 5:30", "25 Mar 2024 05:30")],
)
def test_how_times_are_read_is_said(tmp_path: Path, text: str, read: str):
    path = tmp_path / "t.csv"
    path.write_text(f"a,at,y\n1,{text},1\n2,{text},2\n3,{text},5\n")
    (note,) = [note for note in infer(path, "y", time="at").notes if note.startswith("at ")]
    assert f"the first row on {read} UTC" in note
    (note,) = [note for note in infer(path, "y").notes if "--time" in note]
    assert "though at could say when they happened" in note


def test_a_table_without_times_is_not_asked_for_one(tmp_path: Path):
    path = tmp_path / "t.csv"
    path.write_text("a,b,y\n1,x,1\n2,2024-01-01,2\n3,,5\n")
    assert not [note for note in infer(path, "y").notes if "--time" in note]


def test_rows_without_a_target_are_noted(tmp_path: Path):
    path = tmp_path / "t.csv"
    path.write_text("a,y\n1,yes\n2,\n3,no\n4,no\n")
    inferred = infer(path, "y")
    assert inferred.positive == "yes"
    assert any("1 rows have no y" in note for note in inferred.notes)


def test_columns_without_a_name_are_said(tmp_path: Path):
    path = tmp_path / "t.csv"
    path.write_text(",a,,y\n" + "".join(f"{i},{i % 7},{i % 3},{i % 5}\n" for i in range(20)))
    inferred = infer(path, "y")
    assert list(inferred.drop) == ["unnamed_1"]
    assert "only numbers the rows" in inferred.drop["unnamed_1"]
    assert any(note.startswith("unnamed_3 is what a column without") for note in inferred.notes)


def test_the_path_is_relative_to_the_project(customers: Path, tmp_path: Path):
    text = write_project(tmp_path / "deep" / "er", infer(customers, "spend")).read_text()
    assert 'nr.file("../../customers.csv"' in text
    spec = DatasetSpec(name="customers")
    assert table(tmp_path / "deep" / "er" / "../../customers.csv", spec).height == N


def test_a_project_is_never_overwritten(customers: Path):
    (customers.parent / "project.py").write_text("mine")
    with pytest.raises(ConflictError, match=r"project\.py"):
        write_project(customers.parent, infer(customers, "churned"))
    with pytest.raises(ConflictError):
        write_example(customers.parent, "flights")
    assert (customers.parent / "project.py").read_text() == "mine"


@pytest.mark.parametrize("name", ["flights", "footfall"])
def test_examples_are_those_of_the_repository(tmp_path: Path, name: str):
    written = write_example(tmp_path, name).read_bytes()
    assert written == (ROOT / "examples" / name / "project.py").read_bytes()
    assert len(written.splitlines()) < 50


def test_an_unknown_example_names_those_there_are(tmp_path: Path):
    assert {"flights", "footfall"} <= set(examples())
    with pytest.raises(NotFoundError) as raised:
        write_example(tmp_path, "nothing")
    assert "flights" in raised.value.hint


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file .*customers\.csv") as refused:
        infer(tmp_path / "customers.csv", "churned")
    assert "project file" not in str(refused.value.hint)


@pytest.mark.parametrize(
    ("texts", "dropped"),
    [
        (["a@example.org", "b@example.org"], True),
        (["a@example.org", "unknown", None, "b@x.example.org"], True),
        (["@ home", "at@work", "a@example.org"], False),
        ([None, None], False),
    ],
)
def test_addresses_of_people_are_no_features(
    tmp_path: Path, texts: list[str | None], dropped: bool
) -> None:
    mail = [texts[i % len(texts)] for i in range(60)]
    frame = pl.DataFrame(
        {"mail": pl.Series(mail, dtype=pl.String), "left": [0, 0, 0, 1, 1, 0] * 10}
    )
    frame.write_parquet(tmp_path / "people.parquet")
    inferred = infer(tmp_path / "people.parquet", "left")
    assert (inferred.drop == {"mail": "e-mail addresses: they name people"}) is dropped
