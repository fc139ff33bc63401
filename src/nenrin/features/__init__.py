"""Stage 3: feature views, point-in-time values, windows; one definition for training and for requests."""
