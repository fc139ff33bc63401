"""What the loop needs from below and beside it, as Protocols."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
import numpy as np

from nenrin.core.errors import NenrinError
from nenrin.data.faults import DataFault
from nenrin.gates.policy import Policy
from nenrin.gates.verdict import Verdict
from nenrin.loop.declare import DeploymentSpec, Recipe
from nenrin.loop.state import Artefact, Segment, State
from nenrin.monitoring.alarms import Finding
from nenrin.registry.kinds.mixture import Mixture
from nenrin.serving.masks import LogRules
from nenrin.serving.signature import RequestSignature
from nenrin.training.table import RowTable
from nenrin.training.tasks import Task

Progress = Callable[[str, int, int, str], None]
Compiles = Callable[[str, int | None], dict[str, Any]]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A fit that is wanted.

    Attributes:
        recipe: which history to train on.
        at: business instant: labels known later do not exist.
        cutoff: end of the last closed block: rows asked later do not exist.
        params: the model function's parameters.
        without_folds: folds by key that are left out, where rows have no time.
    """

    recipe: Recipe
    at: int
    cutoff: int
    params: dict[str, Any]
    without_folds: tuple[int, ...] = ()


class Fitted(msgspec.Struct, frozen=True, kw_only=True):
    """A fit that was made.

    Attributes:
        version: the id that the registry will know it by.
        model: digest of its content.
        parents: what it was made from: recipe, cut-off, parameters and data, as the registry keeps them.
        facts: plain values for people.
        cpu: CPU seconds that it took when it was made, an observation: no event has it.
    """

    version: str
    model: str
    parents: tuple[str, ...] = ()
    facts: dict[str, Any] = {}
    cpu: float = 0.0

    def artefact(self, order: Order) -> Artefact:
        """The fit as the loop keeps it."""
        return Artefact(
            version=self.version,
            model=self.model,
            recipe=order.recipe.name,
            look=order.at,
            cutoff=order.cutoff,
        )


class Trainer(Protocol):
    """Fits and scores models of one deployment over one row table. Implemented by the project's graph."""

    def tune(self, at: int, train_end: int | None, judge_end: int) -> dict[str, Any]:
        """The best parameters of those tried; the defaults if there is nothing to tune.

        Trained on rows asked before ``train_end``, judged on the rows from there to ``judge_end``, with the
        labels known at ``at``; ``train_end`` None judges on a fold by key.
        """
        ...

    def fit(self, orders: Sequence[Order]) -> list[Fitted]:
        """Fit every order, several at a time, in the orders' order.

        Raises:
            StepError: the user's function raised or its process died.
        """
        ...

    def scorable(self, model: str) -> bool:
        """Whether the row table has every column that ``model`` reads: former code may need others."""
        ...

    def scores(self, model: str, spans: Sequence[tuple[int, int]]) -> list[np.ndarray]:
        """Predictions of ``model`` for the table's rows ``lo:hi`` of each span, float64 (hi - lo,)."""
        ...

    def keep(self) -> None:
        """Remember every score so far: nothing that is remembered is asked of a model again."""
        ...


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """An event to be recorded: ``kind``, ``subject`` and plain ``body``."""

    kind: str
    subject: str
    body: dict[str, Any]


class Step(msgspec.Struct, kw_only=True):
    """What one due instant brought: written in one unit of work, or not at all."""

    at: int
    lines: list[Line] = []
    fits: list[tuple[Artefact, Fitted]] = []
    mixtures: list[tuple[Artefact, Mixture]] = []
    verdicts: list[Verdict] = []
    bad: list[str] = []
    route: Segment | None = None
    why: str = ""

    def record(self, kind: str, subject: str, body: dict[str, Any]) -> None:
        """Add an event."""
        self.lines.append(Line(kind=kind, subject=subject, body=body))

    def record_look(self, subject: str, body: dict[str, Any]) -> None:
        """Add the event of a look, which names the step's fits by recipe and its verdicts."""
        made = {
            "fits": {artefact.recipe: artefact.version for artefact, _ in self.fits},
            "verdicts": [verdict.id for verdict in self.verdicts],
        }
        self.record("look.taken", subject, body | made)


