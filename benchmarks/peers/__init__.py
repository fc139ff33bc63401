"""Servers of other projects, each in an environment of its own, written as their documents say."""
