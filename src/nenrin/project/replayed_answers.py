"""Answers asked for once more: what the versions that answered say of the right features."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from nenrin.project.explaining import who_answered
from nenrin.serving.prediction import Prediction
from nenrin.serving.router import Member
from nenrin.stats.platt import Platt
from nenrin.training.answering import AnswerJob

SAME = 1e-9
"""How far answers may be apart, relative to them: a batch may add up in another order than a row."""


class Right(msgspec.Struct, frozen=True):
    """A prediction, and what its model should have seen."""

    found: Prediction
    features: dict[str, Any]


Who = tuple[str, tuple[Member, ...], tuple[float, float] | None]


def unlike(
    rows: Sequence[Right],
    contents: Mapping[str, str],
    project: str,
    ask: Callable[[Sequence[AnswerJob]], list[list[float] | str]],
) -> list[tuple[Prediction, float | str]]:
    """The predictions whose answer is another, and by how much; or why it cannot be told.

    Args:
        rows: of one version; those whose answer is a text are passed over.
        contents: by version, the digest of its artefact.
        project: folder of the code that pickled models may need.
        ask: asks models in a worker.
    """
    groups: dict[Who, list[Right]] = defaultdict(list)
    for row in rows:
        if not isinstance(row.found.answer, str):
            found = row.found
            groups[found.version, found.members, found.recalibration].append(row)
    return [each for group in groups.values() for each in _unlike(group, contents, project, ask)]


def _unlike(
    group: Sequence[Right],
    contents: Mapping[str, str],
    project: str,
    ask: Callable[[Sequence[AnswerJob]], list[list[float] | str]],
) -> list[tuple[Prediction, float | str]]:
    first, seen = group[0].found, [row.features for row in group]
    members = who_answered(first)
    gone = [who.version for who in members if who.version not in contents]
    if gone:
        return [(row.found, f"{gone[0]} is not registered here") for row in group]
    jobs = [AnswerJob(model=contents[who.version], rows=seen, project=project) for who in members]
    blend = np.zeros(len(group))
    for who, answers in zip(members, ask(jobs), strict=True):
        if isinstance(answers, str):
            return [(row.found, answers) for row in group]
        blend += who.share * np.array(answers)
    if first.recalibration is not None:
        blend = Platt(*first.recalibration).apply(blend)
    apart = [abs(float(b) - float(row.found.answer)) for row, b in zip(group, blend, strict=True)]
    return [
        (row.found, by)
        for row, by, b in zip(group, apart, blend, strict=True)
        if by > SAME * max(1.0, abs(float(b)))
    ]
