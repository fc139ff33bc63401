"""Counts what became of live requests, and keeps the counts in a file that a restart reads again.

Counting costs a request some additions. The file is written by a thread twice a second, if anything
was counted; a kill loses what was counted since.
"""

from __future__ import annotations

import logging
import math
import threading
from bisect import bisect_right
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from nenrin.core.timer import Timer
from nenrin.serving.deployments import Deployment
from nenrin.serving.observed import (
    ANSWER_BINS,
    Arm,
    Observed,
    Shadowed,
    Split,
    Standing,
    read_file,
)
from nenrin.serving.plane.breaker import Breaker
from nenrin.serving.router import Shadow
from nenrin.stats.latency import BINS, bet, bin_of, longer

PERIOD = 0.5
LOADS = "it is being loaded"
SPELL = 2.0  # longer than most stalls; a minute has enough of them for evidence
KEYS = 100_000
_SIDES = 2
FIRST_ANSWERS = 100

_logger = logging.getLogger(__name__)


class Spell:
    """What was asked within a short time. A stall strikes one spell, however many wait for it.

    Attributes:
        ends: from when on nothing joins it, once both sides were asked.
        last: when it ended, or its last answer came.
        waiting: asked in it, and not over yet.
        asked: the sides (is it mine?) that were asked.
        mine, theirs: its answers by bins of their seconds; none in time is the slowest.
    """

    __slots__ = ("asked", "ends", "last", "mine", "theirs", "waiting")

    def __init__(self, ends: float) -> None:
        self.ends = self.last = ends
        self.waiting = 0
        self.mine, self.theirs = [0] * BINS, [0] * BINS
        self.asked: set[bool] = set()


class Counting:
    """Counts one split. Used by one thread, the plane's event loop.

    Args:
        split: what it counts.
        timer: measures spells.
    """

    def __init__(self, split: Split, timer: Timer) -> None:
        self.split = split
        self._timer = timer
        self._spell: Spell | None = None
        self._seen: set[int] = set()
        self._first: list[float] = []

    def begin(self, mine: bool) -> Spell | None:
        """A side is asked: the spell that this belongs to, to be left when it is over; None: it is in none.

        What follows a spell is in none until all of it was answered, and for as long as a spell after that:
        a stall, or what waits behind one, does not reach two, unless it lasts longer than requests may. When
        a spell ends must not depend on how long answers take.
        """
        spell, now = self._spell, self._timer.wall()
        if spell is not None and now >= spell.ends and len(spell.asked) == _SIDES:
            if spell.waiting or now < spell.last + SPELL:
                return None
            self._end(spell)
            spell = None
        if spell is None:
            spell = self._spell = Spell(now + SPELL)
        spell.asked.add(mine)
        spell.waiting += 1
        return spell

    def _end(self, spell: Spell) -> None:
        """Bet on what a spell has brought; one in which a side only failed says nothing."""
        if any(spell.mine) and any(spell.theirs):
            held = self.split.slower.get("", [0.0, 0.0])
            self.split.spells += 1
            self.split.slower[""] = bet(held, longer(spell.mine, spell.theirs))

    def leave(self, spell: Spell | None) -> None:
        """What was asked in a spell is over."""
        if spell is not None:
            spell.waiting -= 1
            spell.last = max(spell.last, self._timer.wall())

    def unseen(self, text: str) -> bool:
        """Whether a key would be :meth:`fresh`."""
        return hash(text) not in self._seen

    def fresh(self, text: str) -> bool:
        """Whether a key was not counted yet: who comes again is on the same side, so it says nothing new.

        After 100,000 keys it forgets those before.
        """
        key = hash(text)
        if key in self._seen:
            return False
        if len(self._seen) >= KEYS:
            self._seen.clear()
        self._seen.add(key)
        return True

    def dealt(self, mine: bool) -> None:
        """A request was dealt to one of the two sides."""
        self._arm(mine).dealt += 1

    def answered(
        self, mine: bool, seconds: float | None, value: Any, spell: Spell | None = None
    ) -> None:
        """A side has answered; ``seconds`` None: it is not comparable."""
        arm = self._arm(mine)
        arm.answered += 1
        if seconds is not None:
            place = bin_of(seconds)
            arm.seconds[place] += 1
            if spell is not None:
                (spell.mine if mine else spell.theirs)[place] += 1
        if isinstance(value, int | float) and math.isfinite(value):
            self._answer(arm, float(value), mine)

    def failed(self, mine: bool) -> None:
        """A side has failed."""
        self._arm(mine).failed += 1
        self._arm(mine).faults += 1

    def late(self, mine: bool, spell: Spell | None) -> None:
        """A side had no answer in time: as evidence it is slow, for what is late is late together."""
        arm = self._arm(mine)
        arm.failed += 1
        arm.seconds[-1] += 1
        if spell is not None:
            (spell.mine if mine else spell.theirs)[-1] += 1

    def _arm(self, mine: bool) -> Arm:
        return self.split.mine if mine else self.split.theirs

    def _answer(self, arm: Arm, value: float, mine: bool) -> None:
        """Count an answer in its bin; what came before the edges were known only makes the edges."""
        if self.split.edges:
            arm.answers[bisect_right(self.split.edges, value)] += 1
        elif not mine:
            self._first.append(value)
            if len(self._first) >= FIRST_ANSWERS:
                at = np.arange(1, ANSWER_BINS) / ANSWER_BINS
                self.split.edges = np.quantile(self._first, at).tolist()
                self._first = []


