"""Imported once, by the process that data planes are forked from: what they all need.

A plane that serves compiled models never needs polars, which is larger than all else.
"""

from __future__ import annotations

from importlib import import_module

from nenrin.core.importing import importing, postpone

postpone("polars")
with importing():
    import_module("nenrin.plane")
