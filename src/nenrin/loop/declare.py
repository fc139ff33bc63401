"""The words of the loop: ``nr.deployment``, ``nr.every``, ``nr.cron``, ``nr.history``, ``nr.trailing``."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from cronsim import CronSim, CronSimError

from nenrin.core.called import called_from
from nenrin.core.errors import ProjectError
from nenrin.core.instants import DAY, declared_duration, spell
from nenrin.loop.worth import Value

if TYPE_CHECKING:
    from nenrin.training.declare import Model

_FIELDS = 5  # of a cron expression; a sixth would be seconds
_TICKS = 400  # of a schedule, to see how close together they come: a year of daily ones
_HORIZON = 2150  # the year up to which they are looked at: rare ones would leave the calendar
_ANY_DAY = datetime(2023, 12, 31)  # noqa: DTZ001 - local, where no clock is changed
CATCH_UP = ("last", "all", "none")
SERVE = ("champion", "mixture")
LOG = ("fast", "durable")
UNSEEN = ("null", "refuse")


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """Which history a refresh trains on.

    Attributes:
        name: the words that declare it, ``history``, ``history 60d`` or ``trailing 90d``.
        since: length of the window before the cut-off, microseconds; ``None`` is all history.
        half_life: age at which a row weighs half, microseconds; ``None`` weighs all rows alike.
    """

    name: str
    since: int | None = None
    half_life: int | None = None


class Refresh(msgspec.Struct, frozen=True, kw_only=True):
    """When the loop looks.

    Attributes:
        period: microseconds between two looks, whole days; of a cron expression the least.
        at: local time of day, ``HH:MM``.
        cron: the expression that decides, in local time; empty: every ``period``.
        catch_up: what becomes of looks that were due when nothing ran: the ``last`` of them is taken,
            ``all`` are, or ``none``.
    """

    period: int
    at: str
    cron: str = ""
    catch_up: str = "last"

    def __str__(self) -> str:
        """As it is declared."""
        said = f"cron {self.cron}" if self.cron else f"every {spell(self.period)} at {self.at}"
        return f"{said}, missed looks: {self.catch_up}"

    @property
    def clock(self) -> time:
        """The local time of day of a look."""
        return time.fromisoformat(self.at)


class DeploymentSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What was declared about a deployment.

    Attributes:
        name: what clients address; the model's name unless given.
        recipes: the histories that are raced, at least one.
        refresh: the schedule of looks.
        serve: ``champion`` (one version answers) or ``mixture`` (the recipes' models, blended).
        canary: percent of requests that new code or another recipe gets, stage by stage.
        settle: microseconds after which a block's labels count as complete; ``None`` is measured.
        gates: the gate policy's text or file; empty is the default policy.
        contract: data contract file; empty is the schema frozen at first load.
        value: what an answer is worth in money; ``None`` is not said.
        missing: raw values that stand for a row that a request names and no data has; ``None``: it is
            refused.
        log: ``fast`` (written after the answer) or ``durable`` (answered once it is on the disk).
        where: ``file:line`` of the declaration.
        value: what an answer is worth in money; ``None`` is not said.
        sticky: the column or header that requests stick to a version by; empty: the rows' key.
        fallback: what is answered where no version can; ``None``: an error.
        unseen: ``null`` (a text that training had not seen is missing) or ``refuse``.
    """

    name: str
    recipes: tuple[Recipe, ...]
    refresh: Refresh
    serve: str
    canary: tuple[int, ...]
    settle: int | None
    gates: str
    contract: str
    where: str
    value: Value | None = None
    missing: dict[str, Any] | None = None
    log: str = "fast"
    sticky: str = ""
    fallback: float | str | None = None
    unseen: str = "null"


class Deployment:
    """A declared deployment: ``declared`` (its :class:`DeploymentSpec`) and ``model``."""

    def __init__(self, model: Model, declared: DeploymentSpec) -> None:
        self.model = model
        self.declared = declared

    def named(self) -> Deployment:
        """Take the model's name where none was given: an imported model learns its name late."""
        if not self.declared.name:
            self.declared = msgspec.structs.replace(self.declared, name=self.model.declared.name)
        return self

    def __repr__(self) -> str:
        return f"<deployment {self.declared.name}>"


def history(half_life: str | None = None) -> Recipe:
    """Train on all history; with ``half_life="60d"`` a row of that age weighs half.

    Raises:
        ProjectError: the half-life is not a duration.
    """
    if half_life is None:
        return Recipe(name="history")
    us = declared_duration("half_life", half_life, called_from(__file__), "60d")
    return Recipe(name=f"history {spell(us)}", half_life=us)


def trailing(window: str) -> Recipe:
    """Train on the rows of the last ``window``, such as ``"90d"``.

    Raises:
        ProjectError: the window is not a duration.
    """
    us = declared_duration("window", window, called_from(__file__), "90d")
    return Recipe(name=f"trailing {spell(us)}", since=us)


