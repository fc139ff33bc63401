"""What tuning may choose from: ``nr.integers``, ``nr.floats``, ``nr.choice``."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from nenrin.core.errors import ProjectError

Value = bool | int | float | str | None


class Integers(msgspec.Struct, frozen=True, tag="integers"):
    """Whole numbers from ``low`` to ``high``, both possible."""

    low: int
    high: int


class Floats(msgspec.Struct, frozen=True, tag="floats"):
    """Numbers from ``low`` to ``high``; ``log`` spreads them evenly over orders of magnitude."""

    low: float
    high: float
    log: bool = False


class Choice(msgspec.Struct, frozen=True, tag="choice"):
    """One of a few plain values."""

    options: tuple[Value, ...]


Space = Integers | Floats | Choice


def contains(space: Space, value: object) -> bool:
    """Whether ``value`` can be chosen from ``space``."""
    if isinstance(space, Choice):
        return value in space.options
    kinds = int if isinstance(space, Integers) else (int, float)
    return isinstance(value, kinds) and space.low <= value <= space.high


def integers(low: int, high: int) -> Integers:
    """Tune over the whole numbers from ``low`` to ``high``, both included.

    Raises:
        ProjectError: ``low`` is above ``high``, or one of them is not a whole number.
    """
    if type(low) is not int or type(high) is not int or low > high:
        raise ProjectError(
            f"integers({low!r}, {high!r}) is not a range of whole numbers",
            hint="give the smallest and the largest: nr.integers(7, 63)",
        )
    return Integers(low, high)


def floats(low: float, high: float, *, log: bool = False) -> Floats:
    """Tune over the numbers from ``low`` to ``high``.

    Args:
        low: smallest value.
        high: largest value.
        log: draw evenly over the logarithm; wants ``low`` above 0.

    Raises:
        ProjectError: the bounds are not a range, or ``log`` with a bound that is not positive.
    """
    if not low <= high or (log and low <= 0):
        raise ProjectError(
            f"floats({low!r}, {high!r}, log={log}) is not a range",
            hint="give the smallest and the largest, positive with log=True: nr.floats(1e-3, 1, log=True)",
        )
    return Floats(float(low), float(high), log)


def choice(options: Sequence[Value]) -> Choice:
    """Tune over a few plain values: texts, numbers, truth values or None.

    Raises:
        ProjectError: there are none, or one is not a plain value.
    """
    plain = isinstance(options, list | tuple) and all(isinstance(each, Value) for each in options)
    if not plain or not options:
        raise ProjectError(
            f"choice({options!r}) is not a list of plain values",
            hint='give texts, numbers or truth values: nr.choice(["l1", "l2"])',
        )
    return Choice(tuple(options))
