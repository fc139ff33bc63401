"""The words of the loop: ``nr.deployment``, ``nr.every``, ``nr.history``, ``nr.trailing``."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from datetime import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from nenrin.core.errors import ProjectError
from nenrin.core.instants import DAY, declared_duration, spell

if TYPE_CHECKING:
    from nenrin.training.declare import Model

SERVE = ("champion", "mixture")


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
    """When the loop looks: every ``period`` microseconds, at ``at`` (local ``HH:MM``)."""

    period: int
    at: str

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
        where: ``file:line`` of the declaration.
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
    us = declared_duration("half_life", half_life, _caller(), "60d")
    return Recipe(name=f"history {spell(us)}", half_life=us)


def trailing(window: str) -> Recipe:
    """Train on the rows of the last ``window``, such as ``"90d"``.

    Raises:
        ProjectError: the window is not a duration.
    """
    us = declared_duration("window", window, _caller(), "90d")
    return Recipe(name=f"trailing {spell(us)}", since=us)


def every(period: str, at: str = "00:00") -> Refresh:
    """Look every ``period`` (whole days), at the local time ``at`` in the rows' time zone.

    Raises:
        ProjectError: the period is not a whole number of days, or ``at`` is not a time of day.
    """
    us = declared_duration("period", period, _caller(), "7d")
    if us % DAY:
        raise ProjectError(
            f"refresh every {period!r}: a period is whole days",
            hint='write a whole number of days, such as "7d"',
            where=_caller(),
        )
    try:
        local = time.fromisoformat(at).tzinfo is None
    except (TypeError, ValueError):
        local = False
    if not local:
        raise ProjectError(
            f"at={at!r} is not a local time of day", hint='write it as "04:00"', where=_caller()
        )
    return Refresh(period=us, at=at)


def deployment(
    model: Model,
    *,
    name: str = "",
    recipes: Sequence[Recipe] | None = None,
    refresh: Refresh | None = None,
    serve: str = "champion",
    canary: Sequence[int] = (20, 100),
    settle: str | None = None,
    gates: str = "",
    contract: str = "",
) -> Deployment:
    """Declare what clients address, how it learns again, and how that goes out.

    Args:
        model: a model declared by ``@nr.model`` or ``nr.import_model``.
        name: what clients address; the model's name when left out.
        recipes: ``nr.history()``, ``nr.history(half_life=…)``, ``nr.trailing(…)``; by default these three
            where rows have a time, and the first where they have none or nothing is trained.
        refresh: ``nr.every("7d", at="04:00")``; by default every 7 days at midnight.
        serve: ``"champion"``.
        canary: percent of requests, stage by stage, for new code or another recipe; ends with 100.
        settle: age at which labels count as complete; measured on the first fit when left out.
        gates: a file with gate rules, or the rules themselves.
        contract: a data contract file.

    Raises:
        ProjectError: a value does not fit; says which, with file and line.
    """
    where = _caller()
    _check(model, recipes, refresh or every("7d"), serve, canary, contract, where)
    timed = getattr(getattr(model.rows, "declared", None), "time", None) is not None
    trained = getattr(model.declared, "imported", None) is None
    three = (history(), history(half_life="60d"), trailing("90d"))
    usual = three if timed and trained else (history(),)
    spec = DeploymentSpec(
        name=name or model.declared.name,
        recipes=tuple(recipes) if recipes else usual,
        refresh=refresh or every("7d"),
        serve=serve,
        canary=tuple(canary),
        settle=None if settle is None else declared_duration("settle", settle, where, "12h"),
        gates=gates,
        contract=contract,
        where=where,
    )
    return Deployment(model, spec)


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
    if serve == "mixture":
        raise ProjectError(
            'serve="mixture" is not built yet', hint='write serve="champion"', where=where
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


def _caller() -> str:
    """``file:line`` of the project file's line that called a word of this module."""
    frame = inspect.currentframe()
    while frame is not None and Path(frame.f_code.co_filename) == Path(__file__):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else ""
