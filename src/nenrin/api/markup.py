"""HTML and SVG from Python values: everything is escaped unless it is markup already."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_VOID = frozenset({"br", "circle", "col", "hr", "line", "link", "meta", "path", "rect"})


class Markup(str):
    """Text that is already HTML or SVG and is not escaped again."""

    __slots__ = ()


Child = str | Iterable["Child"] | None


def join(*children: Child) -> Markup:
    """Children one after another: markup as it is, other text escaped, ``None`` left out."""
    return Markup("".join(_pieces(children)))


def _pieces(children: Iterable[Child]) -> Iterable[str]:
    for child in children:
        if isinstance(child, Markup):
            yield child
        elif isinstance(child, str):
            yield escape(child, quote=False)
        elif child is not None:
            yield from _pieces(child)


def tag(name: str, attributes: dict[str, object] | None = None, *children: Child) -> Markup:
    """One element; attributes that are ``None`` are left out, floats are written with one decimal."""
    written = "".join(
        f' {key}="{_value(value)}"'
        for key, value in (attributes or {}).items()
        if value is not None
    )
    if name in _VOID and not children:
        return Markup(f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{join(*children)}</{name}>")


def _value(value: object) -> str:
    return number(value) if isinstance(value, float) else escape(str(value))


def number(value: float) -> str:
    """A coordinate with at most one decimal: a tenth of a pixel is as fine as a screen shows."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text