class Journal(Protocol):
    """Keeps what the loop did: events, state, versions and routes, in one unit of work a step."""

    def commit(self, step: Step, state: State) -> None:
        """Write the step and the state after it."""
        ...


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """What a deployment is known by, beside its versions.

    Attributes:
        deployment, model, revision: their names and id.
        request: what a request holds.
        example: a raw row of plain JSON values.
        features: digest of the feature state that answers live requests.
        log: how predictions are logged.
        unanswered: why that state answers no request; None: it does.
    """

    deployment: str
    model: str
    revision: str
    request: RequestSignature
    example: dict[str, Any]
    features: str = ""
    log: LogRules = LogRules()
    unanswered: NenrinError | None = None

    def answering(self) -> str:
        """The feature state, of a version that is about to answer.

        Raises:
            UnavailableError: it answers no request; says what to set.
        """
        if self.unanswered is not None:
            raise self.unanswered
        return self.features


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment made ready by the project's graph: data loaded, rows built, a trainer over them.

    Attributes:
        declared: the deployment as declared.
        task: what its model is asked to do.
        table: the point-in-time rows.
        table_digest: their digest in the content store.
        timed: whether rows have a time; without, everything happens at the instant of a load.
        trainer: fits and scores over them.
        costs: CPU seconds of the user's code so far, ``fit`` and ``predict``, and counts of fits.
        served: what the deployment is known by.
        policy: the gate's rules.
        project: digest of everything but data that results depend on.
        data: the data version of each dataset.
        rows: name of the rows' dataset.
        checks: what the data tests find in what became known between two instants.
        end: the instant up to which both rows and labels are known: the lesser of their newest.
        newest: the newest instant at which anything of the data became known.
        trains: whether a fit learns from the rows; a model from a file is the same whenever it is fitted.
        compiles: compiles a model (digest), and compares the two forms on rows asked before an instant
            (None: on all): what came of it, as the version's facts have it; None: models are not compiled.
    """

    declared: DeploymentSpec
    task: Task
    table: RowTable
    table_digest: str
    timed: bool
    trainer: Trainer
    costs: Callable[[], dict[str, float]]
    served: Served
    policy: Policy
    project: str
    data: dict[str, str]
    rows: str
    checks: Callable[[int, int], list[Finding]]
    end: int
    newest: int
    trains: bool = True
    compiles: Compiles | None = None


class Replay(Protocol):
    """Makes deployments ready. Implemented by the project's graph."""

    def prepare(
        self,
        environment: str,
        deployment: str | None,
        *,
        load: bool,
        progress: Progress | None,
        faults: Sequence[DataFault] = (),
    ) -> Prepared:
        """Load what is missing (everything anew if ``load``), build the rows, open a trainer.

        ``faults`` are played into the data that rows and data tests read; what is stored stays as it is.

        Raises:
            NenrinError: the project file, the data or the model is wrong.
        """
        ...

    def policy(self, environment: str, prepared: Prepared, text: str) -> Prepared:
        """The same model under the deployment that ``FILE.py:NAME`` declares.

        Raises:
            ProjectError: the file is missing or wrong.
            RequestError: it declares no such deployment, or one of another model.
        """
        ...

    def on_table(self, prepared: Prepared, table: str) -> Prepared:
        """The same deployment over another row table: the one that its former code was scored on."""
        ...

    def by_revision(self, environment: str, revision: str, deployment: str) -> Prepared:
        """The deployment over the newest data, by the code of an earlier revision."""
        ...

    def loaded(self, environment: str) -> tuple[str, ...]:
        """The ids of the newest loads of an environment: equal where nothing was loaded since."""
        ...

    def data_end(self, environment: str) -> int | None:
        """The newest instant at which anything of an environment's data became known."""
        ...
