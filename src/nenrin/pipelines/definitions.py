"""The syntax of functions and classes, as far as it decides what they do."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence

from nenrin.pipelines.syntax import Function, Source, chain

METHOD = (ast.FunctionDef, ast.AsyncFunctionDef)
IMPORTERS = ("import_module", "__import__")


def written(
    source: Source, nodes: Sequence[ast.AST], names: set[str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Names that are no local ones, with the attributes read off them; of code without a file all names."""
    if not nodes:
        yield from ((name, ()) for name in sorted(names))
    for node in nodes:
        left_out = {each for top in decorators([node]) for each in ast.walk(top)}
        for each in ast.walk(node):
            if isinstance(each, ast.Name) and each.id in names and each not in left_out:
                yield each.id, chain(source, each)


def decorators(nodes: Iterable[ast.AST]) -> tuple[ast.AST, ...]:
    """The decorators of functions and classes."""
    return tuple(each for node in nodes for each in getattr(node, "decorator_list", ()))


def dumped(node: Function) -> str:
    """A function's syntax; decorators and defaults are told by what they made."""
    bare = ast.arguments(
        **{
            **{name: getattr(node.args, name) for name in ast.arguments._fields},
            "defaults": [ast.Constant(...) for _ in node.args.defaults],
            "kw_defaults": [each and ast.Constant(...) for each in node.args.kw_defaults],
        }
    )
    body = node.body if isinstance(node.body, list) else [node.body]
    returns = getattr(node, "returns", None)
    return "\n".join(
        [
            *(type(node).__name__, getattr(node, "name", "")),
            *(ast.dump(each) for each in (bare, *([returns] if returns else []), *body)),
        ]
    )


def skeleton(node: ast.ClassDef) -> list[ast.AST]:
    """A class's syntax without its methods and decorators."""
    rest = [each for each in node.body if not isinstance(each, METHOD)]
    return [*node.bases, *node.keywords, *rest]


def default_of(node: Function, parameter: str) -> ast.expr | None:
    """Where a parameter's default is written."""
    positional = [*node.args.posonlyargs, *node.args.args]
    count = len(positional) - len(node.args.defaults)
    pairs = [
        *zip(positional[count:], node.args.defaults, strict=True),
        *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True),
    ]
    return next((default for argument, default in pairs if argument.arg == parameter), None)


def computed(source: Source) -> int:
    """The line on which a module is imported whose name is not written there; 0: none."""
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call):
            continue
        said = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if said in IMPORTERS and not (node.args and isinstance(node.args[0], ast.Constant)):
            return node.lineno
    return 0


def names_of(nodes: Iterable[ast.AST]) -> set[str]:
    """Every name in some code."""
    return {each.id for node in nodes for each in ast.walk(node) if isinstance(each, ast.Name)}


def annotated(nodes: Iterable[Function]) -> list[ast.AST]:
    """What is written behind parameters and the arrow: libraries read it while they run."""
    found: list[ast.AST] = []
    for node in nodes:
        arguments = [each for each in ast.walk(node.args) if isinstance(each, ast.arg)]
        written = [*(each.annotation for each in arguments), getattr(node, "returns", None)]
        found += [each for each in written if each is not None]
    return found


def repeated(source: Source, nodes: Iterable[ast.AST]) -> list[str]:
    """Names among the nodes that the file gives to several definitions: only the last can be looked at."""
    defined = [each.name for each in source.outside if isinstance(each, (*METHOD, ast.ClassDef))]
    names = [each.id for each in nodes if isinstance(each, ast.Name)]
    return sorted({name for name in names if defined.count(name) > 1})
