"""What a person asked for is not lost to a turn of the loop that came first: it is tried again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from nenrin.core.errors import OvertakenError
from nenrin.core.unit import Units
from nenrin.serving.service import ServingService

TIMES = 4  # a turn writes for minutes apart: whoever is overtaken more often meets something else

_LOG = logging.getLogger(__name__)
T = TypeVar("T")


def insist(command: Callable[[], T], premise: Callable[[], object]) -> T:
    """Run a command; one that was overtaken is run again, as long as its premise holds.

    Args:
        command: reads anew what it works from, and writes everything or nothing.
        premise: what the person saw when they decided; compared with what it was before the first time.

    Raises:
        OvertakenError: what they saw is not so any more, or others came first :data:`TIMES` times.
    """
    before = premise()
    for _ in range(TIMES - 1):
        try:
            return command()
        except OvertakenError as error:
            if premise() != before:
                raise
            _LOG.info("done again: %s", error)
    return command()


def served(
    units: Units, serving: ServingService, environment: str, deployment: str
) -> tuple[str, ...]:
    """Which versions answer, the champion first: what a promotion or a roll-back is decided on."""
    with units.read(environment) as unit:
        found = serving.current(unit, deployment)
    if found is None:
        return ()
    return (found.champion, *(variant.version for variant in found.route.variants))
