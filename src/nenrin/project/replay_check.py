"""The replay check: logged answers beside what the data says that they should have been.

Of each prediction the features are computed anew, from the loads of now, by the code of the version that
answered, as they were known when it was asked. Where the log has others, it is looked whether the data came
later: whether the feature state that the plane had been told of by then gives what the log has. What is left
is a difference, told against that state.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from nenrin.core.errors import NenrinError, NotFoundError
from nenrin.core.store import ContentStore
from nenrin.core.unit import Units
from nenrin.data.service import DataService
from nenrin.features.entities import Lookup
from nenrin.features.replaying import Difference, Read, differences, differing, offline
from nenrin.features.service import FeatureSet
from nenrin.project.apart import is_large
from nenrin.project.replay import ProjectReplay, Revisions
from nenrin.project.replayed_answers import Right, unlike
from nenrin.project.stages import datasets_of, features_of
from nenrin.registry.service import RegistryService
from nenrin.registry.version import Version
from nenrin.serving.logged import sampled
from nenrin.serving.prediction import Prediction
from nenrin.serving.service import ServingService
from nenrin.training.answering import AnswerJob

WEIGHED = ("model", "mixture")
"""The kinds of versions that features are computed for."""

Ask = Callable[[Sequence[AnswerJob]], list[list[float] | str]]
"""Asks models in a worker."""


class Which(msgspec.Struct, frozen=True, kw_only=True):
    """Which predictions are checked.

    Attributes:
        deployment: of which; empty: all.
        since, until: answered from, and before, microseconds; None: no limit.
        sample: at most so many, the same ones each time; 0: all.
        grace: how long after it was told of newer data a plane may answer by the data before, microseconds.
    """

    deployment: str = ""
    since: int | None = None
    until: int | None = None
    sample: int = 1_000
    grace: int = 60_000_000

    def holds(self, found: Prediction) -> bool:
        """Whether a prediction is one of them, but for the sample."""
        return (
            self.deployment in ("", found.deployment)
            and (self.since is None or found.at >= self.since)
            and (self.until is None or found.at < self.until)
        )


class Told(msgspec.Struct, frozen=True):
    """When a plane was told, microseconds, by which feature state (a digest) a version answers."""

    at: int
    state: str


class ReplayCheck:
    """Checks logged predictions.

    Args:
        predictions: the folder of the prediction log.
        replay, revisions: the code that versions came from.
        ask: asks models in a worker.
        others: the rooms' services and ports.
    """

    def __init__(
        self,
        predictions: Path,
        replay: ProjectReplay,
        revisions: Revisions,
        ask: Ask,
        *,
        registry: RegistryService,
        serving: ServingService,
        data: DataService,
        units: Units,
        store: ContentStore,
    ) -> None:
        self._predictions = predictions
        self._replay = replay
        self._revisions = revisions
        self._ask = ask
        self._registry = registry
        self._serving = serving
        self._data = data
        self._units = units
        self._store = store

    def check(self, environment: str, which: Which) -> dict[str, Any]:
        """What differs, by feature.

        Returns:
            ``logged`` (predictions that were asked for), ``checked``, ``differ`` (those with a difference),
            ``came later``; ``features``: ``deployment``, ``feature``, counts of each kind, ``worst``,
            ``behind`` (seconds, of stale ones) and ``examples`` (ids); ``answers``: the same of answers that
            their versions do not give; ``not checked``: ``why`` and ``count``.

        Raises:
            NotFoundError: there is no such deployment.
        """
        if which.deployment:
            self._serving.show(environment, which.deployment)
        count, found = sampled(self._predictions, which.holds, which.sample)
        report = _Report()
        groups: dict[tuple[str, str, tuple[str, ...]], list[Prediction]] = defaultdict(list)
        for each in found:
            groups[each.deployment, each.version, each.masked].append(each)
        versions = {version.id: version for version in self._registry.list(environment)}
        for (deployment, version, masked), group in sorted(groups.items()):
            try:
                replayed = self._replayed(
                    environment, deployment, versions.get(version), which, frozenset(masked)
                )
                computed = replayed.computed(group, report)
            except NenrinError as error:
                report.skip(error.message, len(group))
                continue
            right = [(each, replayed.right(each, report)) for each in computed]
            report.answers(self._unlike(versions, replayed, right), deployment)
        return {"environment": environment, "logged": count, **report.told()}

    def _replayed(
        self,
        environment: str,
        deployment: str,
        version: Version | None,
        which: Which,
        masked: frozenset[str],
    ) -> _Replayed:
        if version is None:
            raise NotFoundError(f"its version is not registered in {environment}")
        if version.kind not in WEIGHED:
            raise NotFoundError(f"a version of the kind {version.kind} has no features")
        here = self._serving.show(environment, deployment)
        with self._units.read(environment) as unit:
            revision = self._revisions.get(unit, version.revision or here.revision)
        project = self._replay.unpacked(revision)
        declared = project.deployment(deployment)
        loads = {
            each.declared.name: self._data.latest(environment, each.declared.name)
            for each in datasets_of(declared)
        }
        frames = {name: self._data.frame(load) for name, load in loads.items()}
        most = self._replay.join_memory
        apart = [n for n, load in loads.items() if is_large(self._data.manifest(load), most)]
        state = features_of(declared.model, frames, apart)
        if state.too_large is not None:
            raise state.too_large
        newest = max(load.at for load in loads.values())
        missing = here.request.lookup.missing if here.request.lookup else None
        hidden = _hidden(state, masked)
        if hidden.issuperset(state.names):
            raise NotFoundError("all that the model saw is personal, and masked in the log")
        return _Replayed(
            state=state.without(hidden),
            masked=masked,
            hidden=hidden,
            key_masked=not masked.isdisjoint(here.request.key),
            lookup=Lookup(columns=(), missing=missing or {}),
            told=list(self._told(environment, deployment, version.id)),
            open=lru_cache(2)(
                lambda digest: FeatureSet.loads(self._store.get(digest)).without(hidden)
            ),
            newest=newest,
            grace=which.grace,
            folder=str(project.folder),
        )

    def _told(self, environment: str, deployment: str, version: str) -> Iterator[Told]:
        for event in self._units.find(environment, subject=deployment):
            for variant in event.body.get("route", []):
                if variant["version"] == version and variant["features"]:
                    yield Told(event.at, variant["features"])

    def _unlike(
        self,
        versions: Mapping[str, Version],
        replayed: _Replayed,
        right: Sequence[tuple[_Computed, Mapping[str, Any] | None]],
    ) -> list[tuple[Prediction, float | str]]:
        rows = [Right(each.found, dict(features)) for each, features in right if features]
        contents = {name: version.content for name, version in versions.items()}
        return unlike(rows, contents, replayed.folder, self._ask)


class _Computed(msgspec.Struct, frozen=True):
    """A prediction, and its features by the data of now."""

    found: Prediction
    read: Read
    truth: dict[str, Any]


class _Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What one version should have seen.

    Attributes:
        state: its features over the loads of now, without the views that are hidden.
        masked: columns and features that the log has masked.
        hidden: the features that are masked, or were looked up by what is.
        key_masked: whether one of these columns is of the key that rows are looked up by.
        lookup: how rows that sent their key alone are filled in.
        told: by which states it was to answer, in order.
        open: reads one of them.
        newest: instant of the newest load.
        grace: see :class:`Which`.
        folder: of its code.
    """

    state: FeatureSet
    masked: frozenset[str]
    hidden: frozenset[str]
    key_masked: bool
    lookup: Lookup
    told: list[Told]
    open: Callable[[str], FeatureSet]
    newest: int
    grace: int
    folder: str

    def computed(self, group: Sequence[Prediction], report: _Report) -> list[_Computed]:
        """The features of some predictions, in the order of their answers."""
        told = [found for found in group if not self._hides_its_row(found)]
        told.sort(key=lambda found: found.at)
        reads = [self._read(found) for found in told]
        truths = offline(self.state, reads, self.lookup)
        if len(told) < len(group):
            report.skip(_KEY_MASKED, len(group) - len(told))
        return [_Computed(*each) for each in zip(told, reads, truths, strict=True)]

    def _hides_its_row(self, found: Prediction) -> bool:
        """Whether it left out what cannot be looked up by a masked key."""
        needed = {column.name for column in self.state.columns_read}
        return self.key_masked and not needed <= found.row.keys()

    def _read(self, found: Prediction) -> Read:
        """A prediction as it was read; what is masked is null, for its hash may be no value of its column."""
        row = {name: None if name in self.masked else value for name, value in found.row.items()}
        return Read(row=row, asked=found.asked, features=found.features, ages=found.ages)

    def right(self, each: _Computed, report: _Report) -> Mapping[str, Any] | None:
        """What the model should have seen of one prediction; None: that cannot be told, or not any more."""
        truth = self._seen(each, report)
        if truth is None or not self.hidden:
            return truth
        report.skip(_ANSWER_MASKED, 1)
        return None

    def _seen(self, each: _Computed, report: _Report) -> Mapping[str, Any] | None:
        """The same, as far as it is not hidden."""
        found, read, hidden = each.found, each.read, self.hidden
        if not differing(read, each.truth, hidden):
            report.same()
            return each.truth
        state, truth = self.state, each.truth
        try:
            for told in self._due(found.at):
                if told.at >= self.newest:  # the loads of now say it, too
                    state, truth = self.state, each.truth
                    continue
                state = self.open(told.state)
                truth = offline(state, [read], self.lookup)[0]
                if not differing(read, truth, hidden):
                    report.later()
                    return truth
        except NotFoundError:
            report.skip("data was loaded since, and the feature state of then is pruned", 1)
            return None
        report.differ(found, differences(state, read, truth, self.lookup, hidden))
        return truth

    def _due(self, at: int) -> list[Told]:
        """By what a plane may have answered at an instant, in order: what it had been told of last, last."""
        told = [one for one in self.told if one.at <= at] or self.told[:1]
        # where a calendar stands at the end of its data, what is told and what is asked have one instant
        known = [one for one in told if one.at <= at - self.grace or one.at == at] or told[:1]
        return told[len(known) - 1 :] if told else []


