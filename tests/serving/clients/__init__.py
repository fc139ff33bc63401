"""Clients that cannot be installed beside the rest, each run by an interpreter of its own."""
