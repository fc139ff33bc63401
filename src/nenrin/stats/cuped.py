"""CUPED: take out of an outcome what was known before the experiment began.

Deng, Xu, Kohavi and Walker, "Improving the Sensitivity of Online Controlled Experiments by Utilizing
Pre-Experiment Data" (2013). A covariate from before the exposure cannot depend on the arm, so that
subtracting its part changes no expected difference, and leaves out a part ``correlation**2`` of the variance.
"""

from __future__ import annotations

import numpy as np


def adjusted(y: np.ndarray, before: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, float]:
    """Outcomes without what the covariate explains of them.

    Args:
        y: outcomes, float64 (n,).
        before: the covariate, float64 (n,); NaN where there is none: such rows stay as they are.
        group: integer (n,), such as arm and day: the slope is fitted within groups, so that no effect of
            an arm or a day goes into it.

    Returns:
        the adjusted outcomes, and the slope; 0 where the covariate never varies.
    """
    known = np.isfinite(before) & np.isfinite(y)
    if not known.any():
        return y, 0.0
    centred = np.zeros(len(y))
    centred[known] = before[known] - before[known].mean()
    _, places = np.unique(group[known], return_inverse=True)
    x, outcome = _within(centred[known], places), _within(y[known], places)
    spread = float(x @ x)
    # differences of one and the same number leave a spread of rounding alone
    if spread <= 1e-18 * len(x) * max(1.0, float(np.abs(before[known]).max()) ** 2):
        return y, 0.0
    slope = float(x @ outcome) / spread
    return y - slope * centred, slope


def _within(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    means = np.bincount(places, values) / np.bincount(places)
    centred: np.ndarray = values - means[places]
    return centred
