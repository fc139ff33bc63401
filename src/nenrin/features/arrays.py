"""The array types of this room."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]

NO_INSTANT = -(2**63)
"""Earlier than everything: a row asked then sees nothing, a row known then was always known."""
