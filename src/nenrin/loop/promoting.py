"""Another champion without a race: an archived version, what the gate may ask about it, what is left."""

from __future__ import annotations

from datetime import datetime

from nenrin.core.errors import NotFoundError, RefusedError
from nenrin.core.instants import NEVER, to_us
from nenrin.core.store import ContentStore
from nenrin.gates.evidence import Evidence
from nenrin.loop.deployed import Deployed, Options
from nenrin.loop.evidence import JUDGED_DAYS, gather
from nenrin.loop.mixture import fits_of, recipes_of, routed, seat
from nenrin.loop.opening import open_deployed
from nenrin.loop.ports import Prepared
from nenrin.loop.state import Artefact, Segment, State
from nenrin.loop.timeless import kept_evidence
from nenrin.registry.version import Version


def archived(state: State, found: Version, prepared: Prepared) -> Artefact:
    """A registered version as the loop knows its fits: remembered, or read from what it was made from.

    Raises:
        NotFoundError: it is no fit of this deployment's model.
        RefusedError: it is marked bad, or reads columns that the rows do not have any more.
    """
    if found.status == "bad" or found.id in state.bad:
        raise RefusedError(
            f"{found.id} is marked bad", hint="nenrin why tells why; choose another version"
        )
    known = state.artefacts.get(found.id)
    if known is not None and known.members:
        _check_members(found, [state.artefacts[fit] for fit in fits_of(known)], prepared)
        return known
    said = dict(parent.split(":", 1) for parent in found.parents if ":" in parent)
    if found.name != prepared.served.model or not {"recipe", "look", "cutoff"} <= said.keys():
        raise NotFoundError(
            f"{found.id} is no fit of model {prepared.served.model!r}",
            hint=f"nenrin models list {prepared.served.model} shows those there are",
        )
    if not prepared.trainer.scorable(found.content):
        raise _too_old(found)
    return known or Artefact(
        version=found.id,
        model=found.content,
        recipe=said["recipe"],
        look=to_us(datetime.fromisoformat(said["look"])),
        cutoff=to_us(datetime.fromisoformat(said["cutoff"])),
    )


def _check_members(found: Version, fits: list[Artefact], prepared: Prepared) -> None:
    if not all(prepared.trainer.scorable(fit.model) for fit in fits):
        raise _too_old(found)


def _too_old(found: Version) -> RefusedError:
    return RefusedError(
        f"{found.id} reads columns that the rows do not have any more",
        hint=f"go back to the code that made it, {found.revision}, and run that",
    )


def evidence_for(
    prepared: Prepared,
    state: State,
    artefact: Artefact,
    now: int,
    options: Options,
    answers: ContentStore,
) -> Evidence:
    """What its answers to rows that it had not seen say, beside champion, anchor and baseline."""
    if not prepared.timed:
        return kept_evidence(prepared, state, artefact, now, answers)
    deployed: Deployed = open_deployed(prepared, now, options, state)
    return gather(
        deployed,
        artefact,
        deployed.closed_days(JUDGED_DAYS),
        champion=deployed.artefact(state.champion),
        change="promote",
    )


def leave(state: State, left: str, champion: str, now: int) -> list[str]:
    """Remember a roll-back by hand: what was left is bad, and its recipes on probation.

    Returns:
        the fits that are bad with a mixture: those that the version served again has not.
    """
    if left == champion or left not in state.artefacts:
        lead(state, champion, now)
        return []
    again = state.artefacts.get(champion)
    kept = {state.anchor, *(fits_of(again) if again else ())}
    fits = [each for each in fits_of(state.artefacts[left]) if each not in kept and each != left]
    state.bad = list(dict.fromkeys([*state.bad, left, *fits]))
    state.probation = list(dict.fromkeys([*state.probation, *recipes_of(state.artefacts[left])]))
    lead(state, champion, now)
    return fits


def lead(state: State, champion: str, now: int) -> Segment:
    """Another champion for all requests from now on: canary and watch are over."""
    state.champion = champion
    state.watch, state.pending, state.stage_at, state.stages_left = None, None, NEVER, ()
    seat(state)
    return extend(state, now, ((champion, 100),))


def extend(state: State, now: int, variants: tuple[tuple[str, int], ...]) -> Segment:
    """Answer by ``variants`` from now on, by the shares of now."""
    at = max(now, state.segments[-1].start) if state.segments else now
    segment = routed(state, at, variants)
    state.segments = [*state.segments, segment]
    return segment
