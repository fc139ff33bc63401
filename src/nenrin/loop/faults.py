"""Faults that a backtest plays into history, to show whether the loop would have caught them.

A fault strikes after the sanity check of a fit: it stands for what that check cannot see.
"""

from __future__ import annotations

from datetime import date

import msgspec
import numpy as np

from nenrin.core.errors import RequestError
from nenrin.core.instants import local_midnight

KINDS = ("scrambled_fit", "shifted_fit")
STAYS, ONE = "staying_bug", "one_recipe_only"
GRAMMAR = (
    "scrambled_fit:2013-07-29 or shifted_fit:…; staying_bug:2013-07-29, one_recipe_only:… scramble, and "
    "staying_bug:shifted_fit:2013-07-29 shifts"
)


class Injection(msgspec.Struct, frozen=True, kw_only=True):
    """A fault and the local date on or after which each policy's first fit carries it.

    Attributes:
        kind: ``scrambled_fit`` or ``shifted_fit``.
        day: the date.
        how: ``staying_bug``: every fit from then on carries it; ``one_recipe_only``: the loop's first recipe
            alone (policies with one recipe have no other); empty: the fits of one look.
    """

    kind: str
    day: str
    how: str = ""

    @property
    def text(self) -> str:
        """``kind:date``, as the command line writes it."""
        return ":".join(part for part in (self.how, self.kind, self.day) if part)

    @property
    def stays(self) -> bool:
        """Whether every fit from its day on carries it."""
        return self.how == STAYS

    @property
    def one(self) -> bool:
        """Whether it strikes the loop's first recipe alone."""
        return self.how == ONE

    def strikes(self, at: int, zone: str) -> bool:
        """Whether a fit at the instant ``at`` is late enough to be hit."""
        return at >= local_midnight(date.fromisoformat(self.day), zone)

    def fault(self, task: str) -> str:
        """The fault that a struck fit carries, for :func:`apply`."""
        return f"{self.kind}/regression" if task == "regression" else self.kind

    @classmethod
    def parse(cls, text: str) -> Injection:
        """Read ``scrambled_fit:2013-07-29``.

        Raises:
            RequestError: the kind is not known, or the date is not one.
        """
        *words, day = text.split(":")
        how = words.pop(0) if words and words[0] in (STAYS, ONE) else ""
        kind = words.pop(0) if words else KINDS[0] if how else text
        if kind not in KINDS or words:
            raise RequestError(
                f"{text!r} is not a fault that can be injected", hint=GRAMMAR, where=text
            )
        try:
            date.fromisoformat(day)
        except ValueError:
            raise RequestError(f"{text!r} has no date", hint=GRAMMAR, where=text) from None
        return cls(kind=kind, day=day, how=how)


def must_lie(text: str, day: str, first: date | None, end: date | None) -> None:
    """Refuse a day that no replay of this window reaches.

    Args:
        text: the fault.
        day: the local date of its beginning.
        first: local date of the window's first look; ``None``: not known yet.
        end: local date at whose beginning the window ends; ``None``: not known yet.

    Raises:
        RequestError: the day lies before the first, or is not before the end.
    """
    begins = date.fromisoformat(day)
    if first and begins < first:
        raise RequestError(
            f"{text} lies before the window, which begins on {first}",
            hint=f"give {first}, or a later day",
            where=text,
        )
    if end and begins >= end:
        raise RequestError(
            f"{text} lies after the window, which ends before {end}: it would strike nothing",
            hint="choose an earlier day, or a later --until",
            where=text,
        )


def apply(
    fault: str, *, own: np.ndarray, others: np.ndarray, hashes: np.ndarray, spread: float
) -> np.ndarray:
    """The answers that a fault turns ``own`` into.

    Args:
        fault: ``scrambled_fit``: a row gets the model's answer for another row, chosen by the hash of its
            key; ``shifted_fit``: logit + 1, for a regression one ``spread`` more; with the suffix
            ``/regression`` for the latter.
        own: the model's answers, float64 (rows,).
        others: its answers for the rows before its cut-off, from which strangers are chosen, float64 (any,).
        hashes: hash of each row's key, uint64 (rows,).
        spread: standard deviation of the label.
    """
    if fault.startswith("scrambled_fit"):
        if not len(others):
            return own
        strangers: np.ndarray = others[(hashes % np.uint64(len(others))).astype(np.int64)]
        return strangers
    if fault == "shifted_fit/regression":
        return own + spread
    odds = np.clip(own, 1e-12, 1 - 1e-12)
    shifted: np.ndarray = 1 / (1 + np.exp(-(np.log(odds) - np.log1p(-odds) + 1)))
    return shifted
