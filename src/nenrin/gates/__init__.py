"""Evaluation and validation: comparison, slices, sanity, policy, verdicts; says yes or no once."""
