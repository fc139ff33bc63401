"""Datasets: declared in a project file, loaded as immutable versions, read as they were known.

The way of a load: what the loader gives (``declare``) becomes a frame (``frames``) with instants
(``times``) in the frozen schema (``schema``); what is new (``versions``) is kept in files by known
day (``files``), named by their rows (``content``).
"""
