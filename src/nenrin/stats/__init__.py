"""Pure numpy statistics, one algorithm a file: they take arrays and know no rooms."""
