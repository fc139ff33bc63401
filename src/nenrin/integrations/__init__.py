"""Other people's formats and tools, each behind a room's port; none is built yet."""
