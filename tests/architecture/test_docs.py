"""The documents are true: examples run, links lead somewhere, commands, options and files exist."""

from __future__ import annotations

import inspect
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import nenrin as nr
from nenrin.core.settings import Settings
from nenrin.gates.evidence import DECLARED
from nenrin.project.loader import load_project
from nenrin.stats.metrics import METRICS
from nenrin.training.columns import FeatureColumn
from nenrin.training.declare import Model, Predictor
from nenrin.training.rows import Rows
from tests.architecture import sources

sys.path.insert(0, str(sources.ROOT / "tools"))
import reference  # the script of `make docs`

DOCS = sources.ROOT / "docs"
PAGES = [*sorted(sources.ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
GENERATED = {DOCS / name for name in reference.PAGES}
ROOTS = (sources.ROOT, sources.SOURCE, DOCS)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
FILE = re.compile(r"(?<![\w./:{-])((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|yaml|toml|md|sh))(?![\w/])")
PRELUDE = "customers = nr.file('customers.csv', key='customer_id')"


def _pages(*names: str) -> list[Any]:
    chosen = [page for page in PAGES if page not in GENERATED and (not names or page.name in names)]
    return [pytest.param(page, id=sources.name(page)) for page in chosen]


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _blocks(page: Path, *languages: str) -> Iterator[tuple[int, str]]:
    """Line number and text of each fenced block in one of the languages."""
    text = _text(page)
    for found in FENCE.finditer(text):
        if found[1] in languages:
            yield text.count("\n", 0, found.start(2)), found[2]


@cache
def _anchors(page: Path) -> frozenset[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", _text(page)), re.MULTILINE)
    plain = [re.sub(r"[^\w\s-]", "", heading.lower()).strip() for heading in headings]
    return frozenset(re.sub(r"\s", "-", heading) for heading in plain)


@pytest.mark.parametrize("page", _pages())
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", _text(page))):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{sources.name(page)}: there is no {link}"
        assert not anchor or anchor in _anchors(target), f"{sources.name(page)}: no heading {link}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [sources.ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        targets = [
            (page.parent / link.partition("#")[0]).resolve() for link in LINK.findall(_text(page))
        ]
        for target in targets:
            waiting += [target] if target.suffix == ".md" and target.exists() else []
            waiting += sorted(target.glob("*.md")) if target.is_dir() else []
    assert [sources.name(page) for page in PAGES if page not in reached] == []


@pytest.mark.parametrize(
    "page", [each for each in _pages() if any(True for _ in _blocks(each.values[0], "python"))]
)
def test_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page run one after the other, over what the flights example declares."""
    monkeypatch.chdir(tmp_path)
    example = load_project(sources.ROOT / "examples" / "flights")
    names = {**vars(example.module), "nr": nr, "__name__": "example"}
    exec(PRELUDE, names)
    for line, block in _blocks(page, "python"):
        exec(compile("\n" * line + block, str(page), "exec"), names)
    for declared in [each for each in names.values() if isinstance(each, Model)]:
        if declared.declared.where.startswith(str(page)) and declared.function is not None:
            fitted = declared(_rows())
            assert isinstance(fitted, Predictor) or hasattr(fitted, "predict")


def _rows() -> Rows:
    random = np.random.default_rng(0)
    place = random.integers(0, 3, 400)
    columns = (
        FeatureColumn(name="temp", kind="number", values=random.normal(size=400)),
        FeatureColumn(
            name="carrier",
            kind="string",
            values=place.astype(np.int32),
            vocabulary=("AA", "B6", "UA"),
        ),
    )
    y = (random.random(400) < 0.2 + 0.3 * (place == 1)).astype(np.int64)
    return Rows(columns, np.arange(400), y, np.ones(400))


def test_the_project_file_of_the_readme_is_a_project(tmp_path: Path) -> None:
    [(_, block)] = _blocks(sources.ROOT / "README.md", "python")
    (tmp_path / "project.py").write_text(block, encoding="utf-8")
    project = load_project(tmp_path)
    whole = load_project(sources.ROOT / "examples" / "flights")
    assert set(project.datasets) == set(whole.datasets) - {"weather"}
    assert set(project.deployments) == set(whole.deployments)


@cache
def _commands() -> dict[str, set[str]]:
    """Every command with its options."""
    return {
        path: {
            name
            for parameter in command.params
            for name in (*parameter.opts, *parameter.secondary_opts)
        }
        for name in reference.COMMANDS
        for path, command in reference._walk(f"nenrin {name}", reference.load(name))
    }


def _typed(page: Path) -> Iterator[str]:
    """What a page tells people to type."""
    for _, block in _blocks(page, "sh", "console"):
        yield from (line.removeprefix("$ ") for line in block.splitlines())
    yield from CODE.findall(FENCE.sub("", _text(page)))


@pytest.mark.parametrize("page", _pages())
def test_commands_and_their_options_exist(page: Path) -> None:
    groups = {path.rsplit(" ", 1)[0] for path in _commands()} - {"nenrin"}
    for line in _typed(page):
        command = re.search(r"(?:^|/)nenrin (.+)", line)
        if command is None or not re.match(r"[a-z-]", command[1]):
            continue
        words = ["nenrin", *shlex.split(command[1], comments=True)]
        below = " ".join(words[:2]) in groups and not "".join(words[2:3]).startswith("-")
        path = " ".join(words[: 3 if below else 2])
        if (path in groups and path not in _commands()) or words[1].startswith("-"):
            continue
        assert path in _commands(), f"{sources.name(page)}: {line}"
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert options <= _commands()[path] | {"--help"}, f"{sources.name(page)}: {line}"


@pytest.mark.parametrize("page", _pages())
def test_chores_and_variables_exist(page: Path) -> None:
    made = set(re.findall(r"^([a-z]+):", (sources.ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in _typed(page):
        chore = re.match(r"make ([a-z]+)", line)
        assert chore is None or chore[1] in made, f"{sources.name(page)}: {line}"
    variables = {f"NENRIN_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"NENRIN_[A-Z_]+", _text(page))) <= variables


@pytest.mark.parametrize("page", _pages())
def test_files_that_are_named_exist(page: Path) -> None:
    """In code marks, relative to the repository, the package or the documents."""
    for span in CODE.findall(FENCE.sub("", _text(page))):
        for name in FILE.findall(span):
            first = name.removeprefix("../").split("/")[0]
            if re.search(r"<|\*", span) or first in {".nenrin", ".venv", "backtest"}:
                continue
            if name in {"project.py", "gates.yaml", "march.csv"} or not _is_ours(name):
                continue
            assert any((root / name).exists() for root in ROOTS), f"{sources.name(page)}: {span}"


def _is_ours(name: str) -> bool:
    """Whether a path begins with a folder of ours: others are examples, addresses, media types."""
    first = name.split("/", maxsplit=1)[0]
    return "/" in name and any((root / first).is_dir() for root in ROOTS)


def _public_words() -> list[str]:
    return [name for name in nr.__all__ if inspect.isfunction(getattr(nr, name))]


@pytest.mark.parametrize("word", _public_words())
def test_every_word_and_argument_of_the_project_file_is_documented(word: str) -> None:
    page = _text(DOCS / "project-file.md")
    assert f"nr.{word}" in page
    for argument in inspect.signature(getattr(nr, word)).parameters:
        said = rf"`{argument}`|\b{argument}=|[(,] ?{argument}[,)=]|`nr\.{word}\({argument}"
        assert argument in {"function", "object"} or re.search(said, page), argument


def test_the_default_gate_is_written_as_it_is() -> None:
    page = DOCS / "gates.md"
    [(_, written)] = _blocks(page, "yaml")
    default = sources.SOURCE / "gates" / "default.yaml"
    assert yaml.safe_load(written) == yaml.safe_load(default.read_text(encoding="utf-8"))
    assert written.strip() == default.read_text(encoding="utf-8").strip()


def test_every_name_that_gate_rules_know_is_documented() -> None:
    page = _text(DOCS / "gates.md")
    for name in DECLARED:
        part, _, number = name.partition(".")
        if number in METRICS:
            continue
        assert re.search(rf"`{part}\.|`{part}`", page), name
        assert not number or re.search(rf"`(\w+)?\.{number}`", page), name


def test_every_metric_is_documented() -> None:
    page = _text(DOCS / "project-file.md")
    assert [name for name in METRICS if f"`{name}`" not in page] == []


def test_every_kind_of_event_is_documented() -> None:
    """Kinds are spelled out where they are recorded, some of them only in part."""
    page = _text(DOCS / "ledger.md")
    named = re.compile(r"\.(?:record|_write)\(\s*(?:unit, \w+, )?\"([a-z]+)\.([a-z_]+)\"")
    kinds = {
        found
        for path in sources.modules()
        if "testing" not in path.parts
        for found in named.findall(path.read_text("utf-8"))
    }
    assert len(kinds) > 20
    for noun, verb in kinds:
        assert f"`{noun}." in page, (noun, verb)
        assert f".{verb}`" in page, (noun, verb)


def test_the_architecture_lists_the_rooms_and_the_chain() -> None:
    page = _text(sources.ROOT / "ARCHITECTURE.md")
    assert len(page.splitlines()) <= 160
    rows = re.findall(r"^\| ((?:`\w+/`(?:, )?)+) \|", page, re.MULTILINE)
    listed = [room for row in rows for room in re.findall(r"`(\w+)/`", row)]
    assert sorted(listed) == sources.rooms()
    project = tomllib.loads((sources.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    [layers] = [
        each["layers"] for each in project["tool"]["importlinter"]["contracts"] if "layers" in each
    ]
    chain = [re.findall(r"nenrin\.(\w+)", layer) for layer in layers if "tracking" not in layer]
    [drawn] = re.findall(r"^    testing >.*\n.*stats > core$", page, re.MULTILINE)
    assert [re.findall(r"\w+", part) for part in drawn.split(">")] == chain


def test_decisions_are_numbered_and_say_all_that_the_template_asks() -> None:
    pages = sorted(path for path in (DOCS / "decisions").glob("[0-9]*.md"))
    numbers = [int(path.name[:4]) for path in pages]
    assert all(b == a + 1 for a, b in pairwise(numbers))
    for path in pages:
        text = _text(path)
        assert text.startswith(f"# {path.name[:4]}. "), path.name
        assert re.search(
            r"^Status: (proposed|accepted|replaced by \d{4})\. Date: ", text, re.MULTILINE
        )
        headings: Sequence[str] = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert headings[:3] == ["Context", "Decision", "Consequences"], path.name