class Observer:
    """The counts and breakers of a plane: they outlive the routes that they were made for.

    ``follow`` belongs to the thread that follows the routes; what it gives, to the event loop.

    Args:
        path: the plane's own file; None keeps nothing.
        timer: measures how long a version is left out.

    Attributes:
        environment: that of the deployments.
        problems: why deployments do not answer as their routes say, by name; replaced as a whole.
    """

    def __init__(self, path: Path | None, timer: Timer) -> None:
        self._path = path
        self._timer = timer
        before = read_file(path) if path else Observed()
        self.problems: Mapping[str, str] = {}
        self.environment = before.environment
        self._splits = [Counting(split, timer) for split in before.splits]
        self._standings = {(each.deployment, each.version): each for each in before.standings}
        self._shadows = {each.deployment: each for each in before.shadows}
        for each in before.shadows:  # what waited when the process ended is not scored any more
            each.dropped = each.offered - each.scored - each.failed
        self._breakers: dict[tuple[str, str], Breaker] = {}
        self._unloaded: dict[str, Mapping[str, str]] = {}
        self._written = b""
        self._stop = threading.Event()
        self._writer: threading.Thread | None = None
        if path is not None:
            self._writer = threading.Thread(target=self._write_on, name="observed", daemon=True)
            self._writer.start()

    def follow(self, deployment: Deployment) -> tuple[Counting | None, Mapping[str, Breaker]]:
        """What counts a deployment by its route of now, and the breakers of its versions.

        A pair of versions that shares requests no more is forgotten, as is that of an epoch that is over,
        and who stands in no route.
        """
        self.environment = deployment.environment
        name, route = deployment.name, deployment.route
        versions = [variant.version for variant in route.variants]
        versions += [deployment.previous] if deployment.previous else []
        breakers = {version: self._breaker(name, version) for version in versions}
        share = 1.0
        if route.challengers:
            challenger, champion = route.challengers[0], route.champion
            share = challenger.weight / (challenger.weight + champion.weight)
        self._breakers = {k: b for k, b in self._breakers.items() if k[0] != name} | {
            (name, version): breaker for version, breaker in breakers.items()
        }
        kept = [c for c in self._splits if c.split.deployment != name or _is_of(c, deployment)]
        found = [c for c in kept if c.split.deployment == name and c.split.share == share]
        if not found and deployment.pair and share > 0:
            subject, against = deployment.pair
            split = Split(
                deployment=name,
                subject=subject,
                against=against,
                epoch=deployment.epoch,
                share=share,
            )
            found = [Counting(split, self._timer)]
            kept += found
        self._splits = kept
        return (found[0] if found else None), breakers

    def loads(self, deployment: Deployment, unloaded: Mapping[str, str], opening: str = "") -> None:
        """Which versions of a deployment's route are not loaded, and why; and which is being opened.

        Of one that is opened once more, it is known why it did not load before.
        """
        self.environment = deployment.environment
        before = self._unloaded.get(deployment.name, {})
        known = {opening: before.get(opening, LOADS)} if opening else {}
        self._unloaded = self._unloaded | {deployment.name: {**unloaded, **known}}

    def shadowed(self, deployment: str, shadow: Shadow | None) -> Shadowed | None:
        """What counts for a deployment's shadow; one that has ended is forgotten."""
        kept = self._shadows.get(deployment)
        if shadow is None:
            self._shadows = {k: each for k, each in self._shadows.items() if k != deployment}
            return None
        if kept is None or (kept.version, kept.since) != (shadow.version, shadow.since):
            kept = Shadowed(deployment=deployment, version=shadow.version, since=shadow.since)
            self._shadows = self._shadows | {deployment: kept}
        return kept

    def observed(self) -> Observed:
        """What is counted so far."""
        known = {key: breaker.standing for key, breaker in self._breakers.items()}
        for name, versions in self._unloaded.items():
            for version, why in versions.items():
                kept = known.get((name, version), Standing(deployment=name, version=version))
                known[name, version] = msgspec.structs.replace(kept, unloaded=why)
        return Observed(
            environment=self.environment,
            splits=[each.split for each in self._splits],
            standings=[s for s in known.values() if s.opened or s.instead or s.unloaded],
            shadows=list(self._shadows.values()),
            problems={name: why for name, why in self.problems.items() if name},
        )

    def close(self) -> None:
        """Write what was counted; a plane that has ended has no problems, and leaves no version out."""
        self.problems, self._unloaded = {}, {}
        for breaker in self._breakers.values():
            breaker.standing.open = False
        self._stop.set()
        if self._writer is not None:
            self._writer.join()

    def _breaker(self, deployment: str, version: str) -> Breaker:
        key = (deployment, version)
        if key in self._breakers:
            return self._breakers[key]
        standing = self._standings.pop(key, Standing(deployment=deployment, version=version))
        return Breaker(self._timer, standing)

    def _write_on(self) -> None:
        ended = False
        while not ended:
            ended = self._stop.wait(PERIOD)
            try:
                self._write()
            except OSError as error:
                _logger.warning("the counts of live requests wait: %s", error)

    def _write(self) -> None:
        content = msgspec.json.encode(self.observed())
        if self._path is None or content == self._written:
            return
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(content)
        fresh.replace(self._path)
        self._written = content


def _is_of(counting: Counting, deployment: Deployment) -> bool:
    split = counting.split
    return (split.subject, split.against, split.epoch) == (
        *(deployment.pair or ()),
        deployment.epoch,
    )
