"""Fifty small steps in ten layers, a frame of 100 rows passed on: what the engine is measured by.

Nine layers of five steps, one of four, and a sum of these; a step below the first layer reads two of the
layer before it. All of it is integers, so that every tool must come to the same sum. Imports
nothing, so that a peer's environment can run it too.
"""

from __future__ import annotations

ROWS = 100
MODULUS = 1_000_003
LAYERS = (5,) * 9 + (4,)
TOTAL = "total"


def graph() -> dict[str, list[str]]:
    """The steps in an order in which they can run, with what each reads."""
    steps: dict[str, list[str]] = {}
    for layer, wide in enumerate(LAYERS):
        for n in range(wide):
            before = (n, (n + 1) % 5)
            steps[f"s{layer}_{n}"] = [f"s{layer - 1}_{m}" for m in before] if layer else []
    steps[TOTAL] = [f"s{len(LAYERS) - 1}_{n}" for n in range(LAYERS[-1])]
    return steps


def number(name: str) -> int:
    """What a step adds to each value: different for every step."""
    layer, n = name[1:].split("_")
    return 10 * int(layer) + int(n) + 1


def total() -> int:
    """What the last step must give, by plain lists."""
    values: dict[str, list[int]] = {}
    for name, reads in graph().items():
        if name == TOTAL:
            return sum(sum(values[read]) for read in reads)
        rows = zip(*(values[read] for read in reads), strict=True) if reads else zip(range(ROWS))
        values[name] = [(sum(row) + number(name)) % MODULUS for row in rows]
    raise AssertionError("there is no last step")
