"""How ``nenrin why`` draws a lineage: a tree for a prediction, for a version, for a load."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text
from rich.tree import Tree

from nenrin.cli.console import facts, number, plain, short, when
from nenrin.cli.moved import moved

Told = Mapping[str, Any]
_MOST = 12  # lines of one branch; --json has the rest


def lineage(told: Told) -> RenderableType:
    """What ``why`` answered: a tree where it is a lineage, plain facts otherwise."""
    drawn = {"prediction": _prediction, "version": _version, "data version": _load}
    return drawn.get(told.get("what", ""), facts)(told)


def _prediction(told: Told) -> RenderableType:
    by = told["answered by"]
    tree = _root(told["prediction"], f"{plain(told['answer'])}, in {told['environment']}")
    asked = f"asked as of {when(told['asked'])}, answered at {when(told['answered'])}"
    who = tree.add(
        _line("answered by", f"{told['deployment']}, {by['role']} {by['version']}, {asked}")
    )
    for part in by["members"]:
        who.add(Text(f"{part['share']:.1%} {part['slot']}, {part['version']}"))
    if by["recalibration"]:
        a, b = by["recalibration"]["a"], by["recalibration"]["b"]
        who.add(_line("recalibrated", f"logits times {b:.4g}, plus {a:.4g}"))
    tree.add(_line("row", _values(told["row"])))
    tree.add(_line("the model saw", _values(told["features"])))
    moved(tree, told["moved by"])
    for version in told["versions"]:
        _origins(tree.add(_titled(version)), version, told["environment"])
    tree.add(_label(told["label"], told["asked"]))
    missing = _missing(told["log"])
    if missing:
        tree.add(_line("the log", missing))
    return tree


def _version(told: Told) -> RenderableType:
    tree = Tree(_titled(told), guide_style="dim")
    _origins(tree.add(Text("made from", style="bold")), told, told["environment"])
    came = tree.add(Text("what came of it", style="bold"))
    _branch(came, "verdicts", told["verdicts"], _verdict)
    _branch(came, "rings", told["rings"], _ring)
    _branch(came, "part of", told["held by"], _holder)
    _branch(came, "served", told["served"], _served)
    counted = told["answered"]
    total = counted["alone"] + counted["as a member"]
    said = f"{number(counted['alone'])} alone, {number(counted['as a member'])} as a member"
    span = f", {when(counted['first'])} to {when(counted['last'])}" if total else ""
    came.add(_line("logged predictions", f"{said}{span}" if total else "none"))
    _branch(came, "taken back", told["taken back"], _taken_back)
    return tree


def _load(told: Told) -> RenderableType:
    tree = _root(
        told["version"], f"load {told['number']} of {told['dataset']}, {told['environment']}"
    )
    counts = ", ".join(f"{number(told[name])} {name}" for name in ("rows", "added", "changed"))
    tree.add(_line("holds", f"{counts}, known until {when(told['known until'])}"))
    tree.add(_line("loaded", f"{when(told['loaded'])}, content {short(told['content'])}"))
    near = [f"{word} {told[word]}" for word in ("before", "after") if told[word]]
    if near:
        tree.add(_line("other loads", ", ".join(near)))
    trained = _branch(tree, "trained on it", told["trained"], _fit)
    for environment, count in told["trained elsewhere"].items():
        trained.add(Text(f"{number(count)} in {environment}"))
    _branch(tree, "read by steps", told["steps"], _step)
    return tree


def _origins(tree: Tree, told: Told, environment: str) -> None:
    """The branches of what a version was made from."""
    if "kind" not in told:
        return
    if told["recipe"]:
        look = f"look {when(told['look'])}, cut-off {when(told['cutoff'])}"
        tree.add(_line("recipe", f"{told['recipe']}, {look}"))
    if told["params"]:
        tree.add(_line("parameters", _values(told["params"])))
    for member in told["members"]:
        slots = ", ".join(member["slots"])
        tree.add(_line("member", f"{slots or member['recipe']}, {member['version']}"))
    for data in told["data"]:
        tree.add(_line("data", _data(data)))
    for other in told["others"]:
        tree.add(Text(other))
    if told["revision"]:
        tree.add(_line("code", _code(told["revision"], told["code"])))
    tree.add(_line("content", short(told["content"])))
    tree.add(_line("let out by", _admission(told["admitted by"], environment)))


def _admission(admission: Told, environment: str) -> str:
    ring, came_from = admission["ring"], admission["environment"]
    said = [*admission["verdicts"], *([_ring(ring)] if ring else [])]
    there = f" in {came_from}" if came_from != environment else ""
    return f"{', '.join(said)}{there}" if said else "no verdict and no ring: it was only compared"


def _data(data: Told) -> str:
    if not data["version"]:
        return (
            f"{data['dataset']}, rows {short(data['known at the look'])}: no load here holds them"
        )
    return f"{data['dataset']}, load {data['number']} of {when(data['loaded'])}, {data['version']}"


def _code(revision: str, code: Told | None) -> str:
    if code is None:
        return revision
    changed = " and changes" if code["dirty"] else ""
    commit = f", commit {short(code['commit'])}{changed}" if code["commit"] else ""
    return f"{revision}{commit}, Python {code['python']}, {code['packages']} packages"


def _label(label: Told, asked: str) -> Text:
    state, says = label["state"], label["says"]
    if label.get("asked", asked) != asked:
        says = f"{says}; the loaded row is asked at {when(label['asked'])}"
    if label.get("label") is None:
        return _line("label", f"{state}: {says}")
    value = f"{label['of']} is {plain(label['label'])}, known {when(label['known'])}"
    corrected = [
        f"{plain(each['label'])} at {when(each['known'])}" for each in label["corrections"]
    ]
    later = f", then {', '.join(corrected)}" if corrected else ""
    return _line("label", f"{value}{later}; {state}: {says}")


def _verdict(each: Told) -> str:
    return f"{each['id']} ({each['role']}), {each['reason']}"


def _ring(each: Told) -> str:
    return f"ring {each['ring']} of {each['deployment']} ({each['trigger']}, {when(each['at'])})"


def _holder(each: Told) -> str:
    slots = f" as {', '.join(each['slots'])}" if each["slots"] else ""
    spans = "; ".join(_served(span) for span in each["served"]) or "never served"
    return f"{each['version']}, {each['kind']}{slots}: {spans}"


def _served(span: Told) -> str:
    until = f"until {when(span['until'])}" if span["until"] else "until now"
    return f"{span['deployment']} {span['weight']} % {when(span['from'])} {until}"


def _taken_back(each: Told) -> str:
    by = f" ({each['actor']})" if "actor" in each else ""
    return f"{when(each['at'])} {each.get('status', 'rolled back')}: {each['why']}{by}"


def _fit(each: Told) -> str:
    holders = f", in {', '.join(each['held by'])}" if each["held by"] else ""
    return (
        f"{each['version']}, {each['model']} {each['recipe']}, look {when(each['look'])}{holders}"
    )


def _step(each: Told) -> str:
    return f"{each['step']}, {when(each['at'])}"


def _branch(tree: Tree, title: str, rows: Sequence[Told], write: Callable[[Told], str]) -> Tree:
    """A branch with a line for each row, the newest ones where they are many."""
    branch = tree.add(_line(title, "" if rows else "none"))
    if len(rows) > _MOST:
        branch.add(Text(f"{number(len(rows) - _MOST)} earlier ones: --json", style="dim"))
    for row in rows[-_MOST:]:
        branch.add(Text(write(row)))
    return branch


def _root(name: str, said: str) -> Tree:
    return Tree(Text.assemble((name, "bold"), f"  {said}"), guide_style="dim")


def _titled(version: Told) -> Text:
    said = " ".join(part for part in (version.get("kind"), version.get("name")) if part)
    known = f"  {said}, {version['status']}" if said else f"  {version['status']}"
    return Text.assemble((version["version"], "bold"), known)


def _line(title: str, said: str) -> Text:
    return Text.assemble((title, "bold"), f"  {said}" if said else "")


def _values(values: Told) -> str:
    return (
        ", ".join(
            f"{name} {'null' if value is None else plain(value)}" for name, value in values.items()
        )
        or "nothing"
    )


def _missing(log: Told) -> str:
    """What the log lacks; empty where it lacks nothing."""
    lacks = [
        f"{number(log[word])} {said}"
        for word, said in (("waiting", "not written yet"), ("dropped", "dropped"), ("lost", "lost"))
        if log[word]
    ]
    return (
        f"{number(log['written'])} of {number(log['issued'])} written, {', '.join(lacks)}"
        if lacks
        else ""
    )
