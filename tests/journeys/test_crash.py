"""A run that is killed goes on where it was: nothing recorded is lost, nothing recorded is run again."""

from __future__ import annotations

import random
from pathlib import Path

from tests.journeys.crashing import TARGETS, Crashing, project


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    """Each target in the middle of the run; the long form has 200 points and 50 steps."""
    crashing = Crashing(tmp_path, project(3, 3))
    expected, _ = crashing.whole()
    draw = random.Random(7)
    for target in TARGETS:
        outcome = crashing.kill(draw.randint(3, 7), target, expected)
        assert 0 < outcome.recorded < len(expected)
        assert outcome.again > 0
