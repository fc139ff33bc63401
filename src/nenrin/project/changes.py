"""What another version of a project file changes, declaration by declaration."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from nenrin.data.declare import Dataset
from nenrin.features.declare import FeatureView
from nenrin.loop.declare import Deployment
from nenrin.project.loader import Project
from nenrin.project.steps import Step
from nenrin.training.declare import Model

Declared = Dataset | FeatureView | Model | Deployment | Step


def changes(before: Project | None, after: Project) -> list[str]:
    """What is added, changed and no longer declared, one sentence each.

    Args:
        before: the project that is followed so far; None: nothing is.
        after: the project that is to be followed.
    """
    old, new = _by_kind(before) if before else {}, _by_kind(after)
    return [told for kind in new for told in _compared(kind, old.get(kind, {}), new[kind])]


def _by_kind(project: Project) -> dict[str, Mapping[str, Declared]]:
    return {
        "dataset": project.datasets,
        "feature view": project.views,
        "model": project.models,
        "deployment": project.deployments,
        "step": project.steps,
    }


def _compared(
    kind: str, before: Mapping[str, Declared], after: Mapping[str, Declared]
) -> Iterator[str]:
    for name, declared in after.items():
        if name not in before:
            yield f"adds {kind} {name}"
        elif told := _differences(before[name], declared):
            yield f"changes {kind} {name}: {', '.join(told)}"
    for name in before:
        if name not in after:
            yield f"no longer declares {kind} {name}"


def _differences(before: Declared, after: Declared) -> list[str]:
    """The words of the declaration that differ, and whether the function does."""
    old, new = _said(before), _said(after)
    told = [_told(word, old.get(word), new[word]) for word in new if old.get(word) != new[word]]
    return told if _function(before) == _function(after) else [*told, "its function"]


def _told(word: str, before: Any, after: Any) -> str:
    if isinstance(before, str) and isinstance(after, str):
        return f"{word}={before} is now {after}"
    return f"{word}="


def _said(declared: Declared) -> dict[str, Any]:
    """The words of a declaration; what it refers to by name."""
    said: dict[str, Any] = msgspec.to_builtins(declared.declared, enc_hook=str)
    match declared:
        case FeatureView():
            said["dataset"] = declared.dataset.declared.name
        case Deployment():
            said["model"] = declared.model.declared.name
        case Model():
            said |= {"rows": declared.rows.declared.name, "label": str(declared.label)}
            said["features"] = [view.declared.name for view in declared.features or ()]
            said["at"] = str(declared.at or "")
    return {word: value for word, value in said.items() if word not in ("name", "where")}


def _function(declared: Declared) -> str:
    """Parameters and body of a declaration's function, without comments; empty without one."""
    path = Path(declared.declared.where.rpartition(":")[0])
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == declared.declared.name:
            return "\n".join(map(ast.unparse, [node.args, *node.body]))
    return ""