def _hidden(state: FeatureSet, masked: Collection[str]) -> frozenset[str]:
    """The features that are masked, or were looked up by a column that is."""
    parts = state.parts.values()
    joined = [part.names for part in parts if not {*part.traced.by}.isdisjoint(masked)]
    return frozenset(masked).intersection(state.names).union(*joined)


_KEY_MASKED = "it was asked by its key alone, which is personal, and masked in the log"
_ANSWER_MASKED = "the answer alone, for the model saw what is personal, and masked in the log"
_EXAMPLES = 3
_ANSWER = "answer"


class _Line:
    """What is told of one feature."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.worst: float | None = None
        self.behind: float | None = None
        self.examples: list[str] = []

    def add(self, found: Prediction, kind: str, by: float | None, behind: float | None) -> None:
        """Count one difference."""
        self.kinds[kind] += 1
        self.worst = max((each for each in (self.worst, by) if each is not None), default=None)
        self.behind = max(
            (each for each in (self.behind, behind) if each is not None), default=None
        )
        if len(self.examples) < _EXAMPLES:
            self.examples.append(found.id)


class _Report:
    """Counts what is found."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._differ: set[str] = set()
        self._features: dict[tuple[str, str], _Line] = defaultdict(_Line)
        self._answers: dict[str, _Line] = defaultdict(_Line)
        self._skipped: Counter[str] = Counter()

    def same(self) -> None:
        """A prediction saw what it should have seen."""
        self._counts["checked"] += 1

    def later(self) -> None:
        """It did, by the data of then: other data came later."""
        self._counts["checked"] += 1
        self._counts["came later"] += 1

    def differ(self, found: Prediction, all_: Sequence[Difference]) -> None:
        """It did not."""
        self._counts["checked"] += 1
        self._differ.add(found.id)
        for each in all_:
            line = self._features[found.deployment, each.feature]
            line.add(found, each.kind, each.by, each.behind)

    def skip(self, why: str, count: int) -> None:
        """Some could not be checked."""
        self._skipped[why] += count

    def answers(self, found: Sequence[tuple[Prediction, float | str]], deployment: str) -> None:
        """Answers that are not what their versions say of the right features, and by how much; or why not."""
        for prediction, by in found:
            if isinstance(by, str):
                self._skipped[f"the model could not be asked: {by}"] += 1
            else:
                self._differ.add(prediction.id)
                self._answers[deployment].add(prediction, _ANSWER, by, None)

    def told(self) -> dict[str, Any]:
        """All of it in plain values."""
        return {
            "checked": self._counts["checked"],
            "differ": len(self._differ),
            "came later": self._counts["came later"],
            "features": [
                {
                    "deployment": deployment,
                    "feature": feature,
                    **{kind: line.kinds[kind] for kind in ("mismatch", "missing", "stale")},
                    "worst": line.worst,
                    "behind": line.behind,
                    "examples": line.examples,
                }
                for (deployment, feature), line in sorted(self._features.items())
            ],
            "answers": [
                {
                    "deployment": deployment,
                    "differ": line.kinds[_ANSWER],
                    "worst": line.worst,
                    "examples": line.examples,
                }
                for deployment, line in sorted(self._answers.items())
            ],
            "not checked": [
                {"why": why, "count": count} for why, count in self._skipped.most_common()
            ],
        }