def every(period: str, at: str = "00:00", *, catch_up: str = "last") -> Refresh:
    """Look every ``period`` (whole days), at the local time ``at`` in the rows' time zone.

    Of looks that were due when nothing ran, and no rows came, the ``"last"`` is taken, ``"all"`` are, or
    ``"none"``.

    Raises:
        ProjectError: the period is not a whole number of days, ``at`` is not a time of day, or ``catch_up``
            is not known.
    """
    _check_catch_up(catch_up)
    us = declared_duration("period", period, called_from(__file__), "7d")
    if us % DAY:
        raise ProjectError(
            f"refresh every {period!r}: a period is whole days",
            hint='write a whole number of days, such as "7d"',
            where=called_from(__file__),
        )
    try:
        local = time.fromisoformat(at).tzinfo is None
    except (TypeError, ValueError):
        local = False
    if not local:
        raise ProjectError(
            f"at={at!r} is not a local time of day",
            hint='write it as "04:00"',
            where=called_from(__file__),
        )
    return Refresh(period=us, at=at, catch_up=catch_up)


def cron(expression: str, *, catch_up: str = "last") -> Refresh:
    """Look when a cron expression says so, in the rows' time zone: ``nr.cron("0 4 * * 1")``, Mondays at four.

    As Debian's cron does it: of an hour that is doubled by a change of clocks the first counts, and what is
    due in an hour that is left out comes right after it.

    Args:
        expression: minute, hour, day of the month, month, day of the week; at most one look a day, for a
            look decides on whole days.
        catch_up: as for :func:`every`.

    Raises:
        ProjectError: the expression has not five fields, never comes, or comes more than once a day, or
            ``catch_up`` is not known.
    """
    _check_catch_up(catch_up)
    fields = str(expression).split()
    try:
        if len(fields) != _FIELDS:
            raise CronSimError("it has not five fields")
        coming = itertools.islice(CronSim(" ".join(fields), _ANY_DAY), _TICKS)
        ticks = list(itertools.takewhile(lambda tick: tick.year < _HORIZON, coming))
        if not ticks:
            raise CronSimError("it never comes")
    except CronSimError as error:
        raise ProjectError(
            f"{expression!r} is no schedule: {str(error)[:1].lower()}{str(error)[1:]}",
            hint='minute, hour, day of the month, month, day of the week: "0 4 * * 1" is Mondays at four',
            where=called_from(__file__),
        ) from None
    gaps = [later - tick for tick, later in itertools.pairwise(ticks)]
    least = min(gaps, default=timedelta(days=366))
    if least < timedelta(days=1):
        raise ProjectError(
            f"{expression!r} comes more than once a day, and a look decides on whole days",
            hint='name one minute and one hour, such as "0 4 * * *"',
            where=called_from(__file__),
        )
    # one minute and one hour, spelled as such: cron leaves out a missing hour that is written with a star
    plain = " ".join((str(ticks[0].minute), str(ticks[0].hour), *fields[2:]))
    return Refresh(period=least.days * DAY, at=f"{ticks[0]:%H:%M}", cron=plain, catch_up=catch_up)


def _check_catch_up(catch_up: str) -> None:
    if catch_up not in CATCH_UP:
        raise ProjectError(
            f"catch_up={catch_up!r} is not known",
            hint=f"one of {', '.join(CATCH_UP)}",
            where=called_from(__file__),
        )


def deployment(
    model: Model,
    *,
    name: str = "",
    recipes: Sequence[Recipe] | None = None,
    refresh: Refresh | None = None,
    serve: str = "mixture",
    canary: Sequence[int] = (20, 100),
    settle: str | None = None,
    gates: str = "",
    contract: str = "",
    value: Value | None = None,
    missing: str | Mapping[str, Any] = "refuse",
    log: str = "fast",
    sticky: str = "",
    fallback: float | str | None = None,
    unseen: str = "null",
) -> Deployment:
    """Declare what clients address, how it learns again, and how that goes out.

    Args:
        model: declared by ``@nr.model`` or ``nr.import_model``.
        name: what clients address; the model's name when left out.
        recipes: left out ``nr.history()``, ``nr.history("60d")``, ``nr.trailing("90d")``, or the first alone.
        refresh: ``nr.every("7d", at="00:00")``, the default, or ``nr.cron("0 4 * * 1")``.
        serve: ``"mixture"``: the recipes' fits and the anchor share the answer; ``"champion"``: one answers.
        canary: percent of requests, stage by stage, for new code or another recipe; ends with 100.
        settle: age at which labels count as complete; measured on the first fit when left out.
        gates, contract: a file with gate rules, or the rules themselves; a data contract file.
        value: what an answer is worth: ``nr.value(…)``; backtests tell it beside the loss.
        missing: for a key that no row has: ``"refuse"`` (422), or raw values, ``{"age": 40}``, others null.
        log: ``"fast"``: written after the answer; ``"durable"``: answered once it is on the disk.
        sticky: a column of the rows, or a header, that requests stick by; the rows' key when left out.
        fallback: what is answered where neither the champion nor the version before it can.
        unseen: a text that training had not seen is ``"null"``, a missing value, or ``"refuse"`` (422).

    Raises:
        ProjectError: a value does not fit; says which, with file and line.
    """
    where, refresh = called_from(__file__), refresh or every("7d")
    _check(model, recipes, refresh, serve, canary, contract, where)
    _check_answers(value, log, unseen, sticky, fallback, where)
    spec = DeploymentSpec(
        name=name or model.declared.name,
        recipes=tuple(recipes) if recipes else _usual(model),
        refresh=refresh,
        serve=serve,
        canary=tuple(canary),
        settle=None if settle is None else declared_duration("settle", settle, where, "12h"),
        gates=gates,
        contract=contract,
        where=where,
        value=value,
        missing=_missing(missing, where),
        log=log,
        sticky=sticky,
        fallback=float(fallback) if isinstance(fallback, int | float) else fallback,
        unseen=unseen,
    )
    return Deployment(model, spec)


