"""The label of one prediction: found by the row's key in the newest loads, with when it became known."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import numpy as np
import polars as pl

from nenrin.core.instants import NEVER, iso, spell
from nenrin.data.declare import Dataset, Shifted
from nenrin.data.service import DataService
from nenrin.serving.masks import Masks
from nenrin.serving.prediction import Prediction
from nenrin.training.asking import AskedRows, ask, row_keys
from nenrin.training.blocks import Blocks
from nenrin.training.declare import Model
from nenrin.training.labels import Labels, join_labels


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """What decides whether a label came in time.

    Attributes:
        settle: microseconds after its end at which a block closes; None where that is not known.
        now: the environment's instant.
    """

    settle: int | None
    now: int


def label_of(
    data: DataService,
    environment: str,
    model: Model,
    prediction: Prediction,
    closing: Closing,
    masks: Masks,
) -> dict[str, Any]:
    """What the newest loads know of a prediction's label, joined as a training would join it.

    Returns:
        ``of`` (the label as declared), ``key``, ``state``, ``says``; of a row that is loaded also ``label``
        (float or null), ``known``, ``corrections``, ``row`` and ``from`` (the loads), ``asked``, ``closes``.
        ``state`` is *no key*, *row not loaded*, *open*, *closed without*, *in time*, *late*, or, of rows
        without a time, which have no blocks, *known*.

    Raises:
        ProjectError: labels cannot be joined to the rows.
        NotFoundError: the rows or the labels were never loaded.
    """
    told: dict[str, Any] = {"of": str(model.label), "key": prediction.key}
    if not prediction.key:
        said = "the request had no key, so that no label can be joined to it"
        return {**told, "state": "no key", "says": said}
    answers = model.label_column.dataset
    loads = {"row": _load(data, environment, model.rows), "from": _load(data, environment, answers)}
    hashed = [n for n, name in enumerate(model.rows.declared.key) if name in prediction.masked]
    keyed = _Keyed(data, environment, prediction.key, hashed, masks)
    rows, labels = _rows(keyed, model), _labels(keyed, model)
    if not len(rows.keys):
        return {**told, **loads, "state": "row not loaded", "says": _absent(loads, labels)}
    label = join_labels(model, rows, labels)
    asked = int(rows.asked[0])
    closes = _closes(model, asked, closing)
    found = {
        "asked": iso(asked),
        "closes": None if closes is None else iso(closes),
        "label": None if label.answered[0] == NEVER else float(label.y[0]),
        "known": None if label.answered[0] == NEVER else iso(int(label.answered[0])),
        "corrections": _corrections(label),
    }
    state, says = _judged(int(label.answered[0]), closes, closing, loads["from"])
    return {**told, **loads, **found, "state": state, "says": says}


class _Keyed(NamedTuple):
    """Where the rows of a key are looked for; of a key with personal parts, which of them are ``hashed``."""

    data: DataService
    environment: str
    key: str
    hashed: list[int]
    masks: Masks

    def rows(self, dataset: Dataset, column: str | None) -> pl.DataFrame:
        """Every version of the row of that key: its key columns and one more."""
        spec = dataset.declared
        wanted = list(dict.fromkeys([*spec.key, *([column] if column else [])]))
        frame = self.data.frame(self.data.latest(self.environment, spec.name), columns=wanted)
        parts = [frame[spec.key[place]].cast(pl.String) for place in self.hashed]
        masked = [
            pl.Series(part.name, [self.masks.value(text, "hash") for text in part], pl.String)
            for part in parts
        ]
        return frame.filter(row_keys(dataset, frame.with_columns(masked)) == self.key)


def _rows(keyed: _Keyed, model: Model) -> AskedRows:
    """The row of that key, asked as a training would ask it; none where it is not loaded."""
    at = model.at.column if isinstance(model.at, Shifted) else model.at
    return ask(model, keyed.rows(model.rows, at.name if at else None))


def _labels(keyed: _Keyed, model: Model) -> pl.DataFrame:
    column = model.label_column
    return keyed.rows(column.dataset, column.name)


def _load(data: DataService, environment: str, dataset: Dataset) -> dict[str, Any]:
    """The newest load of a dataset."""
    version = data.latest(environment, dataset.declared.name)
    return {"dataset": version.dataset, "number": version.number, "version": version.id}


def _absent(loads: dict[str, dict[str, Any]], labels: pl.DataFrame) -> str:
    row = loads["row"]
    there = ", where its label waits for it" if labels.height else ""
    return (
        f"its row is not in load {row['number']} of {row['dataset']}{there}: "
        f"nenrin data load {row['dataset']}"
    )


def _closes(model: Model, asked: int, closing: Closing) -> int | None:
    """When the block closes in which a row was asked; None where rows have no time."""
    if model.rows.declared.time is None or closing.settle is None:
        return None
    blocks = Blocks(model.rows.declared.tz, asked, asked)
    block = int(blocks.of(np.array([asked], dtype=np.int64))[0])
    return int(blocks.edges[block + 1]) + closing.settle


def _corrections(label: Labels) -> list[dict[str, Any]]:
    """What the label became later; null where it was taken back."""
    return [
        {"known": iso(int(at)), "label": None if np.isnan(y) else float(y)}
        for at, y in zip(label.corrected_at, label.corrected_y, strict=True)
    ]


def _judged(
    answered: int, closes: int | None, closing: Closing, load: dict[str, Any]
) -> tuple[str, str]:
    """How the label stands to the closing of its block, and that in a sentence."""
    where = f"load {load['number']} of {load['dataset']}"
    if answered == NEVER:
        if closes is not None and closes <= closing.now:
            return "closed without", f"its block closed at {iso(closes)}, and {where} has none"
        return "open", f"{where} has none yet"
    if closes is None:
        return "known", f"in {where}; its rows have no blocks that close"
    if answered <= closes:
        return "in time", f"{spell(_seconds(closes - answered))} before its block closed"
    return "late", (
        f"{spell(_seconds(answered - closes))} after its block closed: it corrects reports and later "
        "trainings, never a past decision"
    )


def _seconds(us: int) -> int:
    """Whole seconds, as microseconds."""
    return us - us % 1_000_000
