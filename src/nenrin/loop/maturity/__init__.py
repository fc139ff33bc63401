"""Maturity: the items of Google's and Microsoft's models, each answered from the ledger and the state."""
