"""Requests that nobody would write: short here, long by hand."""
