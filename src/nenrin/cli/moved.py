"""How ``nenrin why`` draws what moved an answer: a line a feature, the largest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import floor, log10
from typing import Any

from rich.text import Text
from rich.tree import Tree

from nenrin.cli.console import plain

Told = Mapping[str, Any]
_MOST = 8  # features of the whole answer
_OF_ONE = 3  # features of a member; --json has the rest


def moved(tree: Tree, told: Told) -> None:
    """The branch of an answer's parts, which add up to it."""
    if "members" not in told:
        tree.add(Text.assemble(("moved by", "bold"), f"  {told['says']}"))
        return
    said = f"starts at {told['base']:.5g}, ends at {told['answer']:.5g}"
    branch = tree.add(Text.assemble(("moved by", "bold"), f"  {said}"))
    if told["says"]:
        branch.add(Text(told["says"]))
    signed = _Signed(told)
    for value, what in _lines(told):
        branch.add(Text(f"{signed(value)}  {what}"))
    for each in told["members"]:
        if len(told["members"]) > 1 or "why" in each:
            branch.add(Text(_member(each, signed), style="dim"))


def _lines(told: Told) -> Iterator[tuple[float, str]]:
    """What moved the whole answer, each part with its name."""
    for part in told["contributions"][:_MOST]:
        value = "null" if part["value"] is None else plain(part["value"])
        yield part["contribution"], f"{part['feature']} {value}"
    rest = told["contributions"][_MOST:]
    if rest:
        yield _sum(rest), f"and {len(rest)} more"
    unexplained = [_name(each) for each in told["members"] if "why" in each]
    if unexplained:
        yield told["unexplained"], f"{', '.join(unexplained)}, not explained"
    if told["recalibration"]:
        yield told["recalibration"], "recalibration"


class _Signed:
    """Writes parts with their signs, all to the same place: the third digit of the largest."""

    def __init__(self, told: Told) -> None:
        largest = max((abs(part["contribution"]) for part in told["contributions"]), default=0.0)
        self._places = min(12, max(0, 2 - floor(log10(largest)))) if largest else 4

    def __call__(self, value: float) -> str:
        return f"{round(value, self._places) + 0.0:+.{self._places}f}"


def _member(each: Told, signed: _Signed) -> str:
    who = f"{each['share']:.1%} {_name(each)}"
    if "why" in each:
        return f"{who}: not explained: {each['why']}"
    parts = each["contributions"]
    moves = [f"{part['feature']} {signed(part['contribution'])}" for part in parts[:_OF_ONE]]
    if parts[_OF_ONE:]:
        moves.append(f"{len(parts) - _OF_ONE} more {signed(_sum(parts[_OF_ONE:]))}")
    return f"{who}: {each['answer']:.5g} from {each['base']:.5g}, {', '.join(moves)}"


def _name(each: Told) -> str:
    return ", ".join(each["slots"]) or str(each["version"])


def _sum(parts: Sequence[Told]) -> float:
    return float(sum(part["contribution"] for part in parts))
