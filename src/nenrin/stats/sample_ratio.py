"""Always-valid evidence that cases are not dealt to the arms as was said.

The sequential multinomial test of Lindon and Malek, "Anytime-Valid Inference for Multinomial Count Data"
(2022): the Bayes factor of a Dirichlet prior around the shares against the shares themselves. It starts
at 1 and is a martingale while the split is sound, so by Ville's inequality it ever reaches 1/alpha with
chance alpha at most, however often one looks. Evidences of stretches with other shares multiply.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

CONCENTRATION = 100.0
"""Weight of the prior, in cases: the larger, the smaller the mismatches that it looks for."""


def log_evidence_mismatch(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Natural logarithm of the evidence against the split.

    Args:
        counts: cases of each arm.
        shares: the chance of each arm, all above 0 and 1 in all.

    >>> round(log_evidence_mismatch([500, 500], [0.5, 0.5]), 2)
    -1.2
    >>> log_evidence_mismatch([400, 600], [0.5, 0.5]) > 10
    True
    """
    total = sum(counts)
    prior = [CONCENTRATION * share for share in shares]
    evidence = math.lgamma(CONCENTRATION) - math.lgamma(CONCENTRATION + total)
    for count, share, weight in zip(counts, shares, prior, strict=True):
        evidence += math.lgamma(weight + count) - math.lgamma(weight) - count * math.log(share)
    return evidence
