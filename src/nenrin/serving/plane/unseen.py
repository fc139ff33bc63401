"""Refuses texts that a version was not trained on, where its deployment says ``unseen="refuse"``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nenrin.core.errors import UnseenTextError
from nenrin.training.columns import Vocabularies
from nenrin.training.records import Records

_SHOWN = 60  # characters of a text


def refuse_unseen(
    rows: Sequence[Mapping[str, Any]], vocabularies: Vocabularies, version: str
) -> None:
    """Refuse the first text that is in no vocabulary; null is none.

    Args:
        rows: what the version sees.
        vocabularies: the texts that its training saw.
        version: its id.

    Raises:
        UnseenTextError: it names the column and the text.
    """
    for name, known in vocabularies.items():
        if known is None:
            continue
        for text in _column(rows, name):
            if text is not None and text not in known:
                raise UnseenTextError(
                    f"{name} is {_spelt(text)}, which {version} was not trained on",
                    hint=f"it knows {len(known)} texts of {name}; null is a missing value",
                    where=name,
                )


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> Iterable[Any]:
    if type(rows) is Records:
        return rows.columns.get(name, ())
    return (row.get(name) for row in rows)


def _spelt(text: object) -> str:
    return repr(text if not isinstance(text, str) or len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
