"""nenrin: the MLOps platform that closes the loop."""
