"""How a figure is written for people: with the decimals that its size deserves."""

from __future__ import annotations


def figure(value: float, *, plus: bool = False) -> str:
    """A finite number with four decimals below 1, and four digits or all whole ones from there on.

    Args:
        value: the number.
        plus: write a ``+`` before one that is not negative: it is a difference.

    >>> [figure(x) for x in (0.43781, 92.8952, 1234.56)], figure(0.01, plus=True)
    (['0.4378', '92.90', '1,235'], '+0.0100')
    """
    size = abs(value)
    places = next((4 - digits for digits in range(4) if size < 10**digits), 0)
    return f"{value:{'+' if plus else ''},.{places}f}"
