"""The policies that a backtest measures the loop against, as people write them.

``frozen`` never trains again, ``every 28d`` trains on all history by the calendar, ``every 28d, trailing
90d`` on a part of it, ``every 28d, half-life 60d`` with weights. ``FILE.py:NAME`` is another deployment of
the same model, which lives through the same days by its own rules.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta

import msgspec

from nenrin.core.errors import ProjectError, RequestError
from nenrin.core.instants import DAY, duration, local_date, local_instant, spell
from nenrin.loop.declare import Recipe, Refresh, history, trailing

_RIVAL = re.compile(r"(?P<file>[^:]+\.py):(?P<name>\w+)")
_EVERY = re.compile(r"every (?P<period>\w+)(, (?P<kind>trailing|half-life) (?P<length>\w+))?")
GRAMMAR = 'one of frozen, "every 28d", "every 28d, trailing 90d", "every 28d, half-life 60d", file.py:service'


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """A policy by the calendar: its name, what people call it, its recipe, and when it fits."""

    name: str
    title: str
    recipe: Recipe
    times: tuple[int, ...]


class Calendar(msgspec.Struct, frozen=True):
    """The days of a backtest on which a policy may fit: first look, end, the look's hour, the rows' zone."""

    start: int
    until: int
    refresh: Refresh
    zone: str

    def months(self) -> tuple[int, ...]:
        """The first look, then the first of every month."""
        first = local_date(self.start, self.zone)
        month, times = date(first.year, first.month, 1), [self.start]
        while True:
            month = (month + timedelta(days=32)).replace(day=1)
            at = local_instant(month, self.refresh.clock, self.zone)
            if at > self.until:
                return tuple(times)
            times.append(at)

    def every(self, days: int) -> tuple[int, ...]:
        """The first look, then one after every so many days."""
        times, day = [self.start], local_date(self.start, self.zone)
        while True:
            day += timedelta(days=days)
            at = local_instant(day, self.refresh.clock, self.zone)
            if at > self.until:
                return tuple(times)
            times.append(at)


def usual(calendar: Calendar) -> list[Policy]:
    """What a loop is measured against when nobody says: never, monthly and weekly."""
    months, weeks = calendar.months(), calendar.every(7)
    return [
        _frozen(calendar),
        Policy(
            name="monthly_trailing",
            title="monthly, trailing 90 days",
            recipe=trailing("90d"),
            times=months,
        ),
        Policy(name="monthly_all", title="monthly, all history", recipe=history(), times=months),
        Policy(name="weekly_all", title="weekly, all history", recipe=history(), times=weeks),
    ]


def by_calendar(texts: Sequence[str], calendar: Calendar) -> list[Policy]:
    """The policies by the calendar that were asked for."""
    return [_read(text, calendar) for text in texts if not is_rival(text)]


def is_rival(text: str) -> bool:
    """Whether a policy is another deployment."""
    return _RIVAL.fullmatch(text) is not None


def rival_of(text: str) -> tuple[str, str]:
    """File and name of another deployment."""
    found = _RIVAL.fullmatch(text)
    if found is None:
        raise _unknown(text)
    return found["file"], found["name"]


def check_policies(texts: Sequence[str]) -> None:
    """Read every policy, before any work begins.

    Raises:
        RequestError: one is not understood, or comes twice.
    """
    for text in texts:
        if not is_rival(text) and text != "frozen":
            _parts(text)
    if len(set(map(name_of, texts))) < len(texts):
        raise RequestError("a policy is named twice", hint="name each once")


def name_of(text: str) -> str:
    """A policy's name in tables: a word of small letters."""
    if text == "frozen":
        return "never"
    return re.sub(r"\W+", "_", text.replace(".py:", " ")).strip("_").lower()


def _read(text: str, calendar: Calendar) -> Policy:
    if text == "frozen":
        return _frozen(calendar)
    days, recipe = _parts(text)
    return Policy(
        name=name_of(text),
        title=f"every {days} days, {_said(recipe)}",
        recipe=recipe,
        times=calendar.every(days),
    )


def _parts(text: str) -> tuple[int, Recipe]:
    """The period in days, and the recipe."""
    found = _EVERY.fullmatch(text)
    if found is None:
        raise _unknown(text)
    try:
        period = duration(found["period"])
        recipe = history()
        if found["kind"] == "trailing":
            recipe = trailing(found["length"])
        elif found["kind"]:
            recipe = history(half_life=found["length"])
    except (ProjectError, ValueError):
        raise _unknown(text) from None
    if period < DAY or period % DAY:
        raise RequestError(f"{text!r}: a period is whole days", hint='such as "every 28d"')
    return period // DAY, recipe


def _said(recipe: Recipe) -> str:
    if recipe.since is not None:
        return f"trailing {spell(recipe.since)}"
    return f"half-life {spell(recipe.half_life)}" if recipe.half_life else "all history"


def _frozen(calendar: Calendar) -> Policy:
    return Policy(name="never", title="never retraining", recipe=history(), times=(calendar.start,))


def _unknown(text: str) -> RequestError:
    return RequestError(f"{text!r} is no policy", hint=GRAMMAR, where=text)
