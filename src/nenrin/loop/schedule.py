"""When the loop looks: a grid of local times that never moves, and looks that alarms pull forward."""

from __future__ import annotations

from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from nenrin.core.instants import DAY, HOUR, NEVER, from_us, local_date, local_instant, to_us
from nenrin.loop.deployed import Deployed

MISSED = HOUR  # a look that was due longer ago was missed; one that a tick is late for was not


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
    if deployed.declared.refresh.cron:
        return cron_tick(deployed.declared.refresh.cron, deployed.ground.zone, after)
    clock, zone = deployed.declared.refresh.clock, deployed.ground.zone
    days = deployed.declared.refresh.period // DAY
    day = local_date(after, zone) + timedelta(days=days)
    return local_instant(day, clock, zone)


def cron_tick(expression: str, zone: str, after: int) -> int:
    """The first instant after ``after`` at which a cron expression comes in a zone; NEVER if none does."""
    local = from_us(after).astimezone(ZoneInfo(zone))
    ticks = (to_us(tick.astimezone(UTC)) for tick in CronSim(expression, local))
    # in the second pass of a doubled hour cronsim names a tick of the first, which is over
    return next((tick for tick in ticks if tick > after), NEVER)


def skip_missed_looks(deployed: Deployed, now: int) -> None:
    """Of the looks that were due after the newest row was asked, leave what ``catch_up`` says.

    Nothing happened between them: a loop that comes back after months looks once, unless it is to take them
    all, or none.
    """
    state, catch_up = deployed.state, deployed.declared.refresh.catch_up
    if catch_up == "all":
        return
    newest = int(deployed.ground.table.asked[-1])
    while NEVER > state.next_look > newest and grid_look(deployed, state.next_look) <= now:
        state.next_look = grid_look(deployed, state.next_look)
    if catch_up == "none" and newest < state.next_look < now - MISSED:
        state.next_look = grid_look(deployed, state.next_look)
