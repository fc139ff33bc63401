"""``nr.value``: what an answer is worth in money, so that backtests tell it beside the loss."""

from __future__ import annotations

import inspect
import math
from pathlib import Path

import msgspec
import numpy as np

from nenrin.core.errors import ProjectError


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer is worth, in any currency.

    Attributes:
        above: an answer above it is acted on; None: of a regression.
        hit, false_alarm: worth of acting where the label comes true, and where it does not.
        miss, quiet: worth of not acting where it comes true, and where it does not.
        over, under: of a regression, worth of a unit by which an answer is too high, and too low.
    """

    above: float | None = None
    hit: float = 0.0
    false_alarm: float = 0.0
    miss: float = 0.0
    quiet: float = 0.0
    over: float = 0.0
    under: float = 0.0

    def of(self, y: np.ndarray, p: np.ndarray) -> np.ndarray:
        """The worth of each answer.

        Args:
            y: labels, float64 (rows,).
            p: answers, float64 (rows,).
        """
        if self.above is None:
            return np.asarray(np.where(p > y, self.over * (p - y), self.under * (y - p)))
        acted = np.where(y > 0.5, self.hit, self.false_alarm)
        return np.asarray(np.where(p > self.above, acted, np.where(y > 0.5, self.miss, self.quiet)))


def value(
    *,
    above: float | None = None,
    hit: float = 0.0,
    false_alarm: float = 0.0,
    miss: float = 0.0,
    quiet: float = 0.0,
    over: float = 0.0,
    under: float = 0.0,
) -> Value:
    """What an answer is worth in money.

    Of probabilities: ``nr.value(above=0.3, hit=40, false_alarm=-5, miss=-20)``: whoever is answered more than
    .3 is acted on. Of numbers: ``nr.value(over=-1, under=-3)``: a unit too high costs 1, one too low 3.

    Raises:
        ProjectError: both are given or neither, ``above`` is no probability, or a worth is no number.
    """
    acts, misses = (hit, false_alarm, miss, quiet), (over, under)
    for each in (*acts, *misses):
        if not _is_number(each):
            raise _wrong(f"a worth of {each!r} is no number")
    if above is None and any(acts):
        raise _wrong("of probabilities nr.value needs above=, from which on an answer is acted on")
    if above is not None and (any(misses) or not 0 <= above <= 1):
        raise _wrong(f"above={above!r} is no probability, or stands beside over= and under=")
    if not any(acts) and not any(misses):
        raise _wrong("nr.value says of no outcome what it is worth")
    return Value(
        above=above,
        hit=hit,
        false_alarm=false_alarm,
        miss=miss,
        quiet=quiet,
        over=over,
        under=under,
    )


def _is_number(given: object) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given)


def _wrong(said: str) -> ProjectError:
    frame = inspect.currentframe()
    while frame is not None and Path(frame.f_code.co_filename) == Path(__file__):
        frame = frame.f_back
    return ProjectError(
        said,
        hint="nr.value(above=0.3, hit=40, false_alarm=-5, miss=-20), or nr.value(over=-1, under=-3)",
        where=f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "",
    )
