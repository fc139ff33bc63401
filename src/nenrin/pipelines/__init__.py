"""An engine only: graphs of named steps, their keys, plans and runs. It knows no stage."""
