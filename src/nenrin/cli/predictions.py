"""``nenrin predictions``: what was answered, as the log has it."""

from __future__ import annotations

from nenrin.cli.replay_check import check
from nenrin.cli.session import commands

app = commands()


@app.callback()
def predictions() -> None:
    """What was answered, as the log has it."""


app.command()(check)
