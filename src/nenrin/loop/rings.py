"""Rings: every turn of the loop, told from the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import Any

from nenrin.core.instants import iso
from nenrin.core.ledger import Event
from nenrin.loop.noted import Noted

Ring = dict[str, Any]

_OUTCOMES = MappingProxyType(
    {
        "alarm": "rolled back",
        "unsafe": "rolled back",
        "replaced": "replaced by the next",
        "over": "watched to the end",
    }
)


def rings(events: Iterable[Event], deployment: str | None = None) -> list[Ring]:
    """The rings of an environment, oldest first.

    Each has what its event says (``ring``, ``trigger``, ``chosen``, ``ships``; of a race ``best``,
    ``elected``, ``means``, ``standings``; of a mixture ``standings``, ``shares``; of broken data ``checks``)
    and:

    - ``at``, ``deployment``;
    - ``evidence``: what set it off (:meth:`nenrin.loop.noted.Noted.evidence`);
    - ``data``: by dataset the newest ``load``, and ``rows``, the digest of those known at the look;
    - ``fits``: by recipe the ``version``, and the ``flaws`` that refused it;
    - ``verdicts``: each with its ``recipe``, its checks and every number;
    - ``rollout``: instants, weights and reasons;
    - ``watch``: against what, its margin and clip, and once it is closed its outcome, blocks and wealth, and
      a roll-back took back, None where nothing was watched;
    - ``outcome``, and where ``nr.value`` was declared ``value``: what the answers of the closed days were
      worth at whose end its version served.
    """
    found: list[Ring] = []
    by_version: dict[str, Ring] = {}
    noted = Noted()
    for event in events:
        noted.note(event)
        if event.kind in ("look.taken", "look.blocked"):
            ring = _turned(event, noted)
            found.append(ring)
            noted.turned(ring)
            if ring["ships"] and ring["outcome"] == "":
                by_version[ring["ships"]] = ring
        elif event.kind.startswith("deployment."):
            _rolled_out(event, by_version)
        elif event.kind in _LATER:
            _LATER[event.kind](event, by_version)
    for ring in found:
        ring["outcome"] = ring["outcome"] or ("served" if ring["rollout"] else "decided")
    return [ring for ring in found if deployment in (None, ring["deployment"])]


def brief(ring: Ring) -> Ring:
    """A ring whose verdicts are without checks and numbers: ``nenrin why VERDICT`` has them."""
    left_out = ("checks", "numbers")
    verdicts = [
        {name: value for name, value in verdict.items() if name not in left_out}
        for verdict in ring["verdicts"]
    ]
    return {**ring, "verdicts": verdicts}


def _turned(event: Event, noted: Noted) -> Ring:
    """A turn as it stood when it was taken."""
    body, fits = event.body, event.body.get("fits", {})
    ring: Ring = {
        "ring": None,
        "ships": None,
        **body,
        "at": iso(event.at),
        "deployment": event.subject,
        "evidence": noted.evidence(event),
        "data": noted.data(fits.values()),
        "fits": noted.fits(fits),
        "verdicts": noted.verdicts(body.get("verdicts", ()), fits),
        "rollout": [],
        "watch": None,
        "outcome": "",
    }
    if event.kind == "look.blocked":
        ring["outcome"] = "blocked by data"
    elif not ring["ships"] or (ring["ships"] == body.get("champion") and not ring["chosen"]):
        ring["outcome"] = "refused"
    elif ring["ships"] == body.get("champion"):
        ring["outcome"] = "unchanged"
    return ring


def _earned(event: Event, by_version: dict[str, Ring]) -> None:
    """Give a day's worth to the ring whose version served at its end."""
    served = event.body.get("versions") or [""]
    ring = by_version.get(served[-1])
    if ring is not None and "value" in event.body:
        ring["value"] = ring.get("value", 0.0) + event.body["value"]


def _watched(event: Event, by_version: dict[str, Ring]) -> None:
    """Give the beginning of a watch to the ring whose version is watched."""
    if ring := by_version.get(event.subject):
        ring["watch"] = {
            "against": event.body.get("ref"),
            "margin": event.body.get("margin"),
            "cap": event.body.get("cap"),
            "opened": iso(event.at),
        }


def _closed(event: Event, by_version: dict[str, Ring]) -> None:
    """Give the end of a watch to its ring, with what its bets held."""
    if ring := by_version.get(event.subject):
        body = event.body
        ring["outcome"] = _OUTCOMES[body["outcome"]]
        ring["watch"] = {
            **(ring["watch"] or {}),
            "closed": iso(event.at),
            "outcome": body["outcome"],
            "blocks": body.get("blocks"),
            "wealth": body.get("wealth"),
        }


def _taken_back(event: Event, by_version: dict[str, Ring]) -> None:
    """Give what a roll-back did to the ring whose watch alarmed."""
    if ring := by_version.get(event.subject):
        done = {name: event.body.get(name) for name in ("to", "bad", "probation")}
        if "safety" in event.body:
            done["safety"] = event.body["safety"]
        ring["watch"] = {**(ring["watch"] or {}), "rolled_back": done}


_LATER: MappingProxyType[str, Callable[[Event, dict[str, Ring]], None]] = MappingProxyType(
    {
        "day.closed": _earned,
        "watch.opened": _watched,
        "watch.closed": _closed,
        "rollout.rolled_back": _taken_back,
    }
)


def _rolled_out(event: Event, by_version: dict[str, Ring]) -> None:
    """Give the event to the ring of the version that it brings, or of those that it takes away."""
    what, reason = event.kind.split(".", 1)[1], event.body.get("reason", "")
    said = {"at": iso(event.at), "what": what, "reason": reason}
    if what == "rolled_back":
        for version in event.body.get("left") or []:
            if version in by_version:
                ring = by_version[version]
                ring["rollout"].append({**said, "weight": 0})
                ring["outcome"] = "rolled back"
        return
    route = event.body.get("route") or []
    newest = route[-1] if route else {"version": ""}
    if newest["version"] in by_version:
        by_version[newest["version"]]["rollout"].append({**said, "weight": newest["weight"]})
