"""Closing: when a block's labels are complete, the watch reads it; when a day's are, it is scored."""

from __future__ import annotations

from typing import Any

import numpy as np

from nenrin.core.digest import digest_arrays
from nenrin.core.instants import DAY, NEVER
from nenrin.loop.alarming import watch_answers
from nenrin.loop.deployed import Deployed
from nenrin.loop.fitting import refit
from nenrin.loop.mixture import fits_of
from nenrin.loop.ports import Step
from nenrin.loop.race import ANCHOR
from nenrin.loop.recalibrating import recalibrate
from nenrin.loop.rollout import reroute, roll_back
from nenrin.loop.schedule import next_at
from nenrin.loop.sharing import move_shares
from nenrin.loop.watching import close_watch, read_block


def close_block(deployed: Deployed, at: int, step: Step) -> None:
    """Close the next block, and its day if it is the day's last."""
    state = deployed.state
    block = state.next_block
    state.next_block = block + 1
    watch = state.watch
    if read_block(deployed, block) or (watch is not None and watch.wealth.alarms):
        if deployed.options.frozen is None:
            answer_alarm(deployed, at, step)
    elif watch is not None and watch.over(at, deployed.options.watch_for):
        close_watch(state, "over", step)
    if deployed.ground.ends_day(block):
        _close_day(deployed, deployed.ground.day_of(block), at, step)


def answer_alarm(deployed: Deployed, at: int, step: Step) -> None:
    """Roll back what the watch found harmful, and fit its recipes anew."""
    recipes = roll_back(deployed, at, step)
    if recipes and deployed.trains:
        refit(deployed, recipes, at, step)


def fit_again(deployed: Deployed, at: int, step: Step) -> None:
    """Fit the recipes whose version was rolled back as unsafe: nobody waited for fits then."""
    state = deployed.state
    recipes, state.refits, state.refit_at = state.refits, [], NEVER
    if deployed.trains:
        refit(deployed, recipes, at, step)


def _close_day(deployed: Deployed, day: int, at: int, step: Step) -> None:
    state, ground = deployed.state, deployed.ground
    state.next_day = day + 1
    lo, hi = ground.day_rows(day)
    if not state.segments or ground.day_start(day + 1) <= state.segments[0].start:
        return
    answers = deployed.served(lo, hi)
    losses = ground.losses(answers.p, lo, hi, at)
    counted = np.isfinite(losses)
    body: dict[str, Any] = {
        "rows": hi - lo,
        "labelled": int(np.count_nonzero(counted)),
        "loss": float(np.mean(losses[counted])) if counted.any() else None,
        "predictions": digest_arrays(deployed.counter.hashes[lo:hi], answers.p, answers.version),
        "labels": digest_arrays(ground.labels(lo, hi, at)),
        "versions": list(answers.versions),
    }
    if (worth := deployed.declared.value) is not None:
        y = ground.labels(lo, hi, at)[counted]
        body["value"] = float(np.sum(worth.of(y, answers.p[counted])))
    if shares := move_shares(deployed, day):
        body["shares"] = shares
    if deployed.task == "binary" and deployed.options.recalibrating:
        recalibrate(deployed, day, at)
        platt = state.recalibration
        body["recalibration"] = [platt.a, platt.b] if platt else None
    step.record("day.closed", ground.day_name(day), body)
    if deployed.options.frozen is None:
        reroute(deployed, at, step)
    if watch_answers(deployed, at, step) and state.pulled == NEVER and deployed.trains:
        _pull(deployed, at)
    _age(deployed, at, step)


def _pull(deployed: Deployed, at: int) -> None:
    """Pull the next look forward, unless that is too soon after the last."""
    state = deployed.state
    candidate = next_at(deployed, at)
    if candidate - state.last_look >= deployed.options.cooldown:
        state.pulled = candidate


def _age(deployed: Deployed, at: int, step: Step) -> None:
    """A ticket for a fit that has been served too long; nothing is forced. The anchor is there to be old."""
    state = deployed.state
    champion = deployed.artefact(state.champion)
    for version in [m for slot, m in champion.members if slot != ANCHOR] or fits_of(champion):
        age = at - deployed.artefact(version).look
        if age >= deployed.options.max_age and version not in state.ticketed:
            state.ticketed = [*state.ticketed, version]
            step.record("ticket.opened", version, {"cause": "age", "days": age // DAY})
