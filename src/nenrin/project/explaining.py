"""What moved a logged answer: who answered it taken apart by features, and added up by their shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from nenrin.core.errors import NenrinError, NotFoundError, RequestError
from nenrin.pipelines.executor import Executor
from nenrin.project.ancestry import Ancestry
from nenrin.project.made_from import MadeFrom, made_from
from nenrin.project.replay import ProjectReplay
from nenrin.registry.version import Version
from nenrin.serving.prediction import Prediction
from nenrin.stats.platt import Platt
from nenrin.training.explanations import ExplainJob, Explanation, explain_each
from nenrin.training.table import Selection

WAIT = 60.0
"""Seconds that workers, who may be busy, get for an explanation."""

_SAME = 1e-9


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """A version that answered: the slots that it filled, and the share of the answer that they had."""

    version: str
    slots: tuple[str, ...]
    share: float


class Explaining:
    """Explains logged predictions by what answered them, whoever is champion now.

    Args:
        replay: reads the revisions that models came from, and remembers the rows that they learnt from.
        executor: gives the executor: models are never opened in the process that writes.
    """

    def __init__(self, replay: ProjectReplay, executor: Callable[[], Executor]) -> None:
        self._replay = replay
        self._executor = executor

    def begin(self, here: Ancestry, found: Prediction) -> Callable[[], dict[str, Any]]:
        """Have a worker take a logged answer apart; what is returned waits for it (see :func:`blended`).

        Of an answer that is no number, or was given for personal features, it only ``says`` so.
        """
        if isinstance(found.answer, str):
            return lambda: {"says": "the answer is a text: there are no parts that add up to it"}
        hidden = [name for name in found.masked if name in found.features]
        if hidden:
            said = f"it cannot be told from the log, which has no {', '.join(hidden)} (personal=)"
            return lambda: {"says": said}
        answered = who_answered(found)
        known: dict[str, Explanation | str] = {}
        jobs: dict[str, ExplainJob] = {}
        for who in answered:
            try:
                jobs[who.version] = self._job(here, found, who.version)
            except NenrinError as error:
                known[who.version] = error.message
        asked = self._executor().submit(explain_each, list(jobs.values())) if jobs else None

        def told() -> dict[str, Any]:
            parts = known if asked is None else known | _waited(asked, jobs)
            return blended(found, [(who, parts[who.version]) for who in answered])

        return told

    def _job(self, here: Ancestry, found: Prediction, version: str) -> ExplainJob:
        fit = here.versions.get(version)
        if fit is None:
            raise NotFoundError("it is not registered here")
        if "columns" not in fit.facts:
            raise RequestError(f"a version of the kind {fit.kind} has no features that are weighed")
        rows = self._replay.engine(here.environment).newest(f"rows:{fit.name}")
        folder, trained = self._training(here, fit, found.deployment)
        return ExplainJob(
            model=fit.content,
            features=found.features,
            table="" if rows is None else rows.output,
            trained=trained,
            project="" if folder is None else str(folder),
        )

    def _training(
        self, here: Ancestry, fit: Version, deployment: str
    ) -> tuple[Path | None, Selection | None]:
        """The folder of the code that fitted a version, and the rows that it took."""
        made = made_from(fit.parents)
        try:
            project = self._replay.unpacked(here.revision(fit.revision))
            recipes = project.deployment(deployment).declared.recipes
        except NenrinError:  # a model that was not fitted here, or code that does not load any more
            return None, _rows_of(made, None)
        windows = {recipe.name: recipe.since for recipe in recipes}
        return project.folder, _rows_of(made, windows.get(made.recipe))


def _rows_of(made: MadeFrom, window: int | None) -> Selection | None:
    if not made.look or not made.cutoff:
        return None
    since = None if window is None else made.cut - window
    return Selection(cutoff=made.cut, known_by=made.looked, since=since)


def who_answered(found: Prediction) -> list[Who]:
    """The versions behind an answer; one that fills several slots comes once, with the shares of all."""
    if not found.members:
        return [Who(version=found.version, slots=(), share=1.0)]
    versions = dict.fromkeys(member.version for member in found.members)
    parts = {v: [member for member in found.members if member.version == v] for v in versions}
    return [
        Who(
            version=version,
            slots=tuple(member.slot for member in mine),
            share=sum(member.share for member in mine),
        )
        for version, mine in parts.items()
    ]


def _waited(
    asked: Future[list[Explanation | str]], versions: Iterable[str]
) -> dict[str, Explanation | str]:
    """The explanation of each version, or why there is none."""
    try:
        return dict(zip(versions, asked.result(WAIT), strict=True))
    except TimeoutError:
        asked.cancel()
        why = f"the workers had no time for it within {WAIT:.0f} seconds; ask again"
    except NenrinError as error:  # the worker died
        why = error.message
    return dict.fromkeys(versions, why)


def blended(found: Prediction, members: Sequence[tuple[Who, Explanation | str]]) -> dict[str, Any]:
    """The answer of all members, taken apart.

    Returns:
        ``base``, ``contributions`` (``feature``, its ``value`` and ``contribution``, the largest first),
        ``unexplained`` (what the members that have no explanation added), ``recalibration`` (what it did to
        the blend): together these are ``answer``. ``members``: the same of each, or ``why`` there is none.
        ``says``: what is wrong with all of it, or nothing.
    """
    answer = float(found.answer)
    told = [(who.share, part) for who, part in members if isinstance(part, Explanation)]
    whole = len(told) == len(members)
    added: dict[str, float] = {}
    for share, part in told:
        for name, value in part.contributions.items():
            added[name] = added.get(name, 0.0) + share * value
    base = sum(share * part.base for share, part in told)
    platt = Platt(*found.recalibration) if found.recalibration else None
    blend = sum(share * part.answer for share, part in told) if whole else _before(platt, answer)
    final = _after(platt, blend)
    return {
        "answer": answer,
        "base": base,
        "contributions": _sorted(added, found.features),
        "unexplained": 0.0 if whole else blend - base - sum(added.values()),
        "recalibration": final - blend,
        "members": [_member(who, part, found.features) for who, part in members],
        "says": ""
        if abs(final - answer) <= _SAME * max(1.0, abs(answer))
        else f"asked again, the same versions answer {final:.6g}: this explains that answer",
    }


def _after(platt: Platt | None, blend: float) -> float:
    return blend if platt is None else float(platt.apply(np.array(blend)))


def _before(platt: Platt | None, answer: float) -> float:
    """What a recalibrated answer was before."""
    if platt is None or not platt.b:
        return answer
    return float(Platt(a=-platt.a / platt.b, b=1 / platt.b).apply(np.array(answer)))


def _member(who: Who, part: Explanation | str, features: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"version": who.version, "slots": list(who.slots), "share": who.share}
    if isinstance(part, str):
        return {**told, "why": part}
    return {
        **told,
        "answer": part.answer,
        "base": part.base,
        "contributions": _sorted(part.contributions, features),
        "by": part.by,
    }


def _sorted(added: dict[str, float], features: dict[str, Any]) -> list[dict[str, Any]]:
    """Contributions with the values that made them, the largest first, equal ones by name."""
    return [
        {"feature": name, "value": features.get(name), "contribution": value}
        for name, value in sorted(added.items(), key=lambda each: (-abs(each[1]), each[0]))
    ]
