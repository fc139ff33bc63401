"""The project file: read, snapshot, and turned into a graph of the rooms' verbs."""
