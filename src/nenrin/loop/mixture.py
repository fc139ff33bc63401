"""A mixture: a version whose answer is shared out among the recipes' fits and the anchor.

Its content is its member list. Each slot holds one recipe's fit, the last the anchor; what part of an answer
a slot has moves day by day (:mod:`nenrin.loop.sharing`) and belongs to the slot, not to the fit in it, so a
refresh does not disturb it, and a roll-back does not rewrite it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from nenrin.core.digest import digest_bytes
from nenrin.loop.race import ANCHOR
from nenrin.loop.state import Artefact, Blend, Segment, State
from nenrin.registry.kinds.mixture import MemberContent, Mixture
from nenrin.registry.version import version_id
from nenrin.serving.router import Member

MIXTURE = "mixture"


def blend_of(state: State, version: str) -> Blend:
    """Who answers for a version now: of a mixture its good members, the shares of bad ones given to them."""
    artefact = state.artefacts[version]
    if not artefact.members:
        return (Member(artefact.recipe, version, 1.0),)
    shares = state.shares[dict(artefact.members)[ANCHOR]]
    return without_bad(
        state, tuple(Member(slot, each, shares[slot]) for slot, each in artefact.members)
    )


def without_bad(state: State, blend: Blend) -> Blend:
    """A blend without its bad members, whose shares go to the others in proportion.

    Where all are bad it stays as it is: something has to answer until another version is promoted.
    """
    good = [member for member in blend if member.version not in state.bad] or list(blend)
    whole = sum(member.share for member in good)
    return tuple(msgspec.structs.replace(member, share=member.share / whole) for member in good)


def routed(state: State, at: int, variants: Sequence[tuple[str, int]]) -> Segment:
    """A segment in which these versions answer, mixtures by the shares of now."""
    return Segment(
        start=at,
        variants=tuple(variants),
        blends=tuple(
            (version, blend_of(state, version))
            for version, _ in variants
            if version in state.artefacts and state.artefacts[version].members
        ),
        recalibration=state.recalibration,
    )


def compose(state: State, name: str, slots: Mapping[str, str], at: int) -> tuple[Artefact, Mixture]:
    """The mixture of these fits and the anchor, and its content.

    Args:
        state: knows the fits.
        name: what it is a version of.
        slots: the fit of each recipe that has one, in the recipes' order.
        at: the instant of the look that makes it.
    """
    members = (*slots.items(), (ANCHOR, state.anchor))
    fits = [state.artefacts[version] for _, version in members]
    content = Mixture(
        members=tuple(
            MemberContent(slot=slot, version=fit.version, content=fit.model)
            for (slot, _), fit in zip(members, fits, strict=True)
        )
    )
    model = digest_bytes(content.dumps())
    artefact = Artefact(
        version=version_id(name, MIXTURE, model, content.parents),
        model=model,
        recipe=MIXTURE,
        look=at,
        cutoff=max(fit.cutoff for fit in fits),
        members=members,
    )
    return artefact, content


def recipes_of(artefact: Artefact) -> list[str]:
    """The recipes that a version was fitted by: its own, or those of a mixture's members."""
    if not artefact.members:
        return [artefact.recipe]
    return [slot for slot, _ in artefact.members if slot != ANCHOR]


def fits_of(artefact: Artefact) -> list[str]:
    """The fits that answer for a version: itself, or a mixture's members."""
    return [version for _, version in artefact.members] or [artefact.version]


def seat(state: State) -> None:
    """Remember what the slots serve, after another mixture became champion or a fit turned bad."""
    champion = state.artefacts.get(state.champion)
    if champion is not None and champion.members:
        state.slots = {slot: each for slot, each in champion.members if slot != ANCHOR}
    state.slots = {slot: each for slot, each in state.slots.items() if each not in state.bad}
