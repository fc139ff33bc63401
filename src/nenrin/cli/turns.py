"""How ``nenrin rings`` draws turns of the loop: a line each, or everything that is known of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from nenrin.cli.console import number, plain, short, table, when

Ring = Mapping[str, Any]


def turns(rings: Sequence[Ring]) -> RenderableType:
    """A line for each turn; the deployment is named where there are several."""
    several = len({ring["deployment"] for ring in rings}) > 1
    return table(
        [{**ring, "why": _why(ring)} for ring in rings],
        ("ring", "ring", number),
        ("at", "at", when),
        *([("deployment", "deployment", plain)] if several else []),
        ("trigger", "trigger", plain),
        ("chosen", "recipe", plain),
        ("ships", "version", plain),
        ("outcome", "outcome", plain),
        *([("value", "value", _worth)] if any("value" in ring for ring in rings) else []),
        ("why", "why", plain),
        empty="the loop has not turned here yet; a backtest has rings of its own: --env backtest/ID",
    )


def in_full(rings: Sequence[Ring]) -> RenderableType:
    """Everything of these turns: of each deployment the one of a number."""
    return Group(*(_tree(ring) for ring in rings))


def _tree(ring: Ring) -> Tree:
    head = f"  {ring['deployment']}, {when(ring['at'])}, {ring['outcome']}"
    tree = Tree(Text.assemble((f"ring {number(ring['ring'])}", "bold"), head), guide_style="dim")
    _add(tree, "trigger", _said(plain(ring["trigger"]), _evidence(ring["evidence"])))
    for name, data in ring["data"].items():
        rows = f"rows known then {short(data['rows'])}" if "rows" in data else ""
        _add(tree, "data", _said(name, plain(data["load"]), rows))
    if ring.get("params"):
        _add(tree, "parameters", _values(ring["params"]))
    for recipe, fit in ring["fits"].items():
        flaws = f"refused: {'; '.join(fit['flaws'])}" if fit["flaws"] else ""
        _add(tree, "fit", _said(recipe, fit["version"], flaws))
    for recipe, mean in (ring.get("means") or {}).items():
        _add(tree, "mean loss", _said(recipe, plain(mean)))
    for recipe, standing in (ring.get("standings") or {}).items():
        _add(tree, "stands", _said(recipe, _values(standing)))
    if ring.get("shares"):
        _add(tree, "shares", _values(ring["shares"]))
    for verdict in ring["verdicts"]:
        _verdict(tree, verdict)
    chosen = f"serves {ring['ships']}" if ring["ships"] else ""
    _add(tree, "chosen", _said(plain(ring.get("chosen")) or "none", chosen))
    for each in ring["rollout"]:
        weight = f"{each['weight']} %"
        _add(tree, "rollout", _said(when(each["at"]), each["what"], weight, each["reason"]))
    if ring["watch"]:
        _add(tree, "watch", ", ".join(_watch(ring["watch"])))
    if "value" in ring:
        _add(tree, "value", _worth(ring["value"]))
    return tree


def _verdict(tree: Tree, verdict: Mapping[str, Any]) -> None:
    """A verdict, with all that it was compared with, its checks and its numbers."""
    said = _said(f"{verdict['recipe']}, {verdict['reason']}", verdict["id"])
    branch = _add(tree, "verdict", said)
    _add(branch, "judged", _said(verdict["judged"], f"ships {verdict['ships'] or 'nothing'}"))
    for part in ("against", "checks", "numbers"):
        if verdict[part]:
            _add(branch, part, _values(verdict[part]))


def _evidence(evidence: Mapping[str, Any]) -> str:
    """What set a turn off, in words."""
    if "alarm" in evidence:
        words = f"{evidence['alarm']} at {when(evidence['at'])}: {evidence['text']}"
        return f"{words} ({_values(evidence['numbers'])})"
    if "labels" in evidence:
        before = f" after {number(evidence['before'])}" if evidence["before"] else ""
        return f"{number(evidence['labels'])} labels{before}"
    if evidence.get("after"):
        return f"the turn before was at {when(evidence['after'])}"
    return plain(evidence.get("revision"))


def _watch(watch: Mapping[str, Any]) -> Iterator[str]:
    if "against" in watch:
        yield f"against {watch['against']} from {when(watch['opened'])}"
        yield f"margin {plain(watch['margin'])}, clip {plain(watch['cap'])}"
    if "closed" not in watch:
        yield "open"
        return
    yield f"{watch['outcome']} at {when(watch['closed'])}"
    yield f"{number(watch['blocks'])} blocks, evidence {plain(watch['wealth'])}"
    if back := watch.get("rolled_back"):
        yield f"rolled back to {back['to']}, bad {', '.join(back['bad'])}"
        yield f"on probation {', '.join(back['probation'])}"
        for metric in back.get("safety", {}).get("metrics", ()):
            yield _values(metric)


def _why(ring: Ring) -> str:
    """What of the data kept the look from training, or what the gate said: of a mixture's slots, in short."""
    broken = [check["text"] for check in ring.get("checks") or ()]
    if broken:
        return "; ".join(dict.fromkeys(broken))
    given = ring.get("verdicts") or ()
    if len(given) < 2:
        return "".join(verdict["reason"] for verdict in given)
    refused = [f"{each['recipe']} {each['reason']}" for each in given if not each["admitted"]]
    return "; ".join([f"{len(given) - len(refused)} of {len(given)} admitted", *refused])


def _worth(value: Any) -> str:
    """Money, without its cents."""
    return "" if value is None else f"{value:,.0f}"


def _add(tree: Tree, title: str, said: str) -> Tree:
    return tree.add(Text.assemble((title, "bold"), f"  {said}"))


def _said(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {plain(value) or 'unknown'}" for name, value in values.items())
