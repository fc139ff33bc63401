"""The command line: one file a room, always a client of the process that holds the folder."""
