"""HTTP: the control application, the one process that holds a folder, and its client."""
