"""Who answers in the place of a version that fails, what sticks, what the client names, what is counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from starlette.testclient import TestClient

from nenrin.core.calendar import SystemCalendar
from nenrin.core.errors import NotFoundError
from nenrin.core.lock import FolderLock
from nenrin.core.timer import SystemTimer
from nenrin.serving.livelog import LiveLog
from nenrin.serving.observed import (
    Observed,
    Split,
    Standing,
    file_of,
    read_file,
    read_observed,
)
from nenrin.serving.plane.app import Plane
from nenrin.serving.plane.breaker import IN_A_ROW
from nenrin.serving.plane.observed import LOADS, Observer
from nenrin.serving.plane.proxy import ControlProxy
from nenrin.serving.plane.table import RouteTable
from nenrin.serving.prediction import Prediction
from nenrin.serving.router import Variant
from nenrin.serving.segments import read_predictions, worker_folder
from nenrin.serving.signature import RequestSignature
from tests.serving.fakes import EXAMPLE, SIGNATURE, Constant, FakeLoader, ListedRoutes, deployment


class Failing(Constant):
    """Fails while its version is listed."""

    def __init__(self, version: str, loader: Loader) -> None:
        super().__init__(float(version.removeprefix("v")))
        self.version, self.loader = version, loader

    def answer_rows(self, rows: Sequence[dict[str, Any]]) -> np.ndarray:
        if self.version in self.loader.broken:
            raise self.loader.kind("it broke")
        return super().answer_rows(rows)


class Loader(FakeLoader):
    def __init__(self) -> None:
        super().__init__()
        self.broken: set[str] = set()
        self.kind: type[Exception] = RuntimeError

    def open(self, variant: Variant) -> Failing:
        self.opened.append(variant.version)
        if variant.version == "broken":
            raise NotFoundError("its file is gone")
        return Failing(variant.version, self)


class Here:
    """A plane in this process, with a file of counts."""

    def __init__(self, folder: Path, *deployments: Any) -> None:
        self.folder = folder / "predictions"
        self.folder.mkdir()
        self.loader, self.routes = Loader(), ListedRoutes(*deployments)
        self.observer = Observer(self.folder / "observed.json", SystemTimer())
        self.table = RouteTable(
            self.routes, self.loader, SystemCalendar(), SystemTimer(), self.observer
        )
        self.table.refresh()
        self.log = LiveLog(self.folder)
        control = ControlProxy(folder / "control.sock")
        plane = Plane(self.table, self.log, control, SystemTimer())
        plane._loaded.set()  # no lifespan runs here
        self.client = TestClient(plane.app(), base_url="http://127.0.0.1")

    def serve(self, *deployments: Any) -> None:
        self.routes.listed = list(deployments)
        self.table.refresh()
        assert self.table.problems == {}

    def serve_badly(self, *deployments: Any) -> None:
        self.routes.listed = list(deployments)
        self.table.refresh()

    def metrics(self) -> str:
        return self.client.get("/metrics").text

    def ask(self, *keys: str, headers: dict[str, str] | None = None, **columns: Any) -> list[str]:
        """The versions that answer these keys, all in one request."""
        rows = [{**EXAMPLE, "flight_id": key, **columns} for key in keys]
        answer = self.client.post("/invocations", json=rows, headers=headers or {})
        assert answer.status_code == 200, answer.text
        versions: list[str] = answer.json()["versions"]
        return versions

    def logged(self) -> list[Prediction]:
        self.log.close()
        return list(read_predictions(self.folder))


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    here = Here(tmp_path, deployment("v0.1", "v0.9", weights=[50, 50]))
    yield here
    here.observer.close()


CHAMPION, CHALLENGER = "v0.1", "v0.9"


def keys(here: Here, version: str, count: int) -> list[str]:
    router = here.table.get("delay").router
    place = [v.version for v in router.route.variants].index(version)
    return [key for key in map(str, range(10 * count)) if router.pick(key) == place][:count]


def test_a_challenger_that_fails_is_left_out_and_tried_again(here: Here) -> None:
    here.loader.broken.add(CHALLENGER)
    asked = keys(here, CHALLENGER, IN_A_ROW + 5)
    for key in asked:
        assert here.ask(key) == [CHAMPION]
    [standing] = here.observer.observed().standings
    assert (standing.version, standing.open, standing.opened) == (CHALLENGER, True, 1)
    assert standing.instead == len(asked)
    metrics = here.client.get("/metrics").text
    labels = f'deployment="delay",version="{CHALLENGER}"'
    assert f"nenrin_version_left_out{{{labels}}} 1.0" in metrics
    assert f"nenrin_answered_instead_total{{{labels}}} {len(asked)}.0" in metrics
    here.loader.broken.clear()
    assert here.ask(asked[0]) == [CHAMPION]  # it is left out still
    here.table.get("delay").asking.breaker(1)._until = 0.0
    assert here.ask(asked[0]) == [CHALLENGER]
    assert here.ask(asked[1]) == [CHALLENGER]
    logged = here.logged()
    assert [each.instead_of for each in logged] == [CHALLENGER] * (len(asked) + 1) + ["", ""]


def test_a_champion_that_fails_leaves_its_rows_to_the_former(here: Here) -> None:
    here.serve(deployment(CHALLENGER, previous=CHAMPION))
    assert here.loader.opened == [CHAMPION, CHALLENGER]  # nothing is loaded for this
    here.loader.broken.add(CHALLENGER)
    assert here.ask("a", "b") == [CHAMPION, CHAMPION]
    logged = here.logged()
    assert [(each.variant, each.instead_of) for each in logged] == [(-1, CHALLENGER)] * 2


def test_the_constant_comes_last(here: Here) -> None:
    here.serve(deployment(CHALLENGER, previous=CHAMPION, fallback=0.2))
    here.loader.broken |= {CHALLENGER, CHAMPION}
    answer = here.client.post("/invocations", json=[EXAMPLE]).json()
    assert (answer["predictions"], answer["versions"]) == ([0.2], ["constant"])
    for _ in range(IN_A_ROW):
        here.ask("a")
    here.loader.broken.remove(CHAMPION)
    here.table.get("delay").asking.breaker(-1)._until = 0.0
    assert here.ask("a") == [CHAMPION]


def test_without_anybody_the_champions_error_is_told(here: Here) -> None:
    here.loader.broken |= {CHALLENGER, CHAMPION}
    for _ in range(2 * IN_A_ROW):  # never left out: who else should answer?
        answer = here.client.post("/invocations", json=[EXAMPLE])
        assert answer.status_code >= 400
        assert f"version {CHAMPION} failed" in answer.json()["message"]
    assert here.observer.observed().standings == []


def test_a_header_names_the_version_and_is_logged_as_forced(here: Here) -> None:
    named = {"X-Nenrin-Version": CHALLENGER}
    assert here.ask(*map(str, range(8)), headers=named) == [CHALLENGER] * 8
    assert here.observer.observed().splits[0].mine.dealt == 0
    unknown = {"X-Nenrin-Version": "v7"}
    assert here.client.post("/invocations", json=[EXAMPLE], headers=unknown).status_code == 404
    here.loader.broken.add(CHALLENGER)
    assert here.client.post("/invocations", json=[EXAMPLE], headers=named).status_code >= 400
    assert all(each.forced for each in here.logged())


@pytest.mark.parametrize("header", [True, False])
def test_rows_stick_by_a_header_or_a_column(here: Here, header: bool) -> None:
    signature = RequestSignature.of(
        {"distance": pl.Float64()},
        known={"flight_id": pl.String(), "user": pl.Int64(), "distance": pl.Float64()},
        key=("flight_id",),
        sticky="X-User" if header else "user",
    )
    example = {"flight_id": "a", "distance": 1.0}
    here.serve(
        deployment(CHAMPION, CHALLENGER, weights=[50, 50], request=signature, example=example)
    )
    seen = set()
    for user in range(20):
        by = {"headers": {"X-User": str(user)}} if header else {"user": user}
        versions = here.ask(*map(str, range(6)), **by)  # type: ignore[arg-type]
        assert len(set(versions)) == 1, user
        assert here.ask("other", **by) == versions[:1]  # type: ignore[arg-type]
        seen |= set(versions)
    assert seen == {CHAMPION, CHALLENGER}
    nobody = {} if header else {"user": None}
    assert len(set(here.ask(*map(str, range(20)), **nobody))) == 2  # without it, by the key
    if not header:
        lacking = here.client.post("/invocations", json=[EXAMPLE])
        assert lacking.status_code == 400
        assert "lacks the column 'user'" in lacking.json()["error"]


def test_a_split_is_counted_by_first_rows_and_keys_once(here: Here) -> None:
    mine, theirs = keys(here, CHALLENGER, 30), keys(here, CHAMPION, 150)
    for key in (*theirs, *mine[:10], *mine[:10]):
        here.ask(key)
    here.loader.broken.add(CHALLENGER)
    for key in mine[10:15]:
        here.ask(key)
    here.loader.broken.clear()
    here.ask(mine[20], *theirs[:5])
    here.observer.close()
    [split] = read_observed(here.folder, "dev", "delay").splits
    assert (split.subject, split.against, split.share) == (CHALLENGER, CHAMPION, 0.5)
    assert (split.mine.dealt, split.mine.answered, split.mine.failed) == (16, 11, 5)
    assert (split.theirs.dealt, split.theirs.answered, split.theirs.failed) == (150, 150, 0)
    assert (sum(split.mine.seconds), sum(split.theirs.seconds)) == (10, 150)  # of single rows
    assert split.edges == [0.1] * 9  # the first hundred made them
    assert (sum(split.theirs.answers), sum(split.mine.answers)) == (50, 11)
    assert split.mine.answers[9] == 11


def test_the_fault_of_another_row_is_not_counted(here: Here) -> None:
    mine = keys(here, CHALLENGER, 2)
    rows = [
        {**EXAMPLE, "flight_id": mine[0]},
        {**EXAMPLE, "flight_id": mine[1], "origin": "broken"},
    ]
    assert here.client.post("/invocations", json=rows).status_code >= 400
    counted = here.observer.observed().splits[0].mine
    assert (counted.answered, counted.failed) == (1, 0)
    assert here.client.post("/invocations", json=rows[1:]).status_code >= 400
    assert counted.failed == 1


@pytest.mark.parametrize("kind", [ValueError, RuntimeError])
def test_a_row_that_all_refuse_says_nothing_of_them(here: Here, kind: type[Exception]) -> None:
    """But one that another answers does, and so does any other failure."""
    here.serve(deployment(CHAMPION, fallback=0.125))
    here.loader.broken.add(CHAMPION)
    here.loader.kind = kind
    for _ in range(12):
        assert here.client.post("/invocations", json=[EXAMPLE]).json()["predictions"] == [0.125]
    here.loader.broken.clear()
    answered = here.client.post("/invocations", json=[EXAMPLE]).json()["predictions"]
    assert answered == [float(CHAMPION.removeprefix("v")) if kind is ValueError else 0.125]


def test_alone_a_version_fails_where_the_former_answers(here: Here) -> None:
    here.serve(deployment(CHALLENGER, previous=CHAMPION))
    here.ask("a")
    here.loader.broken.add(CHALLENGER)
    here.ask("b")
    here.loader.broken.add(CHAMPION)
    assert here.client.post("/invocations", json=[EXAMPLE]).status_code >= 400
    before, split = here.observer.observed().splits
    assert (before.share, before.mine.dealt) == (0.5, 0)  # its canary
    assert (split.subject, split.against, split.share) == (CHALLENGER, CHAMPION, 1.0)
    assert (split.mine.dealt, split.mine.answered, split.mine.failed) == (3, 1, 1)


def test_counts_survive_a_restart_and_end_with_the_pair(here: Here) -> None:
    for key in keys(here, CHAMPION, 4):
        here.ask(key)
    here.observer.close()
    again = Observer(here.folder / "observed.json", SystemTimer())
    counting, _ = again.follow(here.routes.listed[0])
    assert counting is not None
    assert counting.split.theirs.answered == 4
    raised, _ = again.follow(deployment(CHAMPION, CHALLENGER, weights=[20, 80]))
    assert raised is not None
    assert (raised.split.share, raised.split.theirs.answered) == (0.8, 0)
    assert len(again.observed().splits) == 2  # both stages of one pair
    gone, _ = again.follow(deployment(CHAMPION))
    assert gone is None
    assert again.observed().splits == []
    again.close()


def test_files_of_several_planes_add_up(here: Here) -> None:
    for key in keys(here, CHAMPION, 4):
        here.ask(key)
    here.observer.close()
    first = (here.folder / "observed.json").read_bytes()
    (here.folder / "observed-2.json").write_bytes(first)
    (here.folder / "observed-3.json").write_bytes(b"{torn")
    [split] = read_observed(here.folder, "dev", "delay").splits
    assert split.theirs.answered == 8
    assert read_observed(here.folder, "dev", "other").splits == []
    assert read_observed(here.folder, "prod", "delay").splits == []


def test_what_was_counted_before_it_began_says_nothing(here: Here) -> None:
    """The plane saw nothing of what came between two rollouts of the same versions by the same weights."""
    for key in keys(here, CHAMPION, 4):
        here.ask(key)
    before = here.routes.listed[0]
    here.serve(msgspec.structs.replace(before, epoch=2))
    here.ask(keys(here, CHAMPION, 5)[4])
    [split] = here.observer.observed().splits
    assert (split.epoch, split.theirs.answered) == (2, 1)
    here.observer.close()
    mine = here.folder / "observed.json"
    gone = read_file(mine)
    gone.splits[0].epoch = 0
    (here.folder / "observed-7.json").write_bytes(msgspec.json.encode(gone))
    splits = read_observed(here.folder, "dev", "delay").splits
    assert sorted((each.epoch, each.theirs.answered) for each in splits) == [(0, 1), (2, 1)]


def test_a_plane_that_is_gone_tells_no_more_how_versions_stand(tmp_path: Path) -> None:
    standing = Standing(deployment="delay", version=CHALLENGER, open=True, opened=3)
    split = Split(deployment="delay", subject=CHALLENGER, against=CHAMPION, share=0.5)
    told = Observed(
        environment="dev", splits=[split], standings=[standing], problems={"delay": "too large"}
    )
    for plane in (0, 1):
        file_of(tmp_path, plane).write_bytes(msgspec.json.encode(told))
    with FolderLock(worker_folder(tmp_path, 1)):
        found = read_observed(tmp_path, "dev", "delay")
        assert [each.opened for each in found.standings] == [3]
        assert found.problems == told.problems
    found = read_observed(tmp_path, "dev", "delay")
    assert (found.standings, found.problems) == ([], {})
    assert len(found.splits) == 1  # what it counted was so


def test_what_a_challenger_lacks_alone_is_not_its_failure(here: Here) -> None:
    """Rows of clients that do not send what only it reads yet."""
    wider = SIGNATURE.widened(RequestSignature.of({"z": pl.Float64()}, known={"z": pl.Float64()}))
    assert wider.optional == ("z",)
    here.serve(deployment(CHAMPION, CHALLENGER, weights=[50, 50], request=wider))
    here.loader.broken.add(CHALLENGER)
    asked = keys(here, CHALLENGER, IN_A_ROW + 4)
    for key in asked[:12]:
        assert here.ask(key) == [CHAMPION]
    [standing] = here.observer.observed().standings
    assert (standing.lacked, standing.lacks, standing.opened) == (12, "z", 0)
    here.ask(asked[12], z=1.0)
    [split] = here.observer.observed().splits
    assert (split.mine.failed, split.mine.answered) == (1, 0)
    before = split.theirs.dealt
    here.ask(keys(here, CHAMPION, 1)[0])  # lacks it too: compared on neither side
    here.ask(keys(here, CHAMPION, 2)[1], z=1.0)
    assert split.theirs.dealt == before + 1


def test_a_challenger_that_is_not_loaded_is_said_and_not_counted(here: Here) -> None:
    here.serve_badly(deployment(CHAMPION, "broken", weights=[50, 50]))
    for key in map(str, range(20)):
        assert here.ask(key) == [CHAMPION]
    observed = here.observer.observed()
    [standing] = observed.standings
    assert standing.version == "broken"
    assert standing.unloaded.startswith("it does not load: ")
    assert all(split.theirs.dealt == 0 for split in observed.splits)
    assert 'nenrin_version_unloaded{deployment="delay",version="broken"} 1.0' in here.metrics()
    here.serve(deployment(CHAMPION, CHALLENGER, weights=[50, 50]))
    assert here.observer.observed().standings == []
    here.serve_badly(deployment(CHAMPION, "broken", weights=[50, 50]))
    here.observer.close()  # what has ended loads nothing
    assert read_observed(here.folder, "dev", "delay").standings == []


def test_while_a_challenger_is_opened_that_is_said(here: Here) -> None:
    told: list[str] = []
    opened = here.loader.open

    def watched(variant: Variant) -> Failing:
        told.extend(each.unloaded for each in here.observer.observed().standings)
        return opened(variant)

    here.loader.open = watched  # type: ignore[method-assign]
    here.serve(deployment(CHAMPION, "v0.7", weights=[50, 50]))
    assert told == [LOADS]
    assert here.observer.observed().standings == []
