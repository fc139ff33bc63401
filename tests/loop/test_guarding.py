"""What is not safe is taken back at once, by the same path as the watch; a pause keeps a rollout's weight."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import copy_context
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nenrin.backends.sql.loop import SqlLoopStates
from nenrin.core.actor import act_for
from nenrin.core.errors import ConflictError, NotFoundError
from nenrin.core.instants import NEVER
from nenrin.core.lock import FolderLock
from nenrin.core.settings import Settings
from nenrin.loop.journal import keep, read
from nenrin.loop.state import Artefact, Segment, State, Watch
from nenrin.platform import PREDICTIONS, Platform
from nenrin.registry.kinds import Answerer, OpenContext
from nenrin.serving.observed import Arm, Observed, Split, file_of
from nenrin.serving.segments import worker_folder
from nenrin.serving.signature import RequestSignature

STATES = SqlLoopStates()
NAME = "delay"


class Plain:
    """Any bytes."""

    name = "plain"

    def describe(self, content: bytes) -> dict[str, Any]:
        return {}

    def open(self, content: bytes, context: OpenContext) -> Answerer:
        raise AssertionError(content)


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with Platform(Settings.read(folder=tmp_path, workers=0), kinds=[Plain()]) as opened:
        yield opened


@pytest.fixture
def versions(platform: Platform) -> tuple[str, str]:
    """A champion, and a challenger with a fifth of the requests."""
    old, new = (_register(platform, content) for content in (b"old", b"new"))
    with platform.units.write("dev", 1) as unit:
        platform.serving.deploy(
            unit, NAME, model=NAME, version=old, revision="r", request=RequestSignature(fields=())
        )
        platform.serving.canary(unit, NAME, new, 20, reason="it goes out")
    return old, new


def _register(platform: Platform, content: bytes) -> str:
    digest = platform.store.put(content)
    with platform.units.write("dev", 1) as unit:
        return platform.registry.register(
            unit, name=NAME, kind="plain", content=digest, revision="r"
        ).id


def observed(
    platform: Platform, subject: str, against: str, share: float = 0.2, epoch: int = 1
) -> None:
    """A plane has counted that a fifth of the subject's requests fail."""
    mine = Arm(dealt=200, answered=160, failed=40, faults=40)
    theirs = Arm(dealt=800, answered=790, failed=10, faults=10)
    split = Split(
        deployment=NAME, subject=subject, against=against, epoch=epoch, share=share, mine=mine,
        theirs=theirs,
    )  # fmt: skip
    folder = platform.settings.state_folder / PREDICTIONS
    folder.mkdir(exist_ok=True)
    content = msgspec.json.encode(Observed(environment="dev", splits=[split]))
    (folder / "observed.json").write_bytes(content)


def remember(platform: Platform, old: str, new: str, weight: int = 20) -> None:
    """A loop that has sent ``new`` out, under a watch."""

    def fit(version: str, recipe: str) -> Artefact:
        return Artefact(version=version, model="m", recipe=recipe, look=0, cutoff=0)

    watch = Watch(subject=new, ref=old, ref_since=1, opened=1, margin=0.02, cap=0.1, block=0)
    rest = ((old, 100 - weight),) if weight < 100 else ()
    state = State(
        settle=0,
        next_block=0,
        next_day=0,
        next_look=NEVER,
        artefacts={old: fit(old, "history"), new: fit(new, "trailing 90d")},
        fits={"history": [old], "trailing 90d": [new]},
        champion=old if weight < 100 else new,
        anchor=old,
        segments=[Segment(0, ((old, 100),)), Segment(1, (*rest, (new, weight)))],
        stages_left=(100,) if weight < 100 else (),
        stage_at=50 if weight < 100 else NEVER,
        watch=watch,
    )
    with platform.units.write("dev", 1) as unit:
        keep(STATES, unit, NAME, state)


def state_of(platform: Platform) -> State:
    with platform.units.read("dev") as unit:
        state = read(STATES, unit, NAME)
    assert state is not None
    return state


def body(platform: Platform, kind: str) -> dict[str, Any]:
    [event] = platform.units.find("dev", kind=kind)
    return dict(event.body)


