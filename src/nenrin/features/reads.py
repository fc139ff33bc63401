"""Which columns each feature of a model is read from."""

from __future__ import annotations

from nenrin.features.service import FeatureSet
from nenrin.features.traced import Traced
from nenrin.features.tree import Column, Node, walk


def columns_of(features: FeatureSet) -> dict[str, tuple[str, set[str]]]:
    """For each feature, the dataset of its view (``""``: the model's own rows) and the columns that it reads.

    A view whose function runs row by row is not looked into: each of its features reads them all.
    """
    found: dict[str, tuple[str, set[str]]] = {}
    for part in features.parts.values():
        traced = part.traced
        for name in part.names:
            read = set(traced.columns) if traced.python else _read(traced, traced.features[name])
            found[name] = (traced.dataset if traced.by else "", read)
    return found


def _read(traced: Traced, feature: Node) -> set[str]:
    windows = {f"__window_{place}__": window for place, window in enumerate(traced.windows)}
    read: set[str] = set()
    for node in walk(feature):
        if not isinstance(node, Column):
            continue
        if node.name not in windows:
            read.add(node.name)
        elif (of := windows[node.name].of) is not None:
            read |= {each.name for each in walk(of) if isinstance(each, Column)}
    return read
