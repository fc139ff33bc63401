"""Models of other libraries: how each is written, read back, and asked for one number a row."""
