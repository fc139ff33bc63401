"""The shell of a page, and the parts that pages are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files

from nenrin.api import charts
from nenrin.api.markup import Child, Markup, join, tag

_MARK = (  # three tree rings, the youngest open
    "<svg class='rings' viewBox='0 0 24 24' aria-hidden='true'>"
    "<circle cx='12' cy='12' r='2.5'/><circle cx='12' cy='12' r='6.5'/>"
    "<path d='M12 1.5a10.5 10.5 0 1 0 10.5 10.5'/></svg>"
)


def document(title: str, *body: Child) -> str:
    """A whole HTML document with its styles inside."""
    style = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    head = tag(
        "head",
        {},
        tag("meta", {"charset": "utf-8"}),
        tag("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        tag("meta", {"name": "color-scheme", "content": "light dark"}),
        tag("title", {}, title),
        tag("style", {}, Markup(style + charts.style())),
    )
    page = tag("html", {"lang": "en"}, head, tag("body", {}, tag("main", {}, *body)))
    return f"<!doctype html>\n{page}\n"


def masthead(kind: str, title: str, lead: Child) -> Markup:
    """The top of a page: what it is, its message, what it rests on."""
    return tag(
        "header",
        {},
        tag("p", {"class": "kind"}, Markup(_MARK), f"nenrin · {kind}"),
        tag("h1", {}, title),
        tag("p", {"class": "lead"}, lead),
    )


def section(title: str, lead: Child, *content: Child) -> Markup:
    """A chapter of the page: heading, one sentence that says how to read it, content."""
    lead_line = tag("p", {"class": "lead"}, lead) if lead else None
    return tag("section", {}, tag("h2", {}, title), lead_line, *content)


def tiles(pairs: Iterable[tuple[str, str, str]]) -> Markup:
    """Large figures in a row: what it is, the figure, a remark."""
    return tag(
        "dl",
        {"class": "tiles"},
        [
            tag(
                "div",
                {},
                tag("dt", {}, name),
                tag("dd", {}, figure),
                tag("dd", {"class": "remark"}, remark) if remark else None,
            )
            for name, figure, remark in pairs
        ],
    )


def table(head: Sequence[Child], rows: Iterable[Markup], *, caption: str = "") -> Markup:
    """A table that scrolls sideways by itself where the page is narrow."""
    return tag(
        "div",
        {"class": "scroll", "tabindex": 0},
        tag(
            "table",
            {},
            tag("caption", {}, caption) if caption else None,
            tag("thead", {}, tag("tr", {}, *head)),
            tag("tbody", {}, *rows),
        ),
    )


def cell(content: Child, role: str | None = None) -> Markup:
    """One table cell."""
    return tag("td", {"class": role}, content)


def heading(content: Child, role: str | None = None, *, scope: str = "col") -> Markup:
    """One cell that names its column or row."""
    return tag("th", {"class": role, "scope": scope}, content)


def fold(title: str, *content: Child, opened: bool = False) -> Markup:
    """Content that opens on demand."""
    return tag("details", {"open": "" if opened else None}, tag("summary", {}, title), *content)


def bullets(sentences: Iterable[str]) -> Markup | None:
    """Sentences as a list; nothing when there are none."""
    items = [tag("li", {}, sentence) for sentence in sentences]
    return tag("ul", {}, items) if items else None


def commands(lines: Iterable[str]) -> Markup:
    """Command lines to copy."""
    return tag("pre", {}, join(*(tag("code", {}, f"{line}\n") for line in lines)))
