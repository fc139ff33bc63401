"""What a backtest is asked to do, read before any work begins, and the environment that it gets."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from nenrin.core.digest import derived_id
from nenrin.core.errors import RequestError
from nenrin.data.faults import DataFault, is_data_fault
from nenrin.loop.faults import Injection, must_lie
from nenrin.loop.policies import check_policies
from nenrin.loop.ports import Prepared
from nenrin.loop.window import read_date

PARTS = ("watch", "recalibration")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked.

    Attributes:
        from_, until: the window's dates, empty where left out.
        inject: faults.
        without: parts that are left out.
        policies: what the loop is measured against; empty: the usual.
        matrix: whether the loss of every fit in every week is wanted.
    """

    from_: str = ""
    until: str = ""
    inject: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    matrix: bool = False


def read_asked(
    from_: str | None = None,
    until: str | None = None,
    inject: Sequence[str] = (),
    without: Sequence[str] = (),
    policies: Sequence[str] = (),
    matrix: bool = False,
) -> Asked:
    """What was asked, when it can be done.

    Raises:
        RequestError: a date is none, the window has no day, a fault, a part or a policy is not known, or a
            fault lies outside the dates that were given.
    """
    first = read_date(from_) if from_ else None
    end = read_date(until) if until else None
    if first and end and end <= first:
        raise RequestError(
            f"a backtest from {first} until {end} has no day to replay",
            hint="until is the day after the last one served: give a later one",
        )
    for text in inject:
        must_lie(text, fault_of(text).day, first, end)
    for part in without:
        if part not in PARTS:
            raise RequestError(
                f"{part!r} is no part that a backtest can leave out",
                hint=f"what can be left out: {', '.join(PARTS)}",
                where=part,
            )
    check_policies(policies)
    return Asked(
        from_=from_ or "",
        until=until or "",
        inject=tuple(inject),
        without=tuple(without),
        policies=tuple(policies),
        matrix=matrix,
    )


def fault_of(text: str) -> Injection | DataFault:
    """The fault that a text names: of the data, or of fits.

    Raises:
        RequestError: it names none.
    """
    return DataFault.parse(text) if is_data_fault(text) else Injection.parse(text)


def name_of_question(prepared: Prepared, asked: Asked) -> str:
    """A backtest's id where it is the first of its question."""
    return derived_id(
        "bt",
        prepared.project,
        prepared.declared.name,
        prepared.data,
        msgspec.to_builtins(asked),
    )


def environment_of(prepared: Prepared, asked: Asked, taken: list[str]) -> str:
    """A name for a replay: the same for the same question, with a number for every time it is asked."""
    name = name_of_question(prepared, asked)
    times = sum(1 for other in taken if other.startswith(f"backtest/{name}"))
    return f"backtest/{name}" if not times else f"backtest/{name}-{times + 1}"
