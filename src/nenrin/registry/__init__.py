"""Versions of every kind: what can be judged, deployed, watched and rolled back."""
