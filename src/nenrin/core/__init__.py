"""What every room stands on: errors, instants, calendars, ids, the ledger and the content store."""
