"""The watch's bet against a promotion: wealth that grows only if the new version does harm.

Each closed block brings the mean difference of the losses, new minus old, clipped to ``[-c, c]``.
Two bets stake .3 and .9 of their wealth on "the harm exceeds m". If in no block the expected
clipped harm exceeds ``m`` given the past, the mean of both wealths is a supermartingale that starts
at 1, and by Ville's inequality it ever reaches 20 with probability 1/20 at most, however often one
looks (Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", 2024).
Whole blocks are clipped, never rows: clipping rows flips the sign of a difference whose losses are
skewed.
"""

from __future__ import annotations

import msgspec
import numpy as np

CAUTIOUS, BOLD = 0.3, 0.9
RUIN = 20.0  # 1 / .05
MARGIN_DAYS = 14


class Wealth(msgspec.Struct, frozen=True):
    """What both bets hold; a new watch starts at one each.

    >>> wealth = Wealth()
    >>> for _ in range(8):
    ...     wealth = wealth.bet(0.1, m=0.02, c=0.1)
    >>> wealth.alarms
    True
    """

    low: float = 1.0
    high: float = 1.0

    def bet(self, x: float, m: float, c: float) -> Wealth:
        """The wealth after a closed block.

        Args:
            x: mean of (loss of the new version - loss of the old one) over the block's rows.
            m: harm that is tolerated, at least 0; fixed when the watch opens.
            c: greatest difference of a block that counts, above 0.
        """
        stake = (min(c, max(-c, x)) - m) / (c + m)
        return Wealth(self.low * (1.0 + CAUTIOUS * stake), self.high * (1.0 + BOLD * stake))

    @property
    def mean(self) -> float:
        """Mean of both bets: the evidence against the promotion, 1 at the start."""
        return (self.low + self.high) / 2.0

    @property
    def alarms(self) -> bool:
        """Whether the evidence suffices to roll back."""
        return self.mean >= RUIN


def clip_of(row_loss: str, champion_days: np.ndarray) -> float:
    """The scale ``c`` of a deployment's day differences: .1 nat, or a fifth of the champion's loss.

    Args:
        row_loss: name of the row loss.
        champion_days: day means of the champion's loss over the last 28 closed days, NaN for a day
            without labels.
    """
    losses = champion_days[~np.isnan(champion_days)]
    if row_loss == "log_loss" or len(losses) == 0 or not losses.mean() > 0.0:
        return 0.1
    return float(losses.mean()) / 5.0


def margin(predecessor_days: np.ndarray, c: float) -> float:
    """The harm ``m`` that a watch tolerates: how much healthy successors differ by the day.

    Args:
        predecessor_days: over the last 28 closed days, the day mean of (artefact in place in the
            subject's recipe - the artefact before it in the replaced one's recipe); NaN for a day
            without both.
        c: the watch's clip; .05, .005 and .02 of log loss are c/2, c/20 and c/5.
    """
    days = predecessor_days[~np.isnan(predecessor_days)]
    if len(days) < MARGIN_DAYS:
        return c / 5.0
    return min(c / 2.0, max(c / 20.0, float(days.std(ddof=1))))
