"""The verdict: what the gates said about a challenger, with every number they used."""

from __future__ import annotations

from typing import Literal

import msgspec

from nenrin.core.errors import ProjectError

CheckOutcome = Literal["pass", "fail", "cannot decide"]


class Waiver(msgspec.Struct, frozen=True, kw_only=True):
    """A person's word that a check need not pass for a while.

    Attributes:
        check: name of the rule that is waived.
        name: who waives it.
        reason: why.
        until: the instant at which it ends, microseconds UTC.

    Raises:
        ProjectError: a waiver without a name or a reason.
    """

    check: str
    name: str
    reason: str
    until: int

    def __post_init__(self) -> None:
        if not self.check.strip() or not self.name.strip() or not self.reason.strip():
            raise ProjectError(
                "a waiver needs the check that it waives, a name and a reason",
                hint="say who waives which check, why, and until when",
                where=self.check,
            )


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One rule applied to a challenger.

    Attributes:
        name: the rule's name.
        rule: its CEL text.
        outcome: ``cannot decide`` where a number is missing: that is never a pass.
        numbers: the values that the rule used, by name.
        blocks: whether anything but a pass keeps the challenger out; else it warns.
        message: what the rule's author says about a failure.
        waived_by: name and reason of the waiver that lets it through all the same, or empty.
    """

    name: str
    rule: str
    outcome: CheckOutcome
    numbers: dict[str, float | bool | str] = {}
    blocks: bool = True
    message: str = ""
    waived_by: str = ""

    @property
    def admits(self) -> bool:
        """Whether this check lets the challenger through."""
        return self.outcome == "pass" or not self.blocks or bool(self.waived_by)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The recorded answer of the gates.

    Attributes:
        id: derived from everything else.
        deployment: the deployment that the challenger is for.
        judged: id of the version that was scored: the twin, never trained on the rows it is judged
            by.
        ships: id of the version that goes out if admitted: the refit.
        against: ids that it was compared with, by part: ``champion``, ``anchor``, ``baseline``.
        outcome: of the comparison with the champion; with the baseline where there is no champion.
        compared: ``paired``, or ``none`` where there was nothing to compare.
        admitted: whether the challenger may go out.
        checks: every rule that applied, in the policy's order.
        numbers: every number and word that the rules could use; None is a number that is not known.
        reason: one sentence for people.
        at: business instant, microseconds UTC.
    """

    id: str
    deployment: str
    judged: str
    ships: str
    against: dict[str, str]
    outcome: Literal["better", "worse", "undecided"]
    compared: Literal["paired", "none"]
    admitted: bool
    checks: tuple[Check, ...]
    numbers: dict[str, float | bool | str | None]
    reason: str
    at: int
