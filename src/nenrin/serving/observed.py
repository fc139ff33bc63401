"""What the planes of a folder have counted of live requests: each side of a split, each version's breaker.

Outside the ledger: counts of live requests are not repeatable. A plane writes its own file,
``observed-N.json`` beside its prediction log, twice a second; who reads adds the files up.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from nenrin.core.lock import FolderLock
from nenrin.stats.latency import BINS

ANSWER_BINS = 10


class Arm(msgspec.Struct, kw_only=True):
    """One side of a split. Requests are counted by their first row, and a key once.

    Attributes:
        dealt: requests that its version was to answer.
        answered, failed: of those that it was asked, what came of them. A request that its breaker kept
            from it is neither.
        faults: of those that failed, what is evidence of errors: not those that had no answer in time, for
            they fail together.
        seconds: answers to requests of one row by :func:`nenrin.stats.latency.bin_of`; none in time is the
            slowest.
        answers: answers that are numbers, by the split's ``edges``.
    """

    dealt: int = 0
    answered: int = 0
    failed: int = 0
    faults: int = 0
    seconds: list[int] = msgspec.field(default_factory=lambda: [0] * BINS)
    answers: list[int] = msgspec.field(default_factory=lambda: [0] * ANSWER_BINS)

    def plus(self, other: Arm) -> Arm:
        """Both together."""
        return Arm(
            dealt=self.dealt + other.dealt,
            answered=self.answered + other.answered,
            failed=self.failed + other.failed,
            faults=self.faults + other.faults,
            seconds=[a + b for a, b in zip(self.seconds, other.seconds, strict=True)],
            answers=[a + b for a, b in zip(self.answers, other.answers, strict=True)],
        )


class Split(msgspec.Struct, kw_only=True):
    """A stretch in which two versions shared a deployment's requests in one proportion.

    Attributes:
        deployment: which one.
        subject, against: the version that is judged, and the one that it is compared with.
        epoch: the deployment's, in which it was counted: what was counted before a rollout or an experiment
            began says nothing of it, whatever the versions.
        share: the chance that a key of either is the subject's. 1: the subject answers everything, and
            ``mine.failed`` counts what it failed at *and the other then answered*.
        edges: inner edges of the answers' bins, from the first answers of the other side; empty before.
        spells: of time in which both sides' answers were compared.
        slower: by plane, logarithms of what the bets on the subject's slowness hold
            (:mod:`nenrin.stats.latency`); a plane's own has no name.
        mine, theirs: the counts of both sides.
    """

    deployment: str
    subject: str
    against: str
    share: float
    epoch: int = 0
    edges: list[float] = msgspec.field(default_factory=list)
    spells: int = 0
    slower: dict[str, list[float]] = msgspec.field(default_factory=dict)
    mine: Arm = msgspec.field(default_factory=Arm)
    theirs: Arm = msgspec.field(default_factory=Arm)


class Standing(msgspec.Struct, kw_only=True):
    """How a version of a route stands.

    Attributes:
        deployment, version: whose.
        open: whether it is left out now.
        opened: how often it was left out.
        instead: requests that were dealt to it and answered by another.
        lacked: of those, what failed for want of columns that the champion does not read.
        lacks: these columns.
        unloaded: why it is not loaded; empty where it is.
    """

    deployment: str
    version: str
    open: bool = False
    opened: int = 0
    instead: int = 0
    lacked: int = 0
    lacks: str = ""
    unloaded: str = ""


class Shadowed(msgspec.Struct, kw_only=True):
    """What a shadow has scored, in rows.

    Attributes:
        deployment, version: whose.
        since: when it began, as in :class:`nenrin.serving.router.Shadow`.
        offered: rows that others answered; they are scored, dropped, failed, or wait.
        scored, dropped, failed: what came of them. Dropped is what the budget had no room for.
        batches, seconds: how often it was asked, and what that took in all.
        one: seconds that a request of one row is expected to take.
        error: the kind of its newest failure; empty without one.
    """

    deployment: str
    version: str
    since: int = 0
    offered: int = 0
    scored: int = 0
    dropped: int = 0
    failed: int = 0
    batches: int = 0
    seconds: float = 0.0
    one: float = 0.0
    error: str = ""

    def plus(self, other: Shadowed) -> Shadowed:
        """Both together: of two planes, or of a plane before and after a restart."""
        return msgspec.structs.replace(
            self,
            offered=self.offered + other.offered,
            scored=self.scored + other.scored,
            dropped=self.dropped + other.dropped,
            failed=self.failed + other.failed,
            batches=self.batches + other.batches,
            seconds=self.seconds + other.seconds,
            one=max(self.one, other.one),
            error=self.error or other.error,
        )


class Observed(msgspec.Struct, kw_only=True):
    """The content of a plane's file: what it counted in the environment that it serves.

    Attributes:
        problems: why deployments do not answer as their routes say, by name.
    """

    environment: str = ""
    splits: list[Split] = msgspec.field(default_factory=list)
    standings: list[Standing] = msgspec.field(default_factory=list)
    shadows: list[Shadowed] = msgspec.field(default_factory=list)
    problems: dict[str, str] = msgspec.field(default_factory=dict)


def read_file(path: Path) -> Observed:
    """What a plane has written; nothing where there is no file, or none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Observed)
    except (OSError, msgspec.DecodeError):
        return Observed()


