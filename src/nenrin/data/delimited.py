"""Text files of rows: which they are by their names."""

from __future__ import annotations

from pathlib import PurePath

SEPARATORS = {".csv": ",", ".tsv": "\t"}


def ending(path: str | PurePath) -> str:
    """The ending of a file's name that says its kind, ``.csv`` of ``a.CSV.gz``; ``""`` without one."""
    suffixes = [suffix.lower() for suffix in PurePath(path).suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""
