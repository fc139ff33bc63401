"""Imported once, by the process that data planes are forked from: what they all need.

A plane that serves compiled models never needs polars, which is larger than all else. Each has one thread for
numbers, unless the environment says otherwise: a second one spins while it waits, on a core that others need.
"""

from __future__ import annotations

import os
from importlib import import_module

from nenrin.core.importing import ONE_THREAD, importing, postpone

for variable, one in ONE_THREAD.items():  # before what reads them is imported
    os.environ.setdefault(variable, one)
postpone("polars")
with importing():
    import_module("nenrin.plane")