def read_observed(folder: Path, environment: str, deployment: str) -> Observed:
    """What all planes of a folder have counted of one deployment, added up.

    How versions stand in a plane, and what is wrong there, is told while it lives; what it counted stays.
    """
    files = [_named(_read(path), path.stem) for path in sorted(folder.glob("observed*.json"))]
    found = [each for each in files if each.environment == environment]
    return Observed(
        environment=environment,
        splits=_splits(s for each in found for s in each.splits if s.deployment == deployment),
        standings=_standings(
            s for each in found for s in each.standings if s.deployment == deployment
        ),
        shadows=added_up(s for each in found for s in each.shadows if s.deployment == deployment),
        problems={
            name: why for e in found for name, why in e.problems.items() if name == deployment
        },
    )


def file_of(folder: Path, plane: int) -> Path:
    """The file of the plane that logs to the folder of that number."""
    return folder / f"observed-{plane}.json"


def _read(path: Path) -> Observed:
    """What is in a plane's file, and holds: a plane has its log's lock for as long as it lives."""
    found = read_file(path)
    told = found.standings or found.problems
    if told and FolderLock(path.parent / path.stem.removeprefix("observed-")).held_by() is None:
        return msgspec.structs.replace(found, standings=[], problems={})
    return found


def _named(observed: Observed, plane: str) -> Observed:
    """With the plane's name at its bets: they are not multiplied with others', for a stall may strike all."""
    for split in observed.splits:
        if "" in split.slower:
            split.slower = {plane: split.slower[""]}
    return observed


def added_up(shadows: Iterable[Shadowed]) -> list[Shadowed]:
    """One for each deployment, version and beginning."""
    together: dict[tuple[str, str, int], Shadowed] = {}
    for each in shadows:
        key = (each.deployment, each.version, each.since)
        before = together.get(key)
        together[key] = each if before is None else before.plus(each)
    return list(together.values())


def _splits(splits: Iterable[Split]) -> list[Split]:
    """One for each pair, epoch, share and edges: answers in other bins cannot be added."""
    together: dict[tuple[str, str, int, float, tuple[float, ...]], Split] = {}
    for each in splits:
        key = (each.subject, each.against, each.epoch, each.share, tuple(each.edges))
        before = together.get(key)
        together[key] = each if before is None else _added(before, each)
    return list(together.values())


def _added(one: Split, other: Split) -> Split:
    return msgspec.structs.replace(
        one,
        spells=one.spells + other.spells,
        slower=one.slower | other.slower,
        mine=one.mine.plus(other.mine),
        theirs=one.theirs.plus(other.theirs),
    )


def _standings(standings: Iterable[Standing]) -> list[Standing]:
    together: dict[str, Standing] = {}
    for each in standings:
        before = together.get(each.version, Standing(deployment=each.deployment, version=""))
        together[each.version] = Standing(
            deployment=each.deployment,
            version=each.version,
            open=before.open or each.open,
            opened=before.opened + each.opened,
            instead=before.instead + each.instead,
            lacked=before.lacked + each.lacked,
            lacks=before.lacks or each.lacks,
            unloaded=before.unloaded or each.unloaded,
        )
    return list(together.values())
