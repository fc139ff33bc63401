"""Seeds of what users' code draws from: the same step draws the same numbers, in any process."""

from __future__ import annotations

import random  # noqa: TID251 - seeded, for users' libraries that draw from it
import sys

import numpy as np


def seed_all(seed: int) -> None:
    """Seed the global generators of ``random``, numpy and, where it is imported, torch."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - users' libraries draw from the global generator
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed % 2**63)
