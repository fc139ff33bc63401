"""What an assessment may know: plain facts, gathered above this room, and what a sign of an item is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from nenrin.core.ledger import Event
from nenrin.gates.verdict import Verdict
from nenrin.serving.prediction import Prediction


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """What an environment's project declares, as far as the items ask.

    Attributes:
        datasets, views, deployments: their names.
        timed: whether the rows of a deployment have a time.
        trained: whether a deployment's model learns from rows; one from a file does not.
        canary: whether new code of such a deployment goes out in more than one stage.
    """

    datasets: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    deployments: tuple[str, ...] = ()
    timed: bool = False
    trained: bool = False
    canary: bool = False


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The revision that an environment follows: its id, Python, number of packages, git commit."""

    id: str
    python: str
    packages: int
    commit: str = ""
    dirty: bool = False


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """The folder's prediction log: its ends, and how many predictions it lacks."""

    first: Prediction | None = None
    newest: Prediction | None = None
    missing: int = 0


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that an assessment of one environment rests on.

    Attributes:
        environment: which.
        now: where its calendar stands, microseconds UTC.
        events: its ledger, in order.
        others: the ledgers of the other environments that are no backtests.
        blocked: the events ``look.blocked`` of this environment's backtests.
        declared: what its active revision declares, the folder's project before the first.
        active: that revision; None before the first.
        folder_commit: the git commit that the folder stands on; empty where git does not know its project.
        champions: who serves, by deployment.
        verdicts: its verdicts, oldest first.
        answers: the folder's prediction log.
        fault_day: a local date in the loaded data that a backtest can play a fault into; empty: none.
    """

    environment: str
    now: int
    events: tuple[Event, ...] = ()
    others: dict[str, tuple[Event, ...]] = {}
    blocked: tuple[Event, ...] = ()
    declared: Declared = Declared()
    active: Snapshot | None = None
    folder_commit: str = ""
    champions: dict[str, str] = {}
    verdicts: tuple[Verdict, ...] = ()
    answers: Answers = Answers()
    fault_day: str = ""

    def of(self, *kinds: str) -> Iterator[Event]:
        """This environment's events of some kinds, newest first."""
        return (event for event in reversed(self.events) if event.kind in kinds)


class Sign(msgspec.Struct, frozen=True, kw_only=True):
    """An event or a record that shows that an item happened.

    Attributes:
        kind, subject, at, environment: of the event; ``prediction`` is a line of the prediction log.
        says: what it shows, where the event's kind does not say it.
        stands: whether what it tells of is still in force, so that its age is no matter.
    """

    kind: str
    subject: str
    at: int
    environment: str
    says: str = ""
    stands: bool = False


def sign(event: Event, says: str = "", *, stands: bool = False) -> Sign:
    """An event as a sign."""
    return Sign(
        kind=event.kind,
        subject=event.subject,
        at=event.at,
        environment=event.environment,
        says=says,
        stands=stands,
    )


def newest(
    events: Iterable[Event], holds: Callable[[Event], bool] = lambda _: True, says: str = ""
) -> Sign | None:
    """The first of the events, given newest first, of which ``holds`` is true."""
    found = next((event for event in events if holds(event)), None)
    return None if found is None else sign(found, says)
