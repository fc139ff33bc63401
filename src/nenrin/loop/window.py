"""Which stretch of history a backtest replays."""

from __future__ import annotations

from datetime import date, time, timedelta

import msgspec

from nenrin.core.errors import RequestError
from nenrin.core.instants import local_date, local_instant, local_midnight

YEAR = 366
LEAST_HISTORY = 28  # days before the first look: a third of it judges the first version
LEAST_REPLAYED = 28  # days from it on, where the first look is chosen for the user


class Window(msgspec.Struct, frozen=True):
    """The first look and the end of the replayed data, as instants."""

    look: int
    until: int


def window(
    *, first: int, last: int, zone: str, clock: time, from_: str = "", until: str = ""
) -> Window:
    """Choose the window.

    Args:
        first, last: asked instants of the first and the last row.
        zone: the rows' zone.
        clock: local time of a look.
        from_: local date of the first look; left out, the first of the month nearest to a quarter of the
            history, begun years counted as whole ones: data that ends earlier is replayed from the same day.
        until: local date at whose beginning the replay ends; left out, the end of the data.

    Raises:
        RequestError: a date is none, there is too little history before, or no day after.
    """
    begin, end = local_date(first, zone), local_date(last, zone) + timedelta(days=1)
    start = read_date(from_) if from_ else _quarter(begin, end)
    stop = min(read_date(until) if until else end, end)
    earliest = begin + timedelta(days=LEAST_HISTORY)
    if start < earliest:
        raise RequestError(
            f"a backtest from {start} has less than {LEAST_HISTORY} days of history before it",
            hint=f"the data begins on {begin}: give --from a date from {earliest} on",
        )
    if stop <= start:
        raise RequestError(
            f"a backtest from {start} until {stop} has no day to replay",
            hint=f"the data begins on {begin} and ends on {end - timedelta(days=1)}",
        )
    return Window(local_instant(start, clock, zone), local_midnight(stop, zone))


def _quarter(begin: date, end: date) -> date:
    """The first of the month nearest to a quarter of the begun years; of the days, if these are few."""
    days = (end - begin).days
    start = _nearest_first(begin + timedelta(days=-(-days // YEAR) * YEAR // 4))
    if (end - start).days >= LEAST_REPLAYED and (start - begin).days >= LEAST_HISTORY:
        return start
    quarter = begin + timedelta(days=max(days // 4, LEAST_HISTORY))
    start = _nearest_first(quarter)
    return start if begin + timedelta(days=LEAST_HISTORY) <= start < end else quarter


def _nearest_first(day: date) -> date:
    """The first of the month nearest to ``day``."""
    month = day.replace(day=1)
    return month if day.day <= 15 else (month + timedelta(days=32)).replace(day=1)


def read_date(text: str) -> date:
    """The date that a text names.

    Raises:
        RequestError: it names none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise RequestError(f"{text!r} is not a date", hint="write it as 2013-04-01") from None
