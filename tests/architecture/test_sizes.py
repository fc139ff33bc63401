"""What outgrows these lengths lacks a concept: look for it instead of raising them."""

from __future__ import annotations

import ast

from tests.architecture import sources

FILE, FUNCTION, METHODS, PORT, INIT, ROOT_INIT = 600, 60, 20, 12, 40, 120


def _lines(node: sources.Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _methods(node: ast.ClassDef) -> list[str]:
    return [each.name for each in node.body if isinstance(each, sources.Function)]


def _is_port(node: ast.ClassDef) -> bool:
    return any("Protocol" in ast.unparse(base) for base in node.bases)


def test_files() -> None:
    everywhere = [*sources.modules(), *(sources.ROOT / "tests").rglob("*.py")]
    lengths = {sources.name(path): len(path.read_text("utf-8").splitlines()) for path in everywhere}
    assert {name: lines for name, lines in lengths.items() if lines > FILE} == {}


def test_functions() -> None:
    found = {
        f"{sources.name(path)}:{each.lineno} {each.name}": _lines(each)
        for path in sources.modules()
        for each in sources.functions(path)
    }
    assert {name: lines for name, lines in found.items() if lines > FUNCTION} == {}


def test_classes_and_ports() -> None:
    found = {
        f"{sources.name(path)}:{each.name}": (
            len(_methods(each)),
            PORT if _is_port(each) else METHODS,
        )
        for path in sources.modules()
        for each in sources.classes(path)
    }
    assert {name: count for name, (count, most) in found.items() if count > most} == {}


def test_packages_hold_little_of_their_own() -> None:
    for path in sources.SOURCE.rglob("__init__.py"):
        most = ROOT_INIT if path.parent == sources.SOURCE else INIT
        assert len(path.read_text("utf-8").splitlines()) <= most, sources.name(path)
