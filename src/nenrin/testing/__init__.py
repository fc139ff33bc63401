"""Public: contract suites for ports, and the fakes that pass them."""
