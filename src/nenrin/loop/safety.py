"""Is a rollout safe? Errors, latency and answers of live requests, always valid, with alpha shared.

A canary's requests are split by the hash of a key, so what both sides share (the day, the hour, an outage) is
conditioned away and the evidence holds however often one looks (:mod:`nenrin.stats.share`,
:mod:`nenrin.stats.split_shift`). Slowness, which strikes all that wait, is told by spells of time
(:mod:`nenrin.stats.latency`). Each weight of a canary is a stretch of its
own; evidences of stretches multiply. A version that answers everything has no other side: what it fails at is
judged against what the former version answers in its place, by a tolerated rate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

import msgspec
import numpy as np

from nenrin.serving.observed import Arm, Split
from nenrin.stats.latency import SECONDS, log_evidence_slower, quantile
from nenrin.stats.share import log_evidence, log_mean
from nenrin.stats.split_shift import distance, log_evidence_shift

ALPHA = 0.05
NEEDS = 3 / ALPHA  # evidence that one of three metrics needs
LEAST = 100  # requests of each side
MORE_ERRORS = 0.01
TOLERATED = (
    0.05  # of the requests to a version that is alone, those that fail where the former answers
)
SLOWER = 1.25
SHIFTED = 0.25  # total variation
QUANTILES = (0.5, 0.95)

_LARGEST = 700.0  # a logarithm whose exponential is a finite number


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one metric.

    Attributes:
        name: ``errors``, ``latency`` or ``answers``.
        mine, theirs: the figure of both sides: part that failed, 95 % quantile in seconds; None: unknown.
        effect: by how much the subject is worse: difference of parts, ratio of the worse of two quantiles,
            total variation.
        floor: the least effect that counts.
        evidence: against the subject; 1 at the start.
        needs: the evidence that rolls back.
        breach: whether effect and evidence suffice, and there were enough requests.
    """

    name: str
    mine: float | None
    theirs: float | None
    effect: float
    floor: float
    evidence: float
    needs: float = NEEDS
    breach: bool = False


class Safety(msgspec.Struct, frozen=True, kw_only=True):
    """What live requests say of the version that goes out.

    Attributes:
        subject, against: the version that is judged, and the one that it is compared with.
        requests: counted of the subject, and of the other.
        metrics: errors, latency, answers.
    """

    subject: str
    against: str
    requests: tuple[int, int]
    metrics: tuple[Metric, ...]

    @property
    def breaches(self) -> tuple[Metric, ...]:
        """The metrics that call for a roll-back."""
        return tuple(metric for metric in self.metrics if metric.breach)

    @property
    def why(self) -> str:
        """What is wrong, in words; empty where nothing is."""
        return " and ".join(_words(metric) for metric in self.breaches)

    def told(self) -> dict[str, Any]:
        """Plain values, for events and people."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


def judge(subject: str, against: str, splits: Sequence[Split]) -> Safety:
    """Judge a version by all that was counted of it and the other."""
    pair = [each for each in splits if (each.subject, each.against) == (subject, against)]
    shared = [each for each in pair if each.share < 1]
    alone = [each for each in pair if each.share == 1]
    mine, theirs = _sum([each.mine for each in shared]), _sum([each.theirs for each in shared])
    by_itself = _sum([each.mine for each in alone])
    both = min(mine.dealt, theirs.dealt) >= LEAST
    metrics = (
        _errors(shared, alone, mine, theirs, by_itself),
        _latency(shared, mine, theirs),
        _answers(shared),
    )
    enough = (both or by_itself.dealt >= LEAST, both, both)
    return Safety(
        subject=subject,
        against=against,
        requests=(mine.dealt + by_itself.dealt, theirs.dealt),
        metrics=tuple(
            msgspec.structs.replace(
                metric,
                breach=ready and metric.effect >= metric.floor and metric.evidence >= NEEDS,
            )
            for metric, ready in zip(metrics, enough, strict=True)
        ),
    )


def _errors(
    shared: Sequence[Split], alone: Sequence[Split], mine: Arm, theirs: Arm, by_itself: Arm
) -> Metric:
    log = sum(log_evidence(each.mine.faults, each.theirs.faults, each.share) for each in shared)
    log += sum(log_evidence(each.mine.faults, each.mine.answered, TOLERATED) for each in alone)
    if by_itself.dealt:
        rate = _rate(by_itself)
        effect, floor, other = rate or 0.0, TOLERATED, None
    else:
        rate, other = _rate(mine), _rate(theirs)
        effect, floor = (rate or 0.0) - (other or 0.0), MORE_ERRORS
    return Metric(
        name="errors", mine=rate, theirs=other, effect=effect, floor=floor, evidence=_exp(log)
    )


def _slower(shared: Sequence[Split]) -> float:
    """Logarithm of the evidence that it is slower: of a plane over all stretches, and the mean of the planes.

    The mean is valid however the planes depend on each other (Vovk and Wang, 2021): one stall may strike all.
    """
    planes = sorted({plane for each in shared for plane in each.slower})
    logs = [
        log_evidence_slower(np.sum([s.slower[p] for s in shared if p in s.slower], axis=0))
        for p in planes
    ]
    return log_mean(np.array(logs)) if logs else 0.0


def _latency(shared: Sequence[Split], mine: Arm, theirs: Arm) -> Metric:
    log = _slower(shared)
    ratios = [1.0]
    for at in QUANTILES:
        a, b = quantile(mine.seconds, at), quantile(theirs.seconds, at)
        if a - b >= SECONDS:
            ratios.append(a / b)
    return Metric(
        name="latency",
        mine=_known(quantile(mine.seconds, QUANTILES[-1])),
        theirs=_known(quantile(theirs.seconds, QUANTILES[-1])),
        effect=max(ratios),
        floor=SLOWER,
        evidence=_exp(log),
    )


def _answers(shared: Sequence[Split]) -> Metric:
    log, effect = 0.0, 0.0
    for each in shared:
        log += log_evidence_shift(each.mine.answers, each.theirs.answers, each.share)
        if min(sum(each.mine.answers), sum(each.theirs.answers)) >= LEAST:
            effect = distance(each.mine.answers, each.theirs.answers)
    return Metric(
        name="answers", mine=None, theirs=None, effect=effect, floor=SHIFTED, evidence=_exp(log)
    )


def _sum(arms: Sequence[Arm]) -> Arm:
    return reduce(Arm.plus, arms, Arm())


def _rate(arm: Arm) -> float | None:
    asked = arm.answered + arm.failed
    return arm.failed / asked if asked else None


def _known(figure: float) -> float | None:
    return None if np.isnan(figure) else figure


def _exp(log: float) -> float:
    return math.exp(min(log, _LARGEST))


def _words(metric: Metric) -> str:
    if metric.name == "errors":
        against = "" if metric.theirs is None else f", of the other {metric.theirs:.1%}"
        return f"{metric.mine or 0:.1%} of its requests failed{against}"
    if metric.name == "latency":
        return f"it answers {metric.effect:.1f} times as slowly"
    return f"{metric.effect:.0%} of its answers lie where the other's do not"
