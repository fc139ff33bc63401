"""Assess an environment: each item's state, the levels reached, and the cheapest next steps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from nenrin.core.environment import DEFAULT
from nenrin.core.instants import DAY, iso
from nenrin.loop.maturity.facts import Facts, Sign
from nenrin.loop.maturity.google import GOOGLE
from nenrin.loop.maturity.items import Item, Next, Scale
from nenrin.loop.maturity.microsoft import MICROSOFT
from nenrin.loop.maturity.needs import NEW_LABELS, RUN

SCALES = (GOOGLE, MICROSOFT)
RECENT = 90
UNKNOWN = "not nenrin's to know"
CONFIGURED = frozenset({"configured", "proven"})
PROVEN = frozenset({"proven"})


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """An item as it stands.

    Attributes:
        item: which.
        state: ``proven``, ``configured``, ``missing`` or ``not nenrin's to know``.
        shown: the newest sign of it; None: there is none.
        on: what switches it on, as far as it is.
        next: the step that makes it proven or configured; None where it is proven or cannot be known.
    """

    item: Item
    state: str
    shown: Sign | None = None
    on: str = ""
    next: Next | None = None

    @property
    def counts(self) -> bool:
        """Whether the level depends on it."""
        return self.state != UNKNOWN and not self.item.optional


def assess(facts: Facts, scales: Iterable[Scale] = SCALES) -> dict[str, Any]:
    """The maturity of one environment, in plain values.

    Returns:
        ``environment``, ``now``, ``days`` (an event that is older proves nothing any more), ``scales``
        (``name``, ``highest``, ``configured``, ``proven``, ``items``) and ``next``: the steps for what the
        next levels lack, the cheapest first, each with the items that it is for.
    """
    found = [(scale, [look_at(item, facts) for item in scale.items]) for scale in scales]
    return {
        "environment": facts.environment,
        "now": iso(facts.now),
        "days": RECENT,
        "scales": [
            {
                "name": scale.name,
                "highest": scale.highest,
                "configured": reached(scale, items, CONFIGURED),
                "proven": reached(scale, items, PROVEN),
                "items": [_plain(each, facts) for each in items],
            }
            for scale, items in found
        ],
        "next": _next(found, facts),
    }


def look_at(item: Item, facts: Facts) -> Found:
    """One item's state."""
    if item.shown is None:
        return Found(item=item, state=UNKNOWN)
    shown = item.shown(facts)
    if shown is not None and (shown.stands or shown.at >= facts.now - RECENT * DAY):
        return Found(item=item, state="proven", shown=shown)
    lacking = next((need for need in item.needs if not need.holds(facts)), None)
    if lacking is not None:
        return Found(item=item, state="missing", shown=shown, next=lacking.begin)
    on = ", ".join(need.says for need in item.needs)
    # a run that has nothing due brings nothing: what is too old comes again with a refresh
    again = item.show if shown is None or item.show is not RUN else NEW_LABELS
    return Found(item=item, state="configured", shown=shown, on=on, next=again)


def reached(scale: Scale, items: Iterable[Found], states: frozenset[str]) -> int:
    """The highest level whose items, and those of the levels below it, are all in one of the states."""
    lacking = [each.item.level for each in items if each.counts and each.state not in states]
    return min(lacking, default=scale.highest + 1) - 1


def _next(found: Iterable[tuple[Scale, list[Found]]], facts: Facts) -> list[dict[str, Any]]:
    """What the level after the one that is configured, and the one after that which is proven, lack."""
    steps: dict[tuple[int, str, str], list[str]] = {}
    for scale, items in found:
        configured, proven = (reached(scale, items, each) + 1 for each in (CONFIGURED, PROVEN))
        for each in items:
            level, missing = each.item.level, each.state == "missing"
            if each.next and each.counts and (level <= proven or (missing and level <= configured)):
                step = each.next
                key = (step.cost, spelled(step, facts), step.when)
                steps.setdefault(key, []).append(each.item.id)
    ordered = sorted(steps.items(), key=lambda step: (step[0][0], -len(step[1])))
    return [{"step": step, "when": when, "items": ids} for (_, step, when), ids in ordered]


def spelled(step: Next, facts: Facts) -> str:
    """A step's words in this environment."""
    here = facts.environment
    return step.step.format(
        env="" if here == DEFAULT else f" --env {here}",
        other="prod" if here != "prod" else DEFAULT,
        day=facts.fault_day or "YYYY-MM-DD",
    )


def _plain(found: Found, facts: Facts) -> dict[str, Any]:
    item, shown, step = found.item, found.shown, found.next
    return {
        "id": item.id,
        "level": item.level,
        "text": item.text,
        "state": found.state,
        "optional": item.optional,
        "shown": shown and {**msgspec.to_builtins(shown), "at": iso(shown.at)},
        "on": found.on,
        "next": step and {"step": spelled(step, facts), "when": step.when},
        "outside": item.outside,
    }
