"""A translated page says what its original says: headings, code, tables, links, names and figures.

Prose cannot be compared, what stands in it can: whoever changes a figure, a word of the project file or a
link on one page is told where the other page has to follow.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.architecture import sources

DOCS = sources.ROOT / "docs"
ORIGINALS = {
    sources.ROOT / "README.ja.md": sources.ROOT / "README.md",
    **{page: DOCS / page.name for page in sorted((DOCS / "ja").glob("*.md"))},
}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"(?<!`)`((?:[^`\n]|\n(?!\n))+)`(?!`)")
COMMENT = re.compile(r"(?:^|[ \t]+)# .*$", re.MULTILINE)
FIGURE = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.\d+|\d+")


@dataclass(frozen=True)
class Section:
    """What stands under one heading, as far as it is the same in every language."""

    level: int
    title: str
    blocks: tuple[tuple[str, str], ...]
    """Language and text of each fenced block, without comments."""
    tables: tuple[int, ...]
    """The number of cells of each row."""
    links: Counter[str]
    """Where links lead: an address, or an original page and the place of the heading in it."""
    names: frozenset[str]
    """What stands in code marks."""
    figures: frozenset[float]


def _sections(page: Path, text: str) -> list[Section]:
    """A page in pieces; what comes before the first heading is left out."""
    shelved = FENCE.sub(lambda found: found[0].replace("\n#", "\n\0#"), text)
    starts = list(HEADING.finditer(shelved))
    ends = [each.start() for each in starts[1:]] + [len(shelved)]
    return [
        _section(page, found[1], found[2], shelved[found.end() : end].replace("\0", ""))
        for found, end in zip(starts, ends, strict=True)
    ]


def _section(page: Path, hashes: str, title: str, body: str) -> Section:
    prose = FENCE.sub("", body)
    rows = [line for line in prose.splitlines() if line.startswith("|")]
    plain = LINK.sub("]", CODE.sub("", prose))
    return Section(
        level=len(hashes),
        title=title,
        blocks=tuple((found[1], _code(found[1], found[2])) for found in FENCE.finditer(body)),
        tables=tuple(CODE.sub("", row).count("|") for row in rows),
        links=Counter(_target(page, link) for link in LINK.findall(prose)),
        names=frozenset(" ".join(each.split()) for each in CODE.findall(prose)),
        figures=frozenset(float(each.replace(",", "")) for each in FIGURE.findall(plain)),
    )


def _code(language: str, text: str) -> str:
    return text if language in {"", "console"} else COMMENT.sub("", text)


def _target(page: Path, link: str) -> str:
    if "://" in link:
        return link
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    place = f"#{_anchors(target).index(anchor)}" if anchor else ""
    return sources.name(ORIGINALS.get(target, target)) + place


def _anchors(page: Path) -> list[str]:
    """The anchors of a page's headings in order, as GitHub makes them."""
    titles = [found[2] for found in HEADING.finditer(FENCE.sub("", page.read_text("utf-8")))]
    return [re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", each.lower()).strip()) for each in titles]


def _differences(page: Path, text: str) -> Iterator[str]:
    """Where a translation, with ``text`` for its text, does not follow its original."""
    original = ORIGINALS[page]
    theirs, ours = _sections(original, original.read_text("utf-8")), _sections(page, text)
    if [each.level for each in theirs] != [each.level for each in ours]:
        yield f"headings: {[each.title for each in theirs]} and {[each.title for each in ours]}"
        return
    for old, new in zip(theirs, ours, strict=True):
        where = f"{sources.name(page)}, {new.title} ({old.title})"
        for part in ("blocks", "tables", "links", "names"):
            wanted, found = getattr(old, part), getattr(new, part)
            if wanted != found:
                yield f"{where}: {part} are {found}, not {wanted}"
        if missing := old.figures - new.figures:
            yield f"{where}: figures {sorted(missing)} are not there"


def _pages() -> list[object]:
    return [pytest.param(page, id=sources.name(page)) for page in ORIGINALS]


@pytest.mark.parametrize("page", _pages())
def test_a_translation_says_what_its_original_says(page: Path) -> None:
    assert list(_differences(page, page.read_text("utf-8"))) == []


@pytest.mark.parametrize("page", _pages())
def test_a_page_and_its_translation_point_at_each_other(page: Path) -> None:
    original = ORIGINALS[page]
    for here, there in ((page, original), (original, page)):
        first = here.read_text("utf-8").split("\n## ")[0]
        leads = {(here.parent / link).resolve() for link in LINK.findall(first)}
        assert there in leads, f"{sources.name(here)} does not name {sources.name(there)}"


CHANGES: dict[str, Callable[[str], str]] = {
    "a heading more": lambda text: f"{text}\n## もう一つ\n",
    "a heading less": lambda text: re.sub(r"^## .+\n", "", text, count=1, flags=re.MULTILINE),
    "a heading one level down": lambda text: text.replace("\n## ", "\n### ", 1),
    "a block more": lambda text: f"{text}\n```sh\nnenrin status\n```\n",
    "other code": lambda text: re.sub(r"^(```\w+\n\S)", r"\1x", text, count=1, flags=re.MULTILINE),
    "a link less": lambda text: re.sub(r"\[([^\]]*)\]\([^)]+\)", r"\1", text, count=1),
    "a row more": lambda text: f"{text}\n| `nenrin` | |\n",
    "another name": lambda text: CODE.sub("`nothing`", text, count=1),
}


@pytest.mark.parametrize("page", _pages())
@pytest.mark.parametrize("change", CHANGES)
def test_what_one_page_changes_alone_is_found(page: Path, change: str) -> None:
    changed = CHANGES[change](page.read_text("utf-8"))
    assert changed != page.read_text("utf-8")
    assert list(_differences(page, changed))


def test_a_figure_that_only_the_original_has_is_found() -> None:
    page = sources.ROOT / "README.ja.md"
    changed = page.read_text("utf-8").replace("336,776", "336,777")
    assert [each for each in _differences(page, changed) if "336776" in each]
