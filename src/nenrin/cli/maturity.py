"""What ``nenrin status --level`` prints: the levels reached, the cheapest next steps, and every item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from nenrin.cli.console import joined, plain, table, when

_STEPS = 5  # the cheapest: the items below name the rest


def maturity(found: dict[str, Any]) -> RenderableType:
    """Two lines a scale, the steps, and an item with its sign or its next step."""
    return Group(
        Text.assemble(
            (found["environment"], "bold"),
            f" at {when(found['now'])}: what its ledger and state show, events of the last ",
            f"{found['days']} days",
        ),
        *(_reached(scale) for scale in found["scales"]),
        Text("\nCheapest next", style="bold"),
        table(
            found["next"][:_STEPS],
            ("step", "step", plain),
            ("when", "when", plain),
            ("items", "for", joined),
            empty="nothing: all that nenrin can know is proven",
        ),
        *(part for scale in found["scales"] for part in _items(scale, found["environment"])),
    )


def _reached(scale: Mapping[str, Any]) -> Text:
    return Text(
        f"{scale['name']:<10} level {scale['proven']} of {scale['highest']} proven, "
        f"level {scale['configured']} configured"
    )


def _items(scale: Mapping[str, Any], here: str) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for level in range(1, scale["highest"] + 1):
        parts.append(Text(f"\n{scale['name']}, level {level}", style="bold"))
        items = [each for each in scale["items"] if each["level"] == level]
        parts.append(
            table(
                [{**each, "text": _text(each), "because": _because(each, here)} for each in items],
                ("id", "", plain),
                ("text", "item", plain),
                ("state", "state", plain),
                ("because", "shown by, or next", plain),
            )
        )
    return parts


def _text(item: Mapping[str, Any]) -> str:
    return f"{item['text']} (optional)" if item["optional"] else str(item["text"])


def _because(item: Mapping[str, Any], here: str) -> str:
    """The sign, the step or the reason."""
    beside = f"; {item['outside']}" if item["outside"] else ""
    return f"{_known(item, here)}{beside}".removeprefix("; ")


def _known(item: Mapping[str, Any], here: str) -> str:
    shown, step = item["shown"], item["next"]
    if item["state"] == "proven":
        return _sign(shown, here)
    if step is None:
        return ""
    last = f"{_sign(shown, here)} is too old; " if shown else ""
    after = f", {step['when']}" if step["when"] else ""
    return f"{last}{step['step']}{after}"


def _sign(shown: Mapping[str, Any], here: str) -> str:
    says = f", {shown['says']}" if shown["says"] else ""
    there = "" if shown["environment"] == here else f" in {shown['environment']}"
    return f"{shown['kind']} {shown['subject']} {when(shown['at'])}{there}{says}"
