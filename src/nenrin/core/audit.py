"""The audit of the ledger: walks chains, and says what a chain alone cannot show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from nenrin.core.errors import IntegrityError, NotFoundError, RequestError
from nenrin.core.ledger import Break, Event, verify
from nenrin.core.unit import Units

# numbers begin at 1, and what somebody inserted below is to be found too
_BEFORE_ALL = -(2**63)

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
            NotFoundError: the environment has no events.
            RequestError: a head without the environment it belongs to.
        """
        known = self._units.environments()
        if environment is None:
            if head is not None:
                raise RequestError(
                    "a head belongs to one environment", hint="name it: --env dev --head …"
                )
            return _report([self._walk(name, None) for name in known])
        if environment not in known and head is None:
            raise NotFoundError(
                f"the environment {environment} has no events",
                hint=f"those with events: {', '.join(known) or 'none'}",
                where=environment,
            )
        return _report([self._walk(environment, head)])

    def _walk(self, environment: str, head: str | None) -> ChainAudit:
        reading = _Reading(self._units.events(environment, after=_BEFORE_ALL), head)
        last, breaks = verify(reading)
        if reading.problem:
            breaks.append(reading.problem)
        outside: Outside = "not given" if head is None else "holds" if reading.met else "missing"
        return ChainAudit(
            environment=environment,
            events=reading.count,
            head=f"{reading.sequence}:{last}",
            breaks=tuple(breaks),
            outside=outside,
            holds=not breaks and outside != "missing",
            unknown=""
            if head
            else "whether events were cut off the end: only a head kept outside can show it",
        )


def _report(chains: list[ChainAudit]) -> AuditReport:
    return AuditReport(holds=all(chain.holds for chain in chains), chains=tuple(chains))


class _Reading:
    """A chain's events on their way to be verified: counts them, and looks for an outside head."""

    def __init__(self, events: Iterable[Event], head: str | None) -> None:
        self._events = events
        self._head = head
        self.count = 0
        self.sequence = 0
        self.met = False
        self.problem: Break | None = None

    def __iter__(self) -> Iterator[Event]:
        try:
            for event in self._events:
                self.count += 1
                self.sequence = event.sequence
                self.met = self.met or self._head in (event.hash, f"{event.sequence}:{event.hash}")
                yield event
        except IntegrityError as error:
            # the rest of the chain cannot be read past an event that cannot
            self.problem = Break(self.sequence + 1, error.message)
