"""Rows, labels and blocks, tasks, tuning, fitting, and model files."""
