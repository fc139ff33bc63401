"""Kinds of versions: how the content of each is read and made to answer.

A kind of one's own is a class with the three members of :class:`Kind`, named in the entry point group
``nenrin.kinds`` or handed to the platform.
"""

from nenrin.registry.kinds.contract import Answerer, Answers, Kind, OpenContext
from nenrin.registry.kinds.installed import Kinds
from nenrin.registry.kinds.rows import RowAnswerer

__all__ = ["Answerer", "Answers", "Kind", "Kinds", "OpenContext", "RowAnswerer"]