def _usual(model: Model) -> tuple[Recipe, ...]:
    """The recipes where none are named."""
    timed = getattr(getattr(model.rows, "declared", None), "time", None) is not None
    trained = getattr(model.declared, "imported", None) is None
    three = (history(), history(half_life="60d"), trailing("90d"))
    return three if timed and trained else (history(),)


def _missing(missing: object, where: str) -> dict[str, Any] | None:
    """What stands for a row that is not there; None: it is refused."""
    if missing == "refuse":
        return None
    plain = (str, bool, int, float, type(None))
    if not isinstance(missing, Mapping) or not all(
        isinstance(name, str) and isinstance(value, plain) for name, value in missing.items()
    ):
        raise ProjectError(
            f'missing={missing!r} is neither "refuse" nor values by column',
            hint='write missing={"plan": "basic", "age": 40}; times as texts; {} is null everywhere',
            where=where,
        )
    return dict(missing)


def _check(
    model: Any,
    recipes: Sequence[Recipe] | None,
    refresh: Refresh,
    serve: str,
    canary: Sequence[int],
    contract: str,
    where: str,
) -> None:
    if not hasattr(model, "declared") or not hasattr(model, "rows"):
        raise ProjectError(
            f"nr.deployment wants a model, not {type(model).__name__}",
            hint="give it a function decorated by @nr.model",
            where=where,
        )
    _check_kinds(recipes, refresh, where)
    if serve not in SERVE:
        raise ProjectError(
            f"serve={serve!r} is not known", hint=f"one of {', '.join(SERVE)}", where=where
        )
    if contract:
        raise ProjectError(
            "contract= is not built yet",
            hint="leave it out: the schema of the first load is frozen and checked",
            where=where,
        )
    if recipes and len({recipe.name for recipe in recipes}) < len(recipes):
        raise ProjectError("a recipe is declared twice", hint="name each once", where=where)
    stages, days = list(canary), refresh.period // DAY
    if not stages or stages[-1] != 100 or stages != sorted(set(stages)) or stages[0] < 1:
        raise ProjectError(
            f"canary={stages} is not a list of rising percentages that ends with 100",
            hint="write for example canary=[20, 100]",
            where=where,
        )
    if len(stages) - 1 > days:
        raise ProjectError(
            f"canary={stages} takes {len(stages) - 1} days, and a refresh every {days} d would restart it",
            hint="write fewer stages, or a longer refresh=",
            where=where,
        )


def _check_serving(sticky: object, fallback: object, where: str) -> None:
    if not isinstance(sticky, str):
        raise ProjectError(
            f"sticky={sticky!r} is not a name",
            hint='write the name of a column or of a header: sticky="user_id"',
            where=where,
        )
    number = isinstance(fallback, int | float) and not isinstance(fallback, bool)
    if not (fallback is None or isinstance(fallback, str) or (number and math.isfinite(fallback))):  # type: ignore[arg-type]
        raise ProjectError(
            f"fallback={fallback!r} is no answer",
            hint="write a number that is finite, such as fallback=0.2",
            where=where,
        )


def _check_answers(
    value: object, log: object, unseen: object, sticky: object, fallback: object, where: str
) -> None:
    _check_serving(sticky, fallback, where)
    if value is not None and not isinstance(value, Value):
        raise ProjectError(
            f"value={value!r} is no nr.value(…)",
            hint="nr.value(above=0.3, hit=40, false_alarm=-5)",
            where=where,
        )
    for name, word, words in (("log", log, LOG), ("unseen", unseen, UNSEEN)):
        if word not in words:
            raise ProjectError(
                f"{name}={word!r} is not known", hint=f"one of {', '.join(words)}", where=where
            )


def _check_kinds(recipes: object, refresh: object, where: str) -> None:
    listed = recipes is None or isinstance(recipes, list | tuple)
    if not listed or not all(isinstance(recipe, Recipe) for recipe in recipes or ()):  # type: ignore[attr-defined]
        raise ProjectError(
            f"recipes={recipes!r} is not a list of recipes",
            hint='write for example recipes=[nr.history(), nr.trailing("90d")]',
            where=where,
        )
    if not isinstance(refresh, Refresh):
        raise ProjectError(
            f"refresh={refresh!r} is not a schedule",
            hint='write for example refresh=nr.every("7d", at="04:00")',
            where=where,
        )
