"""Propose a registered version of any kind to a deployment: scored, gated, deployed or refused.

A version of a kind that the loop does not train (a prompt, a mixture by hand, a kind of one's own) goes
through the same gate, router and roll-back as a model: it is opened, it answers a small labelled set beside
the champion, and the verdict decides. Only the kind's own code knows what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import polars as pl

from nenrin.core.calendar import Calendar
from nenrin.core.errors import DataError, RefusedError
from nenrin.core.store import ContentStore
from nenrin.core.unit import Unit, Units
from nenrin.gates.comparison import Comparison, compare
from nenrin.gates.evidence import Evidence, read_policy
from nenrin.gates.judge import judge
from nenrin.gates.policy import Policy
from nenrin.gates.service import GatesService
from nenrin.gates.verdict import Verdict
from nenrin.registry.kinds import OpenContext
from nenrin.registry.service import RegistryService
from nenrin.registry.version import Version
from nenrin.serving.deployments import Deployment
from nenrin.serving.service import ServingService
from nenrin.serving.signature import RequestSignature

Loss = Callable[[Sequence[Any], Sequence[Any]], np.ndarray]


class Exam(msgspec.Struct, frozen=True, kw_only=True):
    """What a proposal is judged on.

    Attributes:
        rows: raw inputs, one row a question.
        labels: the right answers, in the rows' order.
        loss: each row's loss from (labels, answers), float64 (rows,); wrong or right by default.
        baseline: a plain answer to every question that a proposal must not do worse than; None has none.
    """

    rows: pl.DataFrame
    labels: Sequence[Any]
    loss: Loss | None = None
    baseline: Any = None


class Proposing:
    """Brings versions of any kind into deployments."""

    def __init__(
        self,
        *,
        units: Units,
        store: ContentStore,
        registry: RegistryService,
        gates: GatesService,
        serving: ServingService,
        calendar: Calendar,
    ) -> None:
        self._units = units
        self._store = store
        self._registry = registry
        self._gates = gates
        self._serving = serving
        self._calendar = calendar

    def propose(
        self,
        environment: str,
        deployment: str,
        version: str,
        exam: Exam,
        *,
        project: Mapping[str, Any] | None = None,
        policy: Policy | None = None,
    ) -> Verdict:
        """Judge a version beside the champion on the same rows, and serve it if the gate admits it.

        The first version of a deployment must not be worse than the baseline; a later one must be better
        than the champion, with rows as units: they are taken to be independent.

        Args:
            environment: where the deployment is.
            deployment: its name; made by the first admitted version.
            version: id of a registered version.
            exam: rows, labels and loss.
            project: the attributes of a project module, for kinds that need a callable of it.
            policy: the gate's rules; the default policy if left out.

        Raises:
            RefusedError: the gate refused it; the verdict is kept.
            DataError: rows and labels do not fit.
        """
        if exam.rows.height != len(exam.labels) or not exam.labels:
            raise DataError(
                f"{exam.rows.height} rows and {len(exam.labels)} labels cannot be judged on",
                hint="give one label a row, at least one",
            )
        proposed = self._registry.get(environment, version)
        context = OpenContext(store=self._store, project=project or {})
        verdict = self._verdict(environment, deployment, proposed, exam, context, policy)
        with self._units.write(environment, self._calendar.now()) as unit:
            self._gates.keep(unit, verdict)
            if verdict.admitted:
                self._serve(unit, deployment, proposed, exam)
        if not verdict.admitted:
            raise RefusedError(
                verdict.reason, hint="the champion stays; improve the version, or the labelled set"
            )
        return verdict

    def _verdict(
        self,
        environment: str,
        deployment: str,
        proposed: Version,
        exam: Exam,
        context: OpenContext,
        policy: Policy | None,
    ) -> Verdict:
        """What the gate says of the proposed version's losses."""
        serving = self._current(environment, deployment)
        mine = self._losses(proposed, exam, context)
        against: dict[str, str] = {}
        found: dict[str, Comparison] = {}
        if serving is not None:
            for part, other in (("champion", serving.champion), ("anchor", serving.anchor)):
                theirs = self._losses(self._registry.get(environment, other), exam, context)
                found[part] = compare(mine - theirs, unit="row")
                against[part] = other
        if exam.baseline is not None:
            plain = _loss(exam, [exam.baseline] * len(exam.labels))
            found["baseline"] = compare(mine - plain, unit="row")
            against["baseline"] = "plain answer"
        return judge(
            deployment=deployment,
            judged=proposed.id,
            ships=proposed.id,
            against=against,
            evidence=Evidence(
                change="code" if serving else "first",
                champion=found.get("champion", compare(None)),
                anchor=found.get("anchor", compare(None)),
                baseline=found.get("baseline", compare(None)),
                rows=len(exam.labels),
            ),
            policy=policy or read_policy(),
            at=self._calendar.now(),
        )

    def _losses(self, version: Version, exam: Exam, context: OpenContext) -> np.ndarray:
        return _loss(exam, self._registry.open(version, context).answer(exam.rows))

    def _serve(self, unit: Unit, deployment: str, version: Version, exam: Exam) -> None:
        """Deploy the first version; promote a later one, which is the new anchor."""
        reason = "proposed, and admitted by the gate"
        if self._serving.current(unit, deployment) is None:
            self._serving.deploy(
                unit,
                deployment,
                model=version.name,
                version=version.id,
                revision=version.revision,
                request=_request(exam),
                example=exam.rows.row(0, named=True),
                reason=reason,
            )
        else:
            self._serving.promote(
                unit,
                deployment,
                version.id,
                reason=reason,
                anchor=True,
                request=_request(exam),
                example=exam.rows.row(0, named=True),
            )

    def _current(self, environment: str, deployment: str) -> Deployment | None:
        with self._units.read(environment) as unit:
            return self._serving.current(unit, deployment)


def _loss(exam: Exam, answers: Sequence[Any] | np.ndarray) -> np.ndarray:
    if exam.loss is not None:
        return np.asarray(exam.loss(exam.labels, list(answers)), dtype=np.float64)
    wrong = [label != answer for label, answer in zip(exam.labels, answers, strict=True)]
    return np.array(wrong, dtype=np.float64)


def _request(exam: Exam) -> RequestSignature:
    """A request holds the exam's columns; answers are texts unless the labels are numbers."""
    columns = dict(exam.rows.schema)
    numbers = all(isinstance(label, int | float) for label in exam.labels)
    return RequestSignature.of(
        columns, known=columns, output="prediction", datatype="FP64" if numbers else "BYTES"
    )
