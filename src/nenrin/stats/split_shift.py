"""Always-valid evidence that two sides of a randomised split answer differently, from counts in bins.

If both answer alike, an answer of any bin is the challenger's with the chance of the split. In each
bin a Beta prior around that chance is bet on (the Bayes factor of the beta-binomial; Gunel and
Dickey, "Bayes factors for independence in contingency tables", 1974). Every answer moves one bin's
bet, so the product over the bins is a martingale that starts at 1, and by Ville's inequality evidence
that is valid however often one looks. Day effects that both sides share move no bet.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import lgamma, log

import numpy as np

from nenrin.stats.share import log_mean

STRENGTHS = (8.0, 80.0)  # of the prior, in answers: large shifts soon, smaller ones later


def log_evidence_shift(mine: Sequence[int], theirs: Sequence[int], share: float) -> float:
    """Natural logarithm of the evidence that the answers of both sides are distributed differently.

    Args:
        mine: answers by bin, of the side that is judged.
        theirs: of the other side, in the same bins.
        share: the chance that an answer is of the side that is judged.
    """
    pairs = list(zip(mine, theirs, strict=True))
    logs = [sum(_bin(a, b, share, strength) for a, b in pairs) for strength in STRENGTHS]
    return log_mean(np.array(logs))


def distance(mine: Sequence[int], theirs: Sequence[int]) -> float:
    """Total variation between the shares of the bins, 0 to 1; 0 where a side has no answers."""
    a, b = np.asarray(mine, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    if not (a.sum() and b.sum()):
        return 0.0
    return float(np.abs(a / a.sum() - b / b.sum()).sum() / 2)


def _bin(a: int, b: int, share: float, strength: float) -> float:
    """Log Bayes factor of one bin."""
    mine, theirs = share * strength, (1 - share) * strength
    bet = lgamma(a + mine) + lgamma(b + theirs) - lgamma(a + b + strength)
    prior = lgamma(mine) + lgamma(theirs) - lgamma(strength)
    return bet - prior - a * log(share) - b * log(1 - share)
