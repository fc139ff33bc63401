"""Numbered steps of the schema, one sentence each; run by :mod:`nenrin.backends.sql.migrate`."""
