"""Always-valid evidence that events fall on one side more often than its share of the cases.

Requests are dealt to a challenger with a known chance, whatever they hold. So if both versions fail
alike, each failure is the challenger's with exactly that chance, however the rate of failures moves
by the hour, the day or the burst: the whole stream may be conditioned away (the conditional test of
Przyborowski and Wilenski, 1940). Several alternatives are bet on at once, by their odds ratio, and
the mean of the bets is a supermartingale that starts at 1 (Robbins, "Statistical methods related to
the law of the iterated logarithm", 1970). By Ville's inequality it ever reaches 1/alpha with
probability alpha at most, however often one looks. It depends on the counts alone, not on when they
were read.
"""

from __future__ import annotations

import math

import numpy as np

ODDS_RATIOS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 200.0)


def log_evidence(events: int, others: int, share: float) -> float:
    """Natural logarithm of the evidence that an event's chance is greater than ``share``.

    Args:
        events: events on the side that is judged.
        others: events on the other side; or, with ``share`` a tolerated rate, cases without event.
        share: the greatest chance that is innocent, between 0 and 1.

    >>> round(math.exp(log_evidence(6, 0, 0.5)), 1)
    27.3
    """
    return log_mean(bets(np.array([events]), np.array([others]), share))


def bets(events: np.ndarray, others: np.ndarray, share: float) -> np.ndarray:
    """Natural logarithm of what each alternative's bet holds, float64 (n, alternatives).

    Args:
        events: as for :func:`log_evidence`, int64 (n,).
        others: the same.
        share: as there.
    """
    odds = np.array(ODDS_RATIOS)
    below = (
        1.0 - share + share * odds
    )  # q / share = odds / below, (1 - q) / (1 - share) = 1 / below
    logs: np.ndarray = np.outer(events, np.log(odds)) - np.outer(events + others, np.log(below))
    return logs


def log_mean(logs: np.ndarray) -> float:
    """Logarithm of the mean of what ``logs``, float64 of any shape, are the logarithms of."""
    top = float(np.max(logs))
    return top + math.log(float(np.mean(np.exp(logs - top))))
