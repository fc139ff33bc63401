"""The examples in the docstrings of pure functions are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

ROOMS = ("nenrin.stats", "nenrin.gates", "nenrin.monitoring")

MODULES = [
    f"{room}.{module.name}"
    for room in ROOMS
    for module in pkgutil.iter_modules(importlib.import_module(room).__path__)
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
