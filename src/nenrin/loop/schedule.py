"""When the loop looks: a grid of local times that never moves, and looks that alarms pull forward."""

from __future__ import annotations

from datetime import timedelta

from nenrin.core.instants import DAY, NEVER, local_date, local_instant
from nenrin.loop.deployed import Deployed


def next_at(deployed: Deployed, after: int) -> int:
    """The next local time of a look that is later than ``after``."""
    clock, zone = deployed.declared.refresh.clock, deployed.ground.zone
    day = local_date(after, zone)
    instant = local_instant(day, clock, zone)
    return instant if instant > after else local_instant(day + timedelta(days=1), clock, zone)


def grid_look(deployed: Deployed, after: int) -> int:
    """The look after the scheduled one at ``after``: a whole period of local days later.

    Where nothing is trained, a look has nothing to refresh: there is none.
    """
    if not deployed.trains:
        return NEVER
    clock, zone = deployed.declared.refresh.clock, deployed.ground.zone
    days = deployed.declared.refresh.period // DAY
    day = local_date(after, zone) + timedelta(days=days)
    return local_instant(day, clock, zone)


def skip_missed_looks(deployed: Deployed, now: int) -> None:
    """Of the looks that were due after the newest row was asked, leave only the last one up to ``now``.

    Nothing happened between them: a loop that comes back after months looks once.
    """
    state = deployed.state
    newest = int(deployed.ground.table.asked[-1])
    while NEVER > state.next_look > newest and grid_look(deployed, state.next_look) <= now:
        state.next_look = grid_look(deployed, state.next_look)