def test_what_is_safe_stays(platform: Platform, versions: tuple[str, str]) -> None:
    old, new = versions
    assert platform.loop.guarding.guard("dev") == []
    observed(platform, old, new)  # another pair
    assert platform.loop.guarding.guard("dev") == []
    shown = platform.loop.guarding.show("dev", NAME)["safety"]
    assert (shown["subject"], shown["against"], list(shown["requests"])) == (new, old, [0, 0])


def test_a_canary_of_the_loop_is_taken_back_like_by_the_watch(
    platform: Platform, versions: tuple[str, str]
) -> None:
    old, new = versions
    remember(platform, old, new)
    observed(platform, new, old)
    [said] = platform.loop.guarding.guard("dev")
    assert said == (
        f"{new} of 'delay' was rolled back: 20.0% of its requests failed, of the other 1.2%"
    )
    state = state_of(platform)
    assert (state.champion, state.bad, state.probation) == (old, [new], ["trailing 90d"])
    assert (state.watch, state.stages_left, state.stage_at) == (None, (), NEVER)
    assert (state.refits, state.refit_at) == (["trailing 90d"], state.segments[-1].start)
    assert state.segments[-1].variants == ((old, 100),)
    served = platform.serving.show("dev", NAME)
    assert [(v.version, v.weight) for v in served.route.variants] == [(old, 100)]
    assert platform.registry.get("dev", new).status == "bad"
    told = body(platform, "rollout.rolled_back")
    assert (told["to"], told["bad"], told["probation"]) == (old, [new], ["trailing 90d"])
    errors, latency, answers = told["safety"]["metrics"]
    assert (errors["mine"], errors["theirs"], errors["breach"]) == (0.2, 0.0125, True)
    assert errors["evidence"] > errors["needs"] == 60
    assert not latency["breach"]
    assert not answers["breach"]
    assert body(platform, "watch.closed")["outcome"] == "unsafe"
    assert platform.loop.guarding.guard("dev") == []  # once
    assert platform.audit.verify("dev").holds


def test_a_version_that_answers_everything(platform: Platform, versions: tuple[str, str]) -> None:
    old, new = versions
    with platform.units.write("dev", 2) as unit:
        platform.serving.promote(unit, NAME, new, reason="fast lane")
    observed(platform, new, old, share=1.0)
    assert platform.loop.guarding.guard("dev") == []  # nothing is watched
    remember(platform, old, new, weight=100)
    assert len(platform.loop.guarding.guard("dev")) == 1
    assert platform.serving.show("dev", NAME).champion == old


def test_a_canary_begun_anew_is_not_judged_by_what_was_counted_before(
    platform: Platform, versions: tuple[str, str]
) -> None:
    old, new = versions
    with platform.units.write("dev", 2) as unit:
        before = platform.serving.rollback(unit, NAME, reason="by hand")
        again = platform.serving.canary(unit, NAME, new, 20, reason="once more")
    observed(platform, new, old)
    assert platform.loop.guarding.guard("dev") == []
    assert platform.loop.guarding.show("dev", NAME)["safety"]["requests"] == (0, 0)
    observed(platform, new, old, epoch=before.epoch)
    assert platform.loop.guarding.guard("dev") == []
    observed(platform, new, old, epoch=again.epoch)
    assert len(platform.loop.guarding.guard("dev")) == 1


def test_a_canary_without_a_loop(platform: Platform, versions: tuple[str, str]) -> None:
    old, new = versions
    observed(platform, new, old)
    assert len(platform.loop.guarding.guard("dev")) == 1
    assert platform.serving.show("dev", NAME).champion == old
    assert platform.registry.get("dev", new).status == "bad"
    assert body(platform, "rollout.rolled_back")["bad"] == [new]


def test_a_freeze_holds_it_and_says_so_once(platform: Platform, versions: tuple[str, str]) -> None:
    old, new = versions
    remember(platform, old, new)
    observed(platform, new, old)
    platform.loop.freeze("dev", NAME, "the release")
    for _ in range(2):
        assert platform.loop.guarding.guard("dev") == []
    assert body(platform, "change.held")["would"] == f"roll back {new}: it is not safe"
    platform.loop.unfreeze("dev", NAME)
    assert len(platform.loop.guarding.guard("dev")) == 1


