"""Adapters for the ports of the rooms: SQL, content stores, compute. Chosen by the platform."""
