"""What a model file holds, once a runtime has read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Opened:
    """A model from a file, with what the file says of its columns.

    Attributes:
        model: what ``predict`` or ``predict_proba`` is asked of.
        container: what it takes, unless the project says another.
        names: its columns in order, where the file says them and the model itself does not.
        categories: of its text columns, in their order, the texts that it was fitted on; ``None`` where
            the model is given texts as they are.
    """

    model: Any
    container: str = "pandas"
    names: tuple[str, ...] | None = None
    categories: tuple[tuple[str, ...], ...] | None = field(default=None)


def flat(answer: Any) -> np.ndarray:
    """An answer as an array; one of shape (n, 1) has shape (n,)."""
    numbers = np.asarray(answer)
    return numbers[:, 0] if numbers.ndim == 2 and numbers.shape[1] == 1 else numbers


def likely(names: Sequence[str]) -> str | None:
    """Of several outputs the one that is called a probability."""
    return next((name for name in names if "prob" in name.lower()), None)
