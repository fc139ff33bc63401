"""Gate rules as they stand in a file: their fields, and the line on which each field begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import yaml

from nenrin.core.errors import ProjectError

_SHAPE = "write a list of rules under gates:, each with a name and a require"


class Entry(msgspec.Struct, frozen=True):
    """One rule's fields before they are understood, and where they come from."""

    fields: dict[str, Any]
    path: str
    lines: dict[str, int]

    def where(self, field: str = "", line: int = 1) -> str:
        """``path:line`` of a line of a field, or of the rule; just the path of inline rules."""
        first = self.lines.get(field, self.lines.get(""))
        return self.path if first is None else f"{self.path}:{first + line - 1}"


def read_entries(
    source: str | Mapping[str, Any] | Sequence[Mapping[str, Any]], path: str
) -> list[Entry]:
    """The rules of a policy, from YAML text or from what such text stands for.

    Raises:
        ProjectError: the text is not YAML, or not a list of rules.
    """
    if isinstance(source, str):
        return _from_text(source, path)
    rules = source.get("gates") if isinstance(source, Mapping) else source
    whole = isinstance(rules, Sequence) and all(isinstance(rule, Mapping) for rule in rules)
    if not rules or not whole:
        raise ProjectError("these are not gate rules", hint=_SHAPE, where=path)
    return [Entry(dict(rule), path, {}) for rule in rules]


def _from_text(text: str, path: str) -> list[Entry]:
    try:
        document = yaml.safe_load(text)
        node = yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        raise ProjectError(
            f"this is not YAML: {problem.problem}",
            hint='put a rule with a colon, a quote or a brace into quotes, or behind "require: |"',
            where=f"{path}:{line}",
        ) from None
    if isinstance(document, dict) and isinstance(node, yaml.MappingNode):
        nodes = {key.value: value for key, value in node.value}
        document, node = document.get("gates"), nodes.get("gates")
    if not document or not isinstance(document, list) or not isinstance(node, yaml.SequenceNode):
        raise ProjectError("the file has no gate rules", hint=_SHAPE, where=f"{path}:1")
    return [_entry(rule, found, path) for rule, found in zip(document, node.value, strict=True)]


def _entry(rule: Any, node: yaml.Node, path: str) -> Entry:
    line = node.start_mark.line + 1
    if not isinstance(rule, dict) or not isinstance(node, yaml.MappingNode):
        raise ProjectError("this is not a gate rule", hint=_SHAPE, where=f"{path}:{line}")
    lines = {"": line}
    for key, value in node.value:
        block = isinstance(value, yaml.ScalarNode) and value.style == "|"
        lines[key.value] = value.start_mark.line + (2 if block else 1)
    return Entry(rule, path, lines)
