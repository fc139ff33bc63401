"""State and ledger in SQL: one adapter file a room, over one unit of work."""