def test_who_wrote_meanwhile_is_not_overwritten(
    platform: Platform, versions: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = versions
    remember(platform, old, new)
    observed(platform, new, old)
    monkeypatch.setattr(
        "nenrin.loop.guarding.keep", lambda *_: (_ for _ in ()).throw(ConflictError("meanwhile"))
    )
    assert platform.loop.guarding.guard("dev") == []
    assert len(platform.serving.show("dev", NAME).route.variants) == 2
    assert platform.registry.get("dev", new).status != "bad"  # all of it, or nothing


def _as_ann(do: Callable[[], Any]) -> Any:
    """Do something that Ann has asked for."""

    def done() -> Any:
        act_for("ann")
        return do()

    return copy_context().run(done)


def test_the_newest_roll_back_keeps_its_numbers(
    platform: Platform, versions: tuple[str, str]
) -> None:
    old, new = versions
    show = platform.loop.guarding.show
    assert show("dev", NAME)["rolled_back"] is None
    remember(platform, old, new)
    observed(platform, new, old)
    platform.loop.guarding.guard("dev")
    told = show("dev", NAME)
    assert told["safety"] is None  # nothing goes out any more
    back = told["rolled_back"]
    assert (back["left"], back["to"], back["by"]) == ([new], old, None)
    assert back["reason"].startswith("not safe: 20.0% of its requests failed")
    assert back["safety"] == body(platform, "rollout.rolled_back")["safety"]
    third = _register(platform, b"third")
    with platform.units.write("dev", 3) as unit:
        platform.serving.promote(unit, NAME, third, reason="fast lane")
    _as_ann(lambda: platform.loop.rollback("dev", NAME, "it is too high"))
    back = show("dev", NAME)["rolled_back"]
    assert (back["left"], back["by"], back["safety"]) == ([third], "ann", None)
    assert back["reason"] == "rolled back by hand: it is too high"


def test_a_pause_keeps_the_weight_and_lets_roll_backs_be(
    platform: Platform, versions: tuple[str, str]
) -> None:
    old, new = versions
    remember(platform, old, new)
    done = _as_ann(lambda: platform.loop.guarding.pause("dev", NAME, "until Monday"))
    route = {old: 80, new: 20}
    assert done == {"deployment": NAME, "paused": "until Monday", "by": "ann", "route": route}
    assert platform.loop.guarding.show("dev", NAME)["paused_by"] == "ann"
    [line] = platform.loop.status("dev")["deployments"]
    assert (line["paused"], line["paused_by"]) == ("until Monday", "ann")
    platform.loop.guarding.pause("dev", NAME, "again")  # it is paused: the first reason stays
    assert platform.serving.show("dev", NAME).paused == "until Monday"
    assert body(platform, "deployment.paused")["reason"] == "until Monday"
    observed(platform, new, old)
    assert len(platform.loop.guarding.guard("dev")) == 1
    assert platform.serving.show("dev", NAME).paused == ""  # there is no rollout any more
    with pytest.raises(ConflictError, match="rolls nothing out"):
        platform.loop.guarding.pause("dev", NAME, "again")
    with pytest.raises(NotFoundError):
        platform.loop.guarding.pause("dev", "other", "x")


def test_a_rollout_goes_on_from_the_instant_of_the_resumption(
    platform: Platform, versions: tuple[str, str]
) -> None:
    platform.loop.guarding.pause("dev", NAME, "until Monday")
    done = platform.loop.guarding.pause("dev", NAME, "")
    served = platform.serving.show("dev", NAME)
    assert (done["paused"], served.paused, served.thawed) == (None, "", served.at)
    assert body(platform, "deployment.resumed")["route"][1]["weight"] == 20
    platform.loop.guarding.pause("dev", NAME, "")  # it goes on already
    assert len(platform.units.find("dev", kind="deployment.resumed")) == 1


def test_a_status_says_why_a_plane_does_not_answer(
    platform: Platform, versions: tuple[str, str]
) -> None:
    folder = platform.settings.state_folder / PREDICTIONS
    folder.mkdir(exist_ok=True)
    for plane, (environment, why) in enumerate((("dev", "it is too large"), ("prod", "another's"))):
        told = Observed(environment=environment, problems={NAME: why, "other": "it is gone"})
        file_of(folder, plane).write_bytes(msgspec.json.encode(told))
    with FolderLock(worker_folder(folder, 0)):
        [line] = platform.loop.status("dev")["deployments"]
    assert line["problem"] == "it is too large"
    [line] = platform.loop.status("dev")["deployments"]
    assert line["problem"] is None
