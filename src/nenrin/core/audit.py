"""The audit of the ledger: walks chains, compares their ends with what the state beside them has noted,
and says what the two cannot show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

import msgspec

from nenrin.core.errors import IntegrityError, NotFoundError, RequestError
from nenrin.core.ledger import Break, Event, Kept, verify
from nenrin.core.unit import Units

# numbers begin at 1, and what somebody inserted below is to be found too
_BEFORE_ALL = -(2**63)

_UNKNOWN = (
    "whether the ends of the ledger and of the state were rewritten together: only a head kept outside "
    "can show it (nenrin audit checkpoint)"
)
_YOUNGER = (
    "whether events after the head that was kept outside were cut off or rewritten with the state"
)

_NAMED = 3

Outside = Literal["not given", "holds", "missing"]


class ChainAudit(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in one environment.

    Attributes:
        environment: whose chain it is.
        events: number of events that were read.
        head: ``sequence:hash`` of the last of them; keep it outside, and give it to a later audit.
        breaks: every place where the chain does not hold.
        outside: whether the head that was kept outside is in the chain.
        holds: whether nothing is wrong.
        unknown: what this audit could not find out; empty if nothing.
    """

    environment: str
    events: int
    head: str
    breaks: tuple[Break, ...]
    outside: Outside
    holds: bool
    unknown: str


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in every environment that was asked for, and whether all of them hold."""

    holds: bool
    chains: tuple[ChainAudit, ...]


class Audit:
    """Verifies ledgers.

    Args:
        units: where the events are read.
    """

    def __init__(self, units: Units) -> None:
        self._units = units

    def verify(self, environment: str | None = None, head: str | None = None) -> AuditReport:
        """Walk the chain of one environment, or of all.

        Args:
            environment: whose chain; ``None``: all of them.
            head: a head of that environment that was kept outside, ``sequence:hash`` or the hash.

        Raises:
            NotFoundError: the environment has neither events nor state.
            RequestError: a head without the environment it belongs to.
        """
        before = self._units.kept()
        known = sorted({*before, *self._units.environments()})
        if environment is None:
            if head is not None:
                raise RequestError(
                    "a head belongs to one environment", hint="name it: --env dev --head …"
                )
            return self._report(known, {}, before)
        if environment not in known and head is None:
            raise NotFoundError(
                f"the environment {environment} has no events",
                hint=f"those with events: {', '.join(known) or 'none'}",
                where=environment,
            )
        heads = {} if head is None else {environment: head}
        return self._report([environment], heads, before)

    def compare(self, heads: Mapping[str, str], environment: str | None = None) -> AuditReport:
        """Walk the chains, and look for heads that were kept outside.

        Args:
            heads: environment to its head, ``sequence:hash``.
            environment: whose chain; ``None``: all that there are, and all that there were.

        Raises:
            RequestError: no head was kept of ``environment``.
        """
        if environment is not None and environment not in heads:
            raise RequestError(
                f"the checkpoint says nothing of {environment}",
                hint=f"it has {', '.join(sorted(heads)) or 'no environment'}",
                where=environment,
            )
        before = self._units.kept()
        known = {*before, *self._units.environments(), *heads}
        names = sorted(known) if environment is None else [environment]
        return self._report(names, heads, before)

    def _report(
        self, asked: list[str], heads: Mapping[str, str], before: Mapping[str, Kept]
    ) -> AuditReport:
        walked = [self._walk(name, heads.get(name), before.get(name, Kept())) for name in asked]
        after = self._units.kept()
        chains = tuple(_found(each, after.get(each.environment, Kept())) for each in walked)
        return AuditReport(holds=all(chain.holds for chain in chains), chains=chains)

    def _walk(self, environment: str, head: str | None, before: Kept) -> _Walk:
        reading = _Reading(self._units.events(environment, after=_BEFORE_ALL), head, before)
        last, breaks = verify(reading)
        return _Walk(environment, head, reading, last, breaks, before)


class _Walk(NamedTuple):
    """A chain that was read, and what the state noted of it before."""

    environment: str
    outside: str | None
    reading: _Reading
    last: str
    breaks: list[Break]
    before: Kept


def _found(walk: _Walk, after: Kept) -> ChainAudit:
    reading, outside = walk.reading, walk.outside
    breaks = [*walk.breaks, *([reading.problem] if reading.problem else _end(walk, after))]
    met: Outside = "not given" if outside is None else "holds" if reading.met else "missing"
    if met == "missing" and outside is not None:
        breaks += _missing(outside, reading.sequence)
    return ChainAudit(
        environment=walk.environment,
        events=reading.count,
        head=f"{reading.sequence}:{walk.last}",
        breaks=tuple(breaks),
        outside=met,
        holds=not breaks and met != "missing",
        unknown=_unknown(outside, reading),
    )


def _missing(head: str, newest: int) -> Iterator[Break]:
    """What became of the event of a head that was kept outside."""
    sequence, _, hash_ = head.rpartition(":")
    if not sequence.isdigit():
        return
    if newest < int(sequence):
        yield Break(
            newest + 1,
            f"event {sequence} was there when the head was kept: events were cut off the end",
        )
    else:
        yield Break(
            int(sequence),
            f"its hash was {hash_[:12]}… when the head was kept: it, or one before it, was rewritten",
        )


def _unknown(head: str | None, reading: _Reading) -> str:
    if head is None:
        return _UNKNOWN
    return _YOUNGER if reading.after_head else ""


def _end(walk: _Walk, after: Kept) -> Iterator[Break]:
    """Where the chain is not as the state has it, ``after`` the chain was read and before.

    Events may have been sealed in between: these are in the chain, or noted, or both.
    """
    reading, before = walk.reading, walk.before
    if before.sequence and not reading.noted:
        yield Break(
            before.sequence,
            "the state notes it as the newest, and it is not there: events were cut off or replaced",
        )
    if reading.sequence > after.sequence:
        yield Break(
            after.sequence + 1, "the state has not noted it: it was put there behind its back"
        )
    if after.rows and not reading.count and not before.sequence:
        yield Break(
            1, "the environment has state, and no event says how it came: they were removed"
        )
    elif after.untold:
        names = ", ".join(after.untold[:_NAMED])
        rest = f" and {len(after.untold) - _NAMED} more" if len(after.untold) > _NAMED else ""
        yield Break(
            reading.sequence + 1,
            f"the state has {names}{rest}, and no event tells of it: events were removed",
        )


class _Reading:
    """A chain's events on their way to be verified: counts them, and looks for two heads."""

    def __init__(self, events: Iterable[Event], head: str | None, kept: Kept) -> None:
        self._events = events
        self._head = head
        self._noted = f"{kept.sequence}:{kept.hash}"
        self.noted = False
        self.count = 0
        self.sequence = 0
        self.met = False
        self.after_head = 0
        self.problem: Break | None = None

    def __iter__(self) -> Iterator[Event]:
        try:
            for event in self._events:
                self.count += 1
                self.sequence = event.sequence
                named = f"{event.sequence}:{event.hash}"
                self.after_head += self.met
                self.met = self.met or self._head in (event.hash, named)
                self.noted = self.noted or self._noted == named
                yield event
        except IntegrityError as error:
            # the rest of the chain cannot be read past an event that cannot
            self.problem = Break(self.sequence + 1, error.message)
